// SPDX-License-Identifier: Apache-2.0
// What runs on each machine, and with which settings. Everything here is data: machine.sh starts it.
import { join } from 'node:path';
import { pauseImage } from './images.ts';
import { machineFolder, pkiFolder, programPath, stateFolder } from './paths.ts';
import type { MachinePlan } from './state.ts';

export const serviceRange = '10.96.0.0/16';
export const apiServiceAddress = '10.96.0.1';

export interface Daemon {
  name: string;
  argv: string[];
  /** A file that must exist before it is worth starting. */
  after?: string;
}

const pki = (file: string): string => join(pkiFolder, file);
/** A machine's own copy of the kubeconfig of the program `user`. */
export const kubeconfigOf = (machine: string, user: string): string =>
  join(machineFolder(machine), 'configuration', `${user}.kubeconfig`);
export const configurationFile = (machine: string, file: string): string =>
  join(machineFolder(machine), 'configuration', file);

const containerdSocket = '/run/containerd/containerd.sock';

const nodeDaemons = (machine: MachinePlan): Daemon[] => [
  { name: 'containerd', argv: ['containerd', '--config', configurationFile(machine.name, 'containerd.toml')] },
  {
    name: 'kubelet',
    after: containerdSocket,
    argv: [
      programPath('kubelet'),
      `--config=${configurationFile(machine.name, 'kubelet.json')}`,
      `--kubeconfig=${kubeconfigOf(machine.name, 'kubelet')}`,
      `--hostname-override=${machine.name}`,
      `--node-ip=${machine.address}`,
    ],
  },
  {
    name: 'kube-proxy',
    argv: [programPath('kube-proxy'), `--config=${configurationFile(machine.name, 'kube-proxy.json')}`],
  },
];

const apiServer = (machine: MachinePlan): string[] => [
  programPath('kube-apiserver'),
  '--etcd-servers=http://127.0.0.1:2379',
  `--advertise-address=${machine.address}`,
  '--secure-port=6443',
  `--tls-cert-file=${pki('apiserver.crt')}`,
  `--tls-private-key-file=${pki('apiserver.key')}`,
  `--client-ca-file=${pki('ca.crt')}`,
  `--kubelet-certificate-authority=${pki('ca.crt')}`,
  `--kubelet-client-certificate=${pki('apiserver-kubelet-client.crt')}`,
  `--kubelet-client-key=${pki('apiserver-kubelet-client.key')}`,
  '--kubelet-preferred-address-types=InternalIP',
  `--requestheader-client-ca-file=${pki('front-proxy-ca.crt')}`,
  '--requestheader-allowed-names=front-proxy-client',
  '--requestheader-username-headers=X-Remote-User',
  '--requestheader-group-headers=X-Remote-Group',
  '--requestheader-extra-headers-prefix=X-Remote-Extra-',
  `--proxy-client-cert-file=${pki('front-proxy-client.crt')}`,
  `--proxy-client-key-file=${pki('front-proxy-client.key')}`,
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-signing-key-file=${pki('service-accounts.key')}`,
  `--service-account-key-file=${pki('service-accounts.pub')}`,
  `--service-cluster-ip-range=${serviceRange}`,
  '--authorization-mode=Node,RBAC',
  '--enable-admission-plugins=NodeRestriction',
  '--allow-privileged=true',
];

const withKubeconfig = (machine: string, program: string): string[] => [
  programPath(program),
  ...['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
    (flag) => `--${flag}=${kubeconfigOf(machine, program)}`,
  ),
  '--leader-elect=false',
  '--bind-address=127.0.0.1',
];

const controlPlaneDaemons = (machine: MachinePlan): Daemon[] => [
  {
    name: 'etcd',
    // Synchronous writes protect from a real power cut; ours keeps the kernel, and this disk is shared with a compiler.
    argv: [programPath('etcd'), `--data-dir=${join(machineFolder(machine.name), 'disk', 'etcd')}`, '--unsafe-no-fsync']
      .concat(['--listen-client-urls=http://127.0.0.1:2379', '--advertise-client-urls=http://127.0.0.1:2379'])
      .concat(['--listen-peer-urls=http://127.0.0.1:2380', '--log-level=warn']),
  },
  { name: 'kube-apiserver', argv: apiServer(machine) },
  {
    name: 'kube-controller-manager',
    argv: [
      ...withKubeconfig(machine.name, 'kube-controller-manager'),
      '--use-service-account-credentials',
      `--service-account-private-key-file=${pki('service-accounts.key')}`,
      `--root-ca-file=${pki('ca.crt')}`,
      `--cluster-signing-cert-file=${pki('ca.crt')}`,
      `--cluster-signing-key-file=${pki('ca.key')}`,
    ],
  },
  { name: 'kube-scheduler', argv: withKubeconfig(machine.name, 'kube-scheduler') },
  {
    name: 'relay',
    argv: [process.execPath, join(import.meta.dirname, 'relay.ts'), 'inside', join(stateFolder, 'api.sock'), '6443'],
  },
];

export const daemonsOf = (machine: MachinePlan): Daemon[] => [
  ...(machine.role === 'control-plane' ? controlPlaneDaemons(machine) : []),
  ...nodeDaemons(machine),
];

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** The script that starts a daemon and becomes it. */
export function startScript(daemon: Daemon): string {
  const wait = daemon.after === undefined ? '' : `until [ -e ${quote(daemon.after)} ]; do sleep 0.1; done\n`;
  return `#!/bin/sh\n${wait}exec ${daemon.argv.map(quote).join(' ')}\n`;
}

/** containerd's configuration, TOML. */
export const containerdConfiguration = (): string => `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  disable_apparmor = true
  # Root may lack CAP_SYS_RESOURCE, without which no sandbox with a lower score than containerd's can start.
  restrict_oom_score_adj = true
`;

export const kubeletConfiguration = (machine: MachinePlan): object => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki('ca.crt') } },
  authorization: { mode: 'Webhook' },
  tlsCertFile: pki(`kubelet-${machine.name}.crt`),
  tlsPrivateKeyFile: pki(`kubelet-${machine.name}.key`),
  containerRuntimeEndpoint: `unix://${containerdSocket}`,
  cgroupDriver: 'cgroupfs',
  // Several kubelets share one kernel: none may claim the machine's memory and processors for itself.
  cgroupsPerQOS: false,
  enforceNodeAllocatable: [],
  failSwapOn: false,
  failCgroupV1: false,
  // The host's disk is not the cluster's to judge: a full one must not evict pods or delete images.
  evictionHard: {
    'memory.available': '0%',
    'nodefs.available': '0%',
    'imagefs.available': '0%',
    'nodefs.inodesFree': '0%',
  },
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  resolvConf: '',
  volumePluginDir: '/var/lib/kubelet/volume-plugins',
  serializeImagePulls: false,
  ...(machine.role === 'control-plane'
    ? { registerWithTaints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] }
    : {}),
});

export type ProxyMode = 'nftables' | 'iptables';

export const kubeProxyConfiguration = (machine: MachinePlan, mode: ProxyMode = 'nftables'): object => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode,
  hostnameOverride: machine.name,
  clientConnection: { kubeconfig: kubeconfigOf(machine.name, 'kube-proxy') },
  // Only the first network namespace may size the kernel's connection table.
  conntrack: { maxPerCore: 0, min: 0 },
});
