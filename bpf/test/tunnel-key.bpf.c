// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Only for tests: gives a packet the tunnel key of a received one, then runs the program under test. A packet of
 * BPF_PROG_TEST_RUN carries no tunnel metadata, so without this the branches behind it could not be reached.
 */
#include "../layout.h"

/* Outside the verdicts of the programs: the tail call found no program. */
#define NO_PROGRAM (-99)

struct tunnel_key {
	__be32 source; /* the tunnel's other end, as the receiver sees it */
	__u32 vni;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tunnel_key);
} tunnel_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

SEC("tc")
int with_tunnel_key(struct __sk_buff *skb)
{
	__u32 first = 0;
	struct tunnel_key *wanted = bpf_map_lookup_elem(&tunnel_keys, &first);
	struct bpf_tunnel_key key = {};

	if (!wanted)
		return NO_PROGRAM;
	/* What get reads as the remote end is what set wrote as the local one: set makes a key to send with. */
	key.tunnel_id = wanted->vni;
	key.local_ipv4 = bpf_ntohl(wanted->source);
	key.remote_ipv4 = 0x7f000001;
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0))
		return NO_PROGRAM;
	bpf_tail_call(skb, &under_test, 0);
	return NO_PROGRAM;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
