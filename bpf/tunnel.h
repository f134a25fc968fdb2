// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How a packet is addressed to another node: fast_vxlan carries no peers of its own, each packet brings its key. */
#ifndef FAST_TUNNEL_H
#define FAST_TUNNEL_H

#include "layout.h"

/* The network's number in the VXLAN header, RFC 7348 section 5. */
#define TUNNEL_VNI 1
/* Hops that the outer packet may take. */
#define TUNNEL_TTL 64

/* Kernels before 5.19 ("bpf: Add source ip in struct bpf_tunnel_key") know the key up to here and refuse any other size;
 * later ones take both.
 */
#define TUNNEL_KEY_SIZE __builtin_offsetof(struct bpf_tunnel_key, local_ipv4)

/* The helper takes the remote end in the machine's order and writes the outer source itself: the overlay address there
 * would be dropped by clouds as foreign. No outer UDP checksum: IPv4 allows none (RFC 7348 section 4.1), and hardware
 * that offloads it wrongly has stalled others. 0 is success.
 */
static __always_inline long set_tunnel_end(struct __sk_buff *skb, __be32 node_address)
{
	struct bpf_tunnel_key key = {
		.tunnel_id = TUNNEL_VNI,
		.remote_ipv4 = bpf_ntohl(node_address),
		.tunnel_ttl = TUNNEL_TTL,
	};

	return bpf_skb_set_tunnel_key(skb, &key, TUNNEL_KEY_SIZE, BPF_F_ZERO_CSUM_TX);
}

static __always_inline bool has_tunnel_key(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key;

	return bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY_SIZE, 0) == 0;
}

/* The other end of the tunnel that the packet came through, 0 where it came through none of ours. */
static __always_inline __be32 tunnel_source(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key;

	if (bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY_SIZE, 0) || key.tunnel_id != TUNNEL_VNI)
		return 0;
	return bpf_htonl(key.remote_ipv4);
}

#endif
