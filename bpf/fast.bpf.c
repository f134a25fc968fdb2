// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The datapath: three programs at the tc hook, each named by where a packet comes from or goes to. Whatever they do not
 * decide takes the kernel's stack, which knows every route and rule; so each of them is only a shortcut or a guard.
 */
#include "layout.h"
#include "counters.h"
#include "local_dev.h"
#include "local_pods.h"
#include "cluster_pods.h"
#include "packet.h"
#include "conntrack.h"
#include "tunnel.h"

/* Without conntrack's answer a translated flow cannot be told from a direct one, so nothing takes the fast path. */
static __always_inline bool fast_path_is_off(const struct local_dev *dev)
{
	return !has_conntrack() || dev->flags & LOCAL_DEV_FAST_PATH_OFF || !dev->vxlan_ifindex;
}

/* Hands the packet to the pod's own end of the wire, past the host's receive queue. Pods see each other as one hop:
 * the TTL stays.
 */
static __always_inline int deliver(struct __sk_buff *skb, const struct local_pod *pod, enum counter why, enum counter bad)
{
	struct {
		__u8 destination[ETH_ALEN];
		__u8 source[ETH_ALEN];
	} macs;

	__builtin_memcpy(macs.destination, pod->pod_mac, ETH_ALEN);
	__builtin_memcpy(macs.source, pod->host_mac, ETH_ALEN);
	if (bpf_skb_store_bytes(skb, 0, &macs, sizeof(macs), 0))
		return drop(bad);
	count(why);
	return bpf_redirect_peer(pod->ifindex, 0);
}

/* Ingress of a host veth: what a pod sends. */
SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	const struct local_dev *dev = find_local_dev();
	const struct local_pod *self, *pod;
	const struct cluster_pod *remote;
	struct packet packet = {};

	switch (parse(skb, &packet)) {
	case PARSED_ARP:
		return pass(FROM_POD_ARP);
	case PARSED_OTHER_PROTOCOL:
		return drop(DROP_FROM_POD_PROTOCOL);
	case PARSED_MALFORMED:
		return drop(DROP_FROM_POD_MALFORMED);
	case PARSED:
		break;
	}
	self = find_local_pod(packet.source);
	if (!self || self->ifindex != skb->ifindex)
		return drop(DROP_FROM_POD_SPOOFED);
	pod = find_local_pod(packet.destination);
	remote = pod ? NULL : find_cluster_pod(packet.destination);
	if (!pod && !remote)
		return pass(FROM_POD_ROUTED);
	if (!dev || fast_path_is_off(dev))
		return pass(FROM_POD_FAST_PATH_OFF);
	if (self->flags & LOCAL_POD_STACK_ONLY || (pod && pod->flags & LOCAL_POD_STACK_ONLY))
		return pass(FROM_POD_STACK_ONLY);
	if (packet.unusual)
		return pass(FROM_POD_UNUSUAL);
	if (flow_is_known(skb, &packet))
		return pass(FROM_POD_FLOW);
	if (pod)
		return deliver(skb, pod, FROM_POD_LOCAL, DROP_FROM_POD_MALFORMED);
	/* The kernel would fragment the outer packet in silence, whatever the inner one's DF says. */
	if (exceeds(skb, &packet, dev->overlay_mtu))
		return pass(FROM_POD_TOO_BIG);
	if (!remote || set_tunnel_end(skb, remote->node_address))
		return drop(DROP_FROM_POD_TUNNEL_KEY);
	count(FROM_POD_TUNNEL);
	return bpf_redirect(dev->vxlan_ifindex, 0);
}

/* Egress of fast_vxlan: what from_pod sent here has its key; what the stack routed here gets one. */
SEC("tc")
int to_overlay(struct __sk_buff *skb)
{
	const struct cluster_pod *remote;
	struct packet packet = {};

	if (has_tunnel_key(skb))
		return pass(TO_OVERLAY_KEYED);
	switch (parse(skb, &packet)) {
	case PARSED_ARP:
	case PARSED_OTHER_PROTOCOL:
		return drop(DROP_TO_OVERLAY_PROTOCOL);
	case PARSED_MALFORMED:
		return drop(DROP_TO_OVERLAY_MALFORMED);
	case PARSED:
		break;
	}
	remote = find_cluster_pod(packet.destination);
	if (!remote)
		return drop(DROP_TO_OVERLAY_NO_NODE);
	if (set_tunnel_end(skb, remote->node_address))
		return drop(DROP_TO_OVERLAY_TUNNEL_KEY);
	return pass(TO_OVERLAY_ROUTED);
}

/* Ingress of fast_vxlan: what other nodes send. Anyone who reaches the port could send here, so only what its node
 * holds comes in, and only to where it belongs.
 */
SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
	const struct local_dev *dev = find_local_dev();
	const struct cluster_pod *sender;
	const struct local_pod *pod;
	struct packet packet = {};
	__be32 node_address;

	/* The inner frame's MAC is nobody's here, so the kernel took it for another host's, and ip_rcv would drop it. */
	bpf_skb_change_type(skb, PACKET_HOST);
	switch (parse(skb, &packet)) {
	case PARSED_ARP:
	case PARSED_OTHER_PROTOCOL:
		return drop(DROP_FROM_OVERLAY_PROTOCOL);
	case PARSED_MALFORMED:
		return drop(DROP_FROM_OVERLAY_MALFORMED);
	case PARSED:
		break;
	}
	node_address = tunnel_source(skb);
	if (!node_address)
		return drop(DROP_FROM_OVERLAY_NO_TUNNEL);
	sender = find_cluster_pod(packet.source);
	if (!sender || sender->node_address != node_address)
		return drop(DROP_FROM_OVERLAY_SOURCE);
	pod = find_local_pod(packet.destination);
	if (!pod && dev && dev->overlay_address && packet.destination == dev->overlay_address)
		return pass(FROM_OVERLAY_HOST);
	if (!pod)
		return drop(DROP_FROM_OVERLAY_DESTINATION);
	if (!dev || fast_path_is_off(dev))
		return pass(FROM_OVERLAY_FAST_PATH_OFF);
	if (pod->flags & LOCAL_POD_STACK_ONLY)
		return pass(FROM_OVERLAY_STACK_ONLY);
	if (packet.unusual)
		return pass(FROM_OVERLAY_UNUSUAL);
	if (flow_is_known(skb, &packet))
		return pass(FROM_OVERLAY_FLOW);
	return deliver(skb, pod, FROM_OVERLAY_LOCAL, DROP_FROM_OVERLAY_MALFORMED);
}

/* GPL-compatible, which the kernel asks of those who call its conntrack functions. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
