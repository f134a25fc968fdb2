// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Every verdict counts itself once, so the sum of a program's counters is the number of packets it has seen.
 *
 * A number is never used again for another meaning: dashboards and old agents read them (8 is such a one). A name holds
 * the program and the reason, and its comment begins with the verdict: `next` leaves the packet to the stack, `redirect`
 * sends it past it, `drop` ends it.
 */
#ifndef FAST_COUNTERS_H
#define FAST_COUNTERS_H

#include "layout.h"

#define COUNTERS_MAX 64

enum counter {
	FROM_POD_LOCAL = 0, /* redirect: to a pod of this node, by the fast path */
	FROM_POD_TUNNEL = 1, /* redirect: to a pod or overlay address of another node, by the tunnel */
	FROM_POD_ROUTED = 2, /* next: to no pod: the stack routes it */
	FROM_POD_FLOW = 3, /* next: conntrack knows the flow: the stack has it */
	FROM_POD_UNUSUAL = 4, /* next: a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it */
	FROM_POD_STACK_ONLY = 5, /* next: one of the two pods is marked for the stack */
	FROM_POD_FAST_PATH_OFF = 6, /* next: the fast path is switched off, or the kernel lacks its conntrack function */
	FROM_POD_TOO_BIG = 7, /* next: bigger than the way's MTU: the stack answers or fragments */
	DROP_FROM_POD_PROTOCOL = 9, /* drop: neither IPv4, IPv6 nor ARP, or with a VLAN tag */
	DROP_FROM_POD_MALFORMED = 10, /* drop: IPv4 with headers cut short or impossible */
	DROP_FROM_POD_SPOOFED = 11, /* drop: a source address that is not this pod's */
	DROP_FROM_POD_TUNNEL_KEY = 12, /* drop: the kernel refused the tunnel key */
	FROM_POD_DIRECT = 13, /* redirect: to a pod or overlay address of another node, without a tunnel */
	DROP_FROM_POD_IPV6 = 14, /* drop: IPv6, which pods do not have */
	DROP_FROM_POD_MAC = 15, /* drop: a source MAC that is not this pod's */

	TO_OVERLAY_KEYED = 16, /* next: came with a tunnel key, from from_pod */
	TO_OVERLAY_ROUTED = 17, /* next: routed here by the stack, got its tunnel key here */
	DROP_TO_OVERLAY_PROTOCOL = 18, /* drop: not IPv4, or with a VLAN tag */
	DROP_TO_OVERLAY_MALFORMED = 19, /* drop: IPv4 with headers cut short or impossible */
	DROP_TO_OVERLAY_NO_NODE = 20, /* drop: no other node holds the destination */
	DROP_TO_OVERLAY_TUNNEL_KEY = 21, /* drop: the kernel refused the tunnel key */
	TO_OVERLAY_DIRECT = 22, /* redirect: routed here by the stack, leaves by the uplink without a tunnel */

	FROM_OVERLAY_LOCAL = 32, /* redirect: to a pod of this node, by the fast path */
	FROM_OVERLAY_HOST = 33, /* next: to this node's overlay address: the stack has it */
	FROM_OVERLAY_FLOW = 34, /* next: conntrack knows the flow: the stack has it */
	FROM_OVERLAY_UNUSUAL = 35, /* next: a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it */
	FROM_OVERLAY_STACK_ONLY = 36, /* next: the pod is marked for the stack */
	FROM_OVERLAY_FAST_PATH_OFF = 37, /* next: the fast path is switched off, or the kernel lacks its conntrack function */
	DROP_FROM_OVERLAY_PROTOCOL = 38, /* drop: not IPv4, or with a VLAN tag */
	DROP_FROM_OVERLAY_MALFORMED = 39, /* drop: IPv4 with headers cut short or impossible */
	DROP_FROM_OVERLAY_NO_TUNNEL = 40, /* drop: no tunnel key, or another network's */
	DROP_FROM_OVERLAY_SOURCE = 41, /* drop: the tunnel's other end does not hold the inner source */
	DROP_FROM_OVERLAY_DESTINATION = 42, /* drop: neither a pod of this node nor its overlay address */

	FROM_UPLINK_LOCAL = 48, /* redirect: to a pod of this node from another node's, without a tunnel, by the fast path */
	FROM_UPLINK_STACK = 49, /* redirect: the same, but the stack's: goes on at from_overlay, on the device it belongs to */
	FROM_UPLINK_OTHER = 50, /* next: not between pods: the stack has it */
	DROP_FROM_UPLINK_UNWRITABLE = 51, /* drop: between pods, and the kernel refused to let its MACs be written */

	DROP_FROM_POD_MULTICAST = 56, /* drop: to a multicast or broadcast address, which nothing forwards */
	DROP_FROM_POD_ARP = 57, /* drop: ARP, which both ends of a wire know the answers to */
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

#endif
