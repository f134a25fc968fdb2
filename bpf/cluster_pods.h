// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which other node holds an address: its pods' and its overlay address. Never a node's own address, or the traffic
 * from pods to the API server would be tunnelled.
 */
#ifndef FAST_CLUSTER_PODS_H
#define FAST_CLUSTER_PODS_H

#include "layout.h"

/* 150,000 pods and 5,000 nodes, with room for addresses that are moving. */
#define CLUSTER_PODS_MAX 262144

/* The node is reached by the uplink, without a tunnel. */
#define CLUSTER_POD_DIRECT 1
/* The node stands in the uplink's own network, so what it sends may come without a tunnel: a node that changes its mode
 * begins to send before all others know.
 */
#define CLUSTER_POD_ADJACENT 2

struct cluster_pod {
	__be32 node_address; /* the node's end of the tunnel */
	__u32 flags; /* CLUSTER_POD_* */
};

_Static_assert(sizeof(struct cluster_pod) == 8, "no padding: the whole value is compared byte by byte");

/* Not preallocated: a small cluster should not pay for 262,144 entries. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CLUSTER_PODS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __be32);
	__type(value, struct cluster_pod);
} cluster_pod_ips SEC(".maps");

static __always_inline struct cluster_pod *find_cluster_pod(__be32 address)
{
	return bpf_map_lookup_elem(&cluster_pod_ips, &address);
}

#endif
