// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Every verdict counts itself once, so the sum of a program's counters is the number of packets it has seen.
 *
 * A number is never used again for another meaning: dashboards and old agents read them. Those that begin with DROP_
 * end the packet; all others say which way it went.
 */
#ifndef FAST_COUNTERS_H
#define FAST_COUNTERS_H

#include "layout.h"

#define COUNTERS_MAX 64

enum counter {
	FROM_POD_LOCAL = 0, /* to a pod of this node, by the fast path */
	FROM_POD_TUNNEL = 1, /* to a pod or overlay address of another node, by the fast path */
	FROM_POD_ROUTED = 2, /* to no pod: the stack routes it */
	FROM_POD_FLOW = 3, /* conntrack knows the flow: the stack has it */
	FROM_POD_UNUSUAL = 4, /* a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it */
	FROM_POD_STACK_ONLY = 5, /* one of the two pods is marked for the stack */
	FROM_POD_FAST_PATH_OFF = 6, /* the fast path is switched off, or the kernel lacks its conntrack function */
	FROM_POD_TOO_BIG = 7, /* bigger than the overlay's MTU: the stack answers or fragments */
	FROM_POD_ARP = 8, /* ARP: the stack answers */
	DROP_FROM_POD_PROTOCOL = 9, /* neither IPv4 nor ARP, or with a VLAN tag */
	DROP_FROM_POD_MALFORMED = 10, /* IPv4 with headers cut short or impossible */
	DROP_FROM_POD_SPOOFED = 11, /* a source address that is not this pod's */
	DROP_FROM_POD_TUNNEL_KEY = 12, /* the kernel refused the tunnel key */

	TO_OVERLAY_KEYED = 16, /* came with a tunnel key, from from_pod */
	TO_OVERLAY_ROUTED = 17, /* routed here by the stack, got its tunnel key here */
	DROP_TO_OVERLAY_PROTOCOL = 18, /* not IPv4, or with a VLAN tag */
	DROP_TO_OVERLAY_MALFORMED = 19, /* IPv4 with headers cut short or impossible */
	DROP_TO_OVERLAY_NO_NODE = 20, /* no other node holds the destination */
	DROP_TO_OVERLAY_TUNNEL_KEY = 21, /* the kernel refused the tunnel key */

	FROM_OVERLAY_LOCAL = 32, /* to a pod of this node, by the fast path */
	FROM_OVERLAY_HOST = 33, /* to this node's overlay address: the stack has it */
	FROM_OVERLAY_FLOW = 34, /* conntrack knows the flow: the stack has it */
	FROM_OVERLAY_UNUSUAL = 35, /* a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it */
	FROM_OVERLAY_STACK_ONLY = 36, /* the pod is marked for the stack */
	FROM_OVERLAY_FAST_PATH_OFF = 37, /* the fast path is switched off, or the kernel lacks its conntrack function */
	DROP_FROM_OVERLAY_PROTOCOL = 38, /* not IPv4, or with a VLAN tag */
	DROP_FROM_OVERLAY_MALFORMED = 39, /* IPv4 with headers cut short or impossible */
	DROP_FROM_OVERLAY_NO_TUNNEL = 40, /* no tunnel key, or another network's */
	DROP_FROM_OVERLAY_SOURCE = 41, /* the tunnel's other end does not hold the inner source */
	DROP_FROM_OVERLAY_DESTINATION = 42, /* neither a pod of this node nor its overlay address */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(enum counter which)
{
	__u32 key = which;
	__u64 *packets = bpf_map_lookup_elem(&counters, &key);

	if (packets)
		(*packets)++;
}

/* The packet goes on as if this program were not there. */
static __always_inline int pass(enum counter why)
{
	count(why);
	return TCX_NEXT;
}

static __always_inline int drop(enum counter why)
{
	count(why);
	return TCX_DROP;
}

#endif
