// SPDX-License-Identifier: Apache-2.0
// The agents' DaemonSet. It is made here and not in the manifests, since an operator bundle cannot carry one; so both
// ways to install Fast lead to the same object.
import { agentName, agentNodeLabels, bpfPinFolder } from '../api/names.ts';
import type { OwnerReference } from '../api/object.ts';
import type { DaemonSet } from '../kube/resources.ts';

export interface AgentFacts {
  readonly namespace: string;
  readonly image: string;
  /** The ConfigMap's knobs as flags of the agent. */
  readonly args: readonly string[];
  readonly resources?: Readonly<Record<string, unknown>>;
  /** The controller's Deployment, so that the agents go when it goes. */
  readonly owner?: OwnerReference;
}

/** Where the agent answers its readiness probe, on the node's loopback. */
export const AGENT_HEALTH_PORT = 9441;

interface HostFolder {
  readonly name: string;
  readonly path: string;
  /** HostToContainer where the host mounts things below it after the agent has started. */
  readonly propagation?: 'HostToContainer';
}

const hostFolders: readonly HostFolder[] = [
  { name: 'cni-bin', path: '/opt/cni/bin' },
  { name: 'cni-conf', path: '/etc/cni/net.d' },
  { name: 'run-fast', path: '/run/fast' },
  // Where the agent tells udev, networkd and NetworkManager to leave its devices alone.
  { name: 'run-systemd-network', path: '/run/systemd/network' },
  { name: 'run-networkmanager', path: '/run/NetworkManager/conf.d' },
  // The runtime makes a pod's network namespace as a mount here, after the agent has started.
  { name: 'run-netns', path: '/run/netns', propagation: 'HostToContainer' },
  { name: 'bpf', path: bpfPinFolder.slice(0, bpfPinFolder.lastIndexOf('/')), propagation: 'HostToContainer' },
];

export function agentDaemonSet(facts: AgentFacts): DaemonSet {
  const labels = { 'app.kubernetes.io/name': agentName };
  return {
    metadata: {
      name: agentName,
      namespace: facts.namespace,
      labels,
      ...(facts.owner === undefined ? {} : { ownerReferences: [facts.owner] }),
    },
    spec: {
      selector: { matchLabels: labels },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: agentName,
          // It makes the node ready, so it can wait for nothing that a ready node has.
          hostNetwork: true,
          // What the image is built for.
          nodeSelector: agentNodeLabels,
          tolerations: [{ operator: 'Exists' }],
          priorityClassName: 'system-node-critical',
          terminationGracePeriodSeconds: 10,
          containers: [agentContainer(facts)],
          volumes: hostFolders.map(({ name, path }) => ({ name, hostPath: { path, type: 'DirectoryOrCreate' } })),
        },
      },
    },
  };
}

function agentContainer({ image, args, resources }: AgentFacts): { name: string; [field: string]: unknown } {
  return {
    name: 'agent',
    image,
    imagePullPolicy: 'IfNotPresent',
    args: ['--health-port', `${AGENT_HEALTH_PORT}`, ...args],
    env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
    securityContext: { privileged: true },
    readinessProbe: {
      httpGet: { host: '127.0.0.1', port: AGENT_HEALTH_PORT, path: '/readyz' },
      periodSeconds: 2,
      timeoutSeconds: 2,
    },
    resources: resources ?? { requests: { cpu: '50m', memory: '128Mi' } },
    volumeMounts: hostFolders.map(({ name, path, propagation }) => ({
      name,
      mountPath: path,
      ...(propagation === undefined ? {} : { mountPropagation: propagation }),
    })),
  };
}
