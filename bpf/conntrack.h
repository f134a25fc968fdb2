// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who owns a flow: the fast path skips netfilter, so a flow that was translated there (Services, hostPort, masquerade)
 * must pass it in both directions. The kernel's own conntrack knows those flows; a table of ours would forget some
 * under load and keep others after their ports are used anew.
 */
#ifndef FAST_CONNTRACK_H
#define FAST_CONNTRACK_H

#include <bpf/bpf_core_read.h>
#include "packet.h"

/* libbpf 1.1 refuses a struct that is only declared, so it gets one member. */
struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

/* The first 12 bytes of the kernel's struct, the size that every kernel with the function accepts. */
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

/* Only for the question whether the kernel has such a struct, and with it the functions (since 5.18, kernel commit
 * b4c2b9593a1c). libbpf 1.1 cannot ask for the address of a weak kernel function.
 */
struct bpf_ct_opts___kernel {
	__s32 netns_id;
} __attribute__((preserve_access_index));

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple_size,
					 struct bpf_ct_opts *opts, __u32 opts_size) __ksym __weak;
extern void bpf_ct_release(struct nf_conn *ct) __ksym __weak;

struct tuple {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
};

/* A constant once loaded: where it is false the verifier removes every branch behind it, with the missing calls. */
static __always_inline bool has_conntrack(void)
{
	return bpf_core_type_exists(struct bpf_ct_opts___kernel);
}

static __always_inline bool conntrack_knows(struct __sk_buff *skb, const struct tuple *of)
{
	/* -1 is the namespace of the packet's device. */
	struct bpf_ct_opts opts = { .netns_id = -1, .l4proto = of->protocol };
	struct bpf_sock_tuple asked = {
		.ipv4.saddr = of->source,
		.ipv4.daddr = of->destination,
		.ipv4.sport = of->source_port,
		.ipv4.dport = of->destination_port,
	};
	struct nf_conn *ct;

	if (!has_conntrack())
		return true;
	ct = bpf_skb_ct_lookup(skb, &asked, sizeof(asked.ipv4), &opts, sizeof(opts));
	if (!ct)
		return false;
	bpf_ct_release(ct);
	return true;
}

static __always_inline struct tuple reversed(const struct tuple *of)
{
	return (struct tuple){
		.source = of->destination,
		.destination = of->source,
		.source_port = of->destination_port,
		.destination_port = of->source_port,
		.protocol = of->protocol,
	};
}

/* An ICMP error travels against the packet that it quotes, so its flow is that packet's, reversed. What is quoted only
 * in part, or with options, is left to the stack.
 */
static __always_inline bool quoted_flow_is_known(struct __sk_buff *skb)
{
	struct {
		struct iphdr ip;
		__be16 ports[2];
	} quoted;
	struct tuple flow;

	if (read_packet(skb, OFFSET_QUOTED_IP, &quoted, sizeof(quoted)) || quoted.ip.ihl != IP_HEADER_WORDS)
		return true;
	if (quoted.ip.protocol != IPPROTO_TCP && quoted.ip.protocol != IPPROTO_UDP)
		return false;
	flow = (struct tuple){
		.source = quoted.ip.daddr,
		.destination = quoted.ip.saddr,
		.source_port = quoted.ports[1],
		.destination_port = quoted.ports[0],
		.protocol = quoted.ip.protocol,
	};
	return conntrack_knows(skb, &flow);
}

/* Whether conntrack has the packet's flow. One that may open a flow is asked for in both directions: its port may still
 * belong to a Service's flow whose other end was this one, and the answer would be taken for that one's. The stack, which
 * sees the clash, gives the new flow another port. Ping is nobody's flow, Services have none.
 */
static __always_inline bool flow_is_known(struct __sk_buff *skb, const struct packet *packet)
{
	struct tuple flow = {
		.source = packet->source,
		.destination = packet->destination,
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
		.protocol = packet->protocol,
	};
	struct tuple back;

	if (packet->protocol == IPPROTO_ICMP)
		return packet->icmp_error && quoted_flow_is_known(skb);
	if (conntrack_knows(skb, &flow))
		return true;
	if (!packet->opening)
		return false;
	back = reversed(&flow);
	return conntrack_knows(skb, &back);
}

#endif
