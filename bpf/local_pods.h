// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which pods are on this node: written by the agent when it wires one, the last step of an ADD. */
#ifndef FAST_LOCAL_PODS_H
#define FAST_LOCAL_PODS_H

#include "layout.h"

/* More than any kubelet runs: its default is 110 pods, the largest supported figure 500. */
#define LOCAL_PODS_MAX 1024

/* All of the pod's traffic takes the stack, because the fast path skips the qdisc that limits its bandwidth. */
#define LOCAL_POD_STACK_ONLY 1

struct local_pod {
	__u32 ifindex; /* the host veth's, in the node's namespace */
	__u8 pod_mac[6]; /* the pod veth's */
	__u8 host_mac[6]; /* the host veth's */
	__u32 flags; /* LOCAL_POD_* */
};

_Static_assert(sizeof(struct local_pod) == 20, "no padding: the whole value is compared byte by byte");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LOCAL_PODS_MAX);
	__type(key, __be32);
	__type(value, struct local_pod);
} local_pod_ips SEC(".maps");

static __always_inline struct local_pod *find_local_pod(__be32 address)
{
	return bpf_map_lookup_elem(&local_pod_ips, &address);
}

#endif
