// SPDX-License-Identifier: Apache-2.0
// Every name that two parts must agree on.

/** Of this release: its images' tag, and what programs say of themselves. package.json has the same. */
export const version = '0.1.0';

export const apiVersion = 'sample.fast.io/v1alpha1';

/** On a pod or a namespace: the pool that its pods get their addresses from. */
export const poolAnnotation = 'fast.io/ips';
/** On a pod: the one address that it shall have. */
export const addressAnnotation = 'fast.io/ip';
/** A pod's scheduling gate: it is not scheduled before there is an address for it. */
export const schedulingGate = 'fast.io/address';
/** On a pod whose gate was lifted: the pool that it expects its address from. */
export const expectsAnnotation = 'fast.io/expects';
/** The pool of pods that name none. */
export const defaultPool = 'default-ips';
/** The pool of usage Node that the install ships; overlay addresses are from it. */
export const nodePool = 'fast-nodes';
/** Keeps a pool that is in use. */
export const poolFinalizer = 'sample.fast.io/in-use';
/** On a static pod's mirror: the only identity that the container runtime knows it by. */
export const staticPodAnnotation = 'kubernetes.io/config.mirror';

/** On a NodeEndpoint: the node's agent takes all of Fast off its node, and says so by the condition `Removed`. */
export const removalAnnotation = 'sample.fast.io/remove';
export const removedCondition = 'Removed';

/** On the agents' DaemonSet: the term of the leader that wrote it last. */
export const termAnnotation = 'sample.fast.io/leader-term';

export const controllerName = 'fast-controller-manager';
export const agentName = 'fast-agent';
/** The labels of a node that takes an agent. */
export const agentNodeLabels = { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' };
export const installNamespace = 'fast-system';
/** The ConfigMap of knobs, in the install's namespace. */
export const configMapName = 'fast-config';

/** The name of the network in the configuration that the agent installs. */
export const cniNetwork = 'fast';

export const vxlanDevice = 'fast_vxlan';
/** IANA's port for VXLAN, RFC 7348 section 8. */
export const vxlanPort = 4789;
/** Bytes that the tunnel adds: IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 section 5). */
export const vxlanOverheadBytes = 50;

export const agentSocketPath = '/run/fast/agent.sock';
export const bpfPinFolder = '/sys/fs/bpf/fast';

/** How nodes reach each other's pods, in the ConfigMap and as a flag of the agent. */
export const modes = ['tunnel', 'direct'] as const;
/** `direct`: without a tunnel wherever a pair of nodes can. */
export type Mode = (typeof modes)[number];
