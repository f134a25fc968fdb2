// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The last drops, so that a person sees whose packet it was and not only that there was one.
 *
 * An array that is written round and round, and not BPF_MAP_TYPE_RINGBUF: that one needs a reader at all times or keeps
 * the oldest records for ever, and two readers steal each other's. This one any number of people may look at. A slot
 * may be overwritten while it is read; that can only be the oldest.
 */
#ifndef FAST_DROPS_H
#define FAST_DROPS_H

#include "layout.h"
#include "counters.h"
#include "packet.h"

/* A power of two: the sequence is taken modulo this. */
#define DROPS_MAX 1024
#define DROPS_WRITTEN_MAX 1
/* At most one record for each counter and CPU in this many ns: a flood must cost no more than its counting. */
#define DROPS_INTERVAL_NS 100000000

struct drop_record {
	__u64 at_ns; /* CLOCK_MONOTONIC */
	__u64 sequence; /* from 1; 0 says that the slot was never written */
	__u32 counter; /* enum counter: the program and the reason */
	__u32 ifindex; /* the device that the program hangs on */
	__u32 bytes; /* of the whole frame */
	__be32 source; /* 0 where the packet was not read so far, as all that follows */
	__be32 destination;
	__be32 tunnel_source; /* the tunnel's other end */
	__be16 ethertype;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol; /* of IPv4 */
	__u8 unused;
};

_Static_assert(sizeof(struct drop_record) == 48, "no padding: the whole value is compared byte by byte");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DROPS_MAX);
	__type(key, __u32);
	__type(value, struct drop_record);
} drops SEC(".maps");

/* How many records were ever written. A map of its own, so that it goes on where a former build's programs left off. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DROPS_WRITTEN_MAX);
	__type(key, __u32);
	__type(value, __u64);
} drops_written SEC(".maps");

/* When this CPU last wrote a record, by counter. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} drops_told SEC(".maps");

static __always_inline bool is_due(enum counter why, __u64 now_ns)
{
	__u32 key = why;
	__u64 *told_ns = bpf_map_lookup_elem(&drops_told, &key);

	if (!told_ns || now_ns - *told_ns < DROPS_INTERVAL_NS)
		return false;
	*told_ns = now_ns;
	return true;
}

/* Not inlined: a dozen places drop, and none of them is in a hurry. */
static __noinline int write_drop(struct __sk_buff *skb, const struct packet *packet, __u32 why)
{
	__u64 now_ns = bpf_ktime_get_ns();
	struct drop_record *slot;
	__u32 first = 0, key;
	__u64 *written, sequence;

	if (!packet || !is_due(why, now_ns))
		return 0;
	written = bpf_map_lookup_elem(&drops_written, &first);
	if (!written)
		return 0;
	sequence = __sync_fetch_and_add(written, 1) + 1;
	key = sequence % DROPS_MAX;
	slot = bpf_map_lookup_elem(&drops, &key);
	if (!slot)
		return 0;
	*slot = (struct drop_record){
		.at_ns = now_ns,
		.sequence = sequence,
		.counter = why,
		.ifindex = skb->ifindex,
		.bytes = skb->len,
		.source = packet->source,
		.destination = packet->destination,
		.tunnel_source = packet->tunnel_source,
		.ethertype = skb->protocol,
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
		.protocol = packet->protocol,
	};
	return 0;
}

static __always_inline int drop(struct __sk_buff *skb, const struct packet *packet, enum counter why)
{
	count(why);
	write_drop(skb, packet, why);
	return TCX_DROP;
}

#endif
