// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the programs must know of the node they run on. A map and not constants of the program, so that a changed
 * MTU or a recreated device needs no reload.
 */
#ifndef FAST_LOCAL_DEV_H
#define FAST_LOCAL_DEV_H

#include "layout.h"

#define LOCAL_DEV_MAX 1

/* A person's switch: all pod traffic takes the stack. */
#define LOCAL_DEV_FAST_PATH_OFF 1

struct local_dev {
	__u32 vxlan_ifindex; /* fast_vxlan's; 0 while the agent has not filled the map */
	__u32 uplink_ifindex; /* for nodes that are reached without a tunnel */
	__be32 overlay_address; /* this node's; 0 while not known */
	__u32 overlay_mtu; /* bytes of the inner IPv4 packet */
	__u32 uplink_mtu; /* bytes of an IPv4 packet without a tunnel */
	__u32 flags; /* LOCAL_DEV_* */
};

_Static_assert(sizeof(struct local_dev) == 24, "no padding: the whole value is compared byte by byte");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LOCAL_DEV_MAX);
	__type(key, __u32);
	__type(value, struct local_dev);
} local_dev SEC(".maps");

static __always_inline struct local_dev *find_local_dev(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&local_dev, &key);
}

static __always_inline bool is_overlay_address(const struct local_dev *dev, __be32 address)
{
	return dev && dev->overlay_address && address == dev->overlay_address;
}

#endif
