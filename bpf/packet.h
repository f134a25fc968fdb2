// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a packet says about itself. Headers are copied out of the packet and never pulled into its linear part: a
 * partial pull of a segmented UDP packet panics kernels before 6.16, and every pull makes the pointers stale.
 */
#ifndef FAST_PACKET_H
#define FAST_PACKET_H

#include "layout.h"

#define IP_MORE_FRAGMENTS_OR_OFFSET 0x3fff
#define IP_HEADER_WORDS 5
#define PACKET_HOST 0

/* Offsets in bytes from the start of the frame, true where the IPv4 header has no options. */
#define OFFSET_SOURCE_MAC ETH_ALEN
#define OFFSET_IP ETH_HLEN
#define OFFSET_L4 (ETH_HLEN + 20)
/* RFC 792: after an error's eight bytes comes the header of the packet that caused it, and eight bytes of its data. */
#define OFFSET_QUOTED_IP (OFFSET_L4 + 8)

enum parsed {
	PARSED,
	PARSED_ARP,
	PARSED_IPV6,
	PARSED_OTHER_PROTOCOL,
	PARSED_MALFORMED,
};

struct packet {
	__be32 source;
	__be32 destination;
	__be32 tunnel_source; /* the tunnel's other end; 0 where it came by none */
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 tcp_header_bytes;
	bool unusual; /* only the stack can follow it: a fragment, options, another protocol */
	bool opening; /* it may be its flow's first: TCP's SYN without ACK, any datagram */
	bool icmp_error;
};

/* Copies from the packet's linear part where it can, else by the helper. 0 is success. Every header behind Ethernet's
 * 14 bytes and the source MAC are aligned to four, as the kernel places frames; said aloud, they are copied by words and
 * not by bytes.
 */
static __always_inline long read_packet(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
	void *data = (void *)(long)skb->data;

	if (data + offset + size <= (void *)(long)skb->data_end) {
		__builtin_memcpy(to, __builtin_assume_aligned(data + offset, 4), size);
		return 0;
	}
	return bpf_skb_load_bytes(skb, offset, to, size);
}

/* RFC 792 and 1812: destination unreachable, time exceeded, parameter problem. All others are flows of their own. */
static __always_inline bool is_icmp_error(__u8 type)
{
	return type == 3 || type == 11 || type == 12;
}

static __always_inline enum parsed parse_l4(struct __sk_buff *skb, struct packet *packet)
{
	struct tcphdr tcp;
	__be16 ports[2];
	__u8 icmp[8];

	switch (packet->protocol) {
	case IPPROTO_TCP:
		if (read_packet(skb, OFFSET_L4, &tcp, sizeof(tcp)))
			return PARSED_MALFORMED;
		packet->source_port = tcp.source;
		packet->destination_port = tcp.dest;
		packet->opening = tcp.syn && !tcp.ack;
		packet->tcp_header_bytes = tcp.doff * 4;
		return PARSED;
	case IPPROTO_UDP:
		if (read_packet(skb, OFFSET_L4, ports, sizeof(ports)))
			return PARSED_MALFORMED;
		packet->source_port = ports[0];
		packet->destination_port = ports[1];
		packet->opening = true;
		return PARSED;
	case IPPROTO_ICMP:
		if (read_packet(skb, OFFSET_L4, icmp, sizeof(icmp)))
			return PARSED_MALFORMED;
		packet->icmp_error = is_icmp_error(icmp[0]);
		return PARSED;
	default:
		packet->unusual = true;
		return PARSED;
	}
}

static __always_inline enum parsed parse(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr ip;

	if (skb->vlan_present)
		return PARSED_OTHER_PROTOCOL;
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return PARSED_ARP;
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return PARSED_IPV6;
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return PARSED_OTHER_PROTOCOL;
	if (read_packet(skb, OFFSET_IP, &ip, sizeof(ip)))
		return PARSED_MALFORMED;
	if (ip.version != 4 || ip.ihl < IP_HEADER_WORDS)
		return PARSED_MALFORMED;
	packet->source = ip.saddr;
	packet->destination = ip.daddr;
	packet->protocol = ip.protocol;
	if (ip.ihl != IP_HEADER_WORDS || ip.frag_off & bpf_htons(IP_MORE_FRAGMENTS_OR_OFFSET)) {
		packet->unusual = true;
		return PARSED;
	}
	return parse_l4(skb, packet);
}

/* Whether the frame was sent with this source MAC. */
static __always_inline bool is_sent_by(struct __sk_buff *skb, const __u8 *mac)
{
	__u16 source[ETH_ALEN / 2], wanted[ETH_ALEN / 2];

	if (read_packet(skb, OFFSET_SOURCE_MAC, source, sizeof(source)))
		return false;
	__builtin_memcpy(wanted, mac, sizeof(wanted));
	return source[0] == wanted[0] && source[1] == wanted[1] && source[2] == wanted[2];
}

/* 224.0.0.0/4 and 255.255.255.255: RFC 5771 and RFC 919. */
static __always_inline bool is_multicast(__be32 address)
{
	return (address & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || address == 0xffffffff;
}

/* Whether the packet, or a segment of it, would not go through `mtu` bytes of IPv4. A segmented packet is judged by
 * its segments, which the device or the kernel makes after us.
 */
static __always_inline bool exceeds(struct __sk_buff *skb, const struct packet *packet, __u32 mtu)
{
	__u32 l4_bytes = packet->protocol == IPPROTO_TCP ? packet->tcp_header_bytes : 8;

	if (skb->gso_size)
		return sizeof(struct iphdr) + l4_bytes + skb->gso_size > mtu;
	return skb->len - ETH_HLEN > mtu;
}

#endif
