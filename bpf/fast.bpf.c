// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The datapath: four programs at the tc hook, each named by where a packet comes from or goes to. Whatever they do not
 * decide takes the kernel's stack, which knows every route and rule; so each of them is only a shortcut or a guard.
 */
#include "layout.h"
#include "counters.h"
#include "local_dev.h"
#include "local_pods.h"
#include "cluster_pods.h"
#include "packet.h"
#include "drops.h"
#include "conntrack.h"
#include "tunnel.h"
#include "direct.h"

/* Without conntrack's answer a translated flow cannot be told from a direct one, so nothing takes the fast path. */
static __always_inline bool fast_path_is_off(const struct local_dev *dev)
{
	return !has_conntrack() || dev->flags & LOCAL_DEV_FAST_PATH_OFF || !dev->vxlan_ifindex;
}

struct outcomes {
	enum counter delivered;
	enum counter unwritable;
};

/* Hands the packet to the pod's own end of the wire, past the host's receive queue. Pods see each other as one hop:
 * the TTL stays.
 */
static __always_inline int deliver(struct __sk_buff *skb, const struct packet *packet, const struct local_pod *pod,
				   struct outcomes counters)
{
	struct {
		__u8 destination[ETH_ALEN];
		__u8 source[ETH_ALEN];
	} macs;

	__builtin_memcpy(macs.destination, pod->pod_mac, ETH_ALEN);
	__builtin_memcpy(macs.source, pod->host_mac, ETH_ALEN);
	if (bpf_skb_store_bytes(skb, 0, &macs, sizeof(macs), 0))
		return drop(skb, packet, counters.unwritable);
	count(counters.delivered);
	return bpf_redirect_peer(pod->ifindex, 0);
}

/* To the node of another pod. The size is looked at first: the kernel would fragment the outer packet in silence,
 * whatever the inner one's DF says, and nobody would answer for one that the uplink cannot take.
 */
static __always_inline int send_to_node(struct __sk_buff *skb, const struct packet *packet, const struct local_dev *dev,
					const struct cluster_pod *remote)
{
	bool direct = remote->flags & CLUSTER_POD_DIRECT;

	if (exceeds(skb, packet, direct ? dev->uplink_mtu : dev->overlay_mtu))
		return pass(FROM_POD_TOO_BIG);
	if (direct) {
		count(FROM_POD_DIRECT);
		return redirect_to_node(dev, remote->node_address);
	}
	if (set_tunnel_end(skb, remote->node_address))
		return drop(skb, packet, DROP_FROM_POD_TUNNEL_KEY);
	count(FROM_POD_TUNNEL);
	return bpf_redirect(dev->vxlan_ifindex, 0);
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
		return drop(skb, &packet, DROP_FROM_POD_ARP);
	case PARSED_IPV6:
		return drop(skb, &packet, DROP_FROM_POD_IPV6);
	case PARSED_OTHER_PROTOCOL:
		return drop(skb, &packet, DROP_FROM_POD_PROTOCOL);
	case PARSED_MALFORMED:
		return drop(skb, &packet, DROP_FROM_POD_MALFORMED);
	case PARSED:
		break;
	}
	self = find_local_pod(packet.source);
	if (!self || self->ifindex != skb->ifindex)
		return drop(skb, &packet, DROP_FROM_POD_SPOOFED);
	if (!is_sent_by(skb, self->pod_mac))
		return drop(skb, &packet, DROP_FROM_POD_MAC);
	if (is_multicast(packet.destination))
		return drop(skb, &packet, DROP_FROM_POD_MULTICAST);
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
		return deliver(skb, &packet, pod, (struct outcomes){ FROM_POD_LOCAL, DROP_FROM_POD_MALFORMED });
	if (!remote)
		return pass(FROM_POD_ROUTED);
	return send_to_node(skb, &packet, dev, remote);
}

/* Egress of fast_vxlan: what from_pod sent here has its key; what the stack routed here gets one, or leaves directly. */
SEC("tc")
int to_overlay(struct __sk_buff *skb)
{
	const struct local_dev *dev = find_local_dev();
	const struct cluster_pod *remote;
	struct packet packet = {};

	if (has_tunnel_key(skb))
		return pass(TO_OVERLAY_KEYED);
	switch (parse(skb, &packet)) {
	case PARSED_ARP:
	case PARSED_IPV6:
	case PARSED_OTHER_PROTOCOL:
		return drop(skb, &packet, DROP_TO_OVERLAY_PROTOCOL);
	case PARSED_MALFORMED:
		return drop(skb, &packet, DROP_TO_OVERLAY_MALFORMED);
	case PARSED:
		break;
	}
	remote = find_cluster_pod(packet.destination);
	if (!remote)
		return drop(skb, &packet, DROP_TO_OVERLAY_NO_NODE);
	if (dev && remote->flags & CLUSTER_POD_DIRECT) {
		count(TO_OVERLAY_DIRECT);
		return redirect_to_node(dev, remote->node_address);
	}
	if (set_tunnel_end(skb, remote->node_address))
		return drop(skb, &packet, DROP_TO_OVERLAY_TUNNEL_KEY);
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
	bool direct = came_directly(skb);

	/* The inner frame's MAC is nobody's here, so the kernel took it for another host's, and ip_rcv would drop it. */
	bpf_skb_change_type(skb, PACKET_HOST);
	packet.tunnel_source = tunnel_source(skb);
	switch (parse(skb, &packet)) {
	case PARSED_ARP:
	case PARSED_IPV6:
	case PARSED_OTHER_PROTOCOL:
		return drop(skb, &packet, DROP_FROM_OVERLAY_PROTOCOL);
	case PARSED_MALFORMED:
		return drop(skb, &packet, DROP_FROM_OVERLAY_MALFORMED);
	case PARSED:
		break;
	}
	if (!packet.tunnel_source && !direct)
		return drop(skb, &packet, DROP_FROM_OVERLAY_NO_TUNNEL);
	sender = find_cluster_pod(packet.source);
	if (!sender || (!direct && sender->node_address != packet.tunnel_source))
		return drop(skb, &packet, DROP_FROM_OVERLAY_SOURCE);
	pod = find_local_pod(packet.destination);
	if (!pod && is_overlay_address(dev, packet.destination))
		return pass(FROM_OVERLAY_HOST);
	if (!pod)
		return drop(skb, &packet, DROP_FROM_OVERLAY_DESTINATION);
	if (!dev || fast_path_is_off(dev))
		return pass(FROM_OVERLAY_FAST_PATH_OFF);
	if (pod->flags & LOCAL_POD_STACK_ONLY)
		return pass(FROM_OVERLAY_STACK_ONLY);
	if (packet.unusual)
		return pass(FROM_OVERLAY_UNUSUAL);
	if (flow_is_known(skb, &packet))
		return pass(FROM_OVERLAY_FLOW);
	return deliver(skb, &packet, pod, (struct outcomes){ FROM_OVERLAY_LOCAL, DROP_FROM_OVERLAY_MALFORMED });
}

/* Ingress of the uplink, where nodes reach each other without a tunnel: what neighbours' pods send to this node's. It
 * only takes the short way; whatever is not plainly a pod's to a pod is decided by from_overlay or by the stack.
 */
SEC("tc")
int from_uplink(struct __sk_buff *skb)
{
	const struct local_dev *dev = find_local_dev();
	const struct cluster_pod *sender;
	const struct local_pod *pod;
	struct packet packet = {};

	if (!dev || !dev->vxlan_ifindex || parse(skb, &packet) != PARSED)
		return pass(FROM_UPLINK_OTHER);
	pod = find_local_pod(packet.destination);
	if (!pod && !is_overlay_address(dev, packet.destination))
		return pass(FROM_UPLINK_OTHER);
	sender = find_cluster_pod(packet.source);
	if (!sender || !(sender->flags & CLUSTER_POD_ADJACENT))
		return pass(FROM_UPLINK_OTHER);
	if (!pod || fast_path_is_off(dev) || pod->flags & LOCAL_POD_STACK_ONLY || packet.unusual ||
	    flow_is_known(skb, &packet)) {
		count(FROM_UPLINK_STACK);
		return redirect_to_overlay_ingress(skb, dev);
	}
	return deliver(skb, &packet, pod, (struct outcomes){ FROM_UPLINK_LOCAL, DROP_FROM_UPLINK_UNWRITABLE });
}

/* GPL-compatible, which the kernel asks of those who call its conntrack functions. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
