// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How a packet reaches another node without a tunnel, where both stand in one network: the frame is addressed to the
 * node, and the packet in it stays as the pod sent it.
 */
#ifndef FAST_DIRECT_H
#define FAST_DIRECT_H

#include "layout.h"
#include "local_dev.h"

/* AF_INET of the kernel. */
#define FAMILY_IPV4 2
/* On what from_uplink hands to from_overlay: the packet was looked at and came by no tunnel. No peer can set a mark. */
#define DIRECT_MARK 0xfa57d1ec

/* The kernel resolves the node's MAC, and queues the packet while it does. */
static __always_inline long redirect_to_node(const struct local_dev *dev, __be32 node_address)
{
	struct bpf_redir_neigh next_hop = { .nh_family = FAMILY_IPV4, .ipv4_nh = node_address };

	return bpf_redirect_neigh(dev->uplink_ifindex, &next_hop, sizeof(next_hop), 0);
}

/* To where the packet would have come out of a tunnel. On the uplink the stack would drop it, since the way back to its
 * source is not there (rp_filter), and conntrack and masquerading would see another device than in the tunnel.
 */
static __always_inline long redirect_to_overlay_ingress(struct __sk_buff *skb, const struct local_dev *dev)
{
	skb->mark = DIRECT_MARK;
	return bpf_redirect(dev->vxlan_ifindex, BPF_F_INGRESS);
}

/* Whether from_uplink sent the packet here; asked once, the mark goes. */
static __always_inline bool came_directly(struct __sk_buff *skb)
{
	if (skb->mark != DIRECT_MARK)
		return false;
	skb->mark = 0;
	return true;
}

#endif
