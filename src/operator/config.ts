// SPDX-License-Identifier: Apache-2.0
// What the program is told from outside, read once. Flags win over the environment.
import { Command, InvalidArgumentError, Option } from 'commander';
import { controllerName, installNamespace } from '../api/names.ts';
import { isMetricsAddress } from '../api/knobs.ts';

export interface OperatorConfig {
  /** A kubeconfig file, for a run outside a cluster. */
  readonly kubeconfig?: string;
  /** Where the lease, the DaemonSet and the ConfigMap live. */
  readonly namespace: string;
  /** Who this replica is in the lease. */
  readonly identity: string;
  /** Where /healthz, /readyz and /metrics are served; port 0 takes any free one. */
  readonly health: { readonly host: string; readonly port: number };
  /** The image of the agents' DaemonSet; without it the controller leaves the agents alone. */
  readonly agentImage?: string;
  readonly logLevel: string;
  /** What the kubelet tells each container of the Service `kubernetes`, unless the install put another way in its place. */
  readonly kubernetesAddress?: string;
  /** The timing of the leader's lease, in milliseconds. */
  readonly lease: { readonly durationMs: number; readonly renewDeadlineMs: number; readonly retryPeriodMs: number };
}

/** client-go's timing: a dead leader is replaced after at most 17 s, a stopped one at once. */
export const defaultLease = { durationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };

interface Flags {
  readonly leaseSeconds: number;
  kubeconfig?: string;
  namespace: string;
  identity: string;
  healthHost?: string;
  healthPort: number;
  agentImage?: string;
  logLevel: string;
}

/** Throws commander's error, which has said what is wrong, for an unknown flag or a bad value. */
export function readConfig(argv: readonly string[], env: NodeJS.ProcessEnv, hostName: string): OperatorConfig {
  const command = commandLine(hostName);
  command.parse([...argv], { from: 'user' });
  const flags = command.opts<Flags>();
  return {
    ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
    namespace: flags.namespace,
    identity: flags.identity,
    health: { host: flags.healthHost ?? knobOf(env['FAST_METRICS_ADDRESS']), port: flags.healthPort },
    ...imageOf(flags.agentImage ?? env['FAST_AGENT_IMAGE']),
    logLevel: flags.logLevel,
    ...kubernetesOf(env['KUBERNETES_SERVICE_HOST']),
    lease: leaseOf(flags.leaseSeconds),
  };
}

function commandLine(hostName: string): Command {
  return new Command(controllerName)
    .description('Gives pods their addresses out of Ips pools and rolls out the agents of Fast.')
    .addOption(new Option('--kubeconfig <file>', 'kubeconfig of the cluster, for a run outside of it'))
    .addOption(
      new Option('--namespace <name>', 'namespace that Fast is installed in')
        .env('POD_NAMESPACE')
        .default(installNamespace),
    )
    .addOption(new Option('--identity <name>', 'name of this replica in the lease').env('POD_NAME').default(hostName))
    .addOption(
      new Option('--lease-seconds <seconds>', 'how long a leader that falls silent keeps the lead')
        .default(defaultLease.durationMs / 1_000)
        .argParser(leaseSecondsOf),
    )
    .addOption(
      new Option('--health-host <address>', 'address for health and metrics (environment: FAST_METRICS_ADDRESS)'),
    )
    .addOption(new Option('--health-port <port>', 'port for health and metrics').default(9440).argParser(portOf))
    .addOption(new Option('--agent-image <image>', 'image of the agents (environment: FAST_AGENT_IMAGE)'))
    .addOption(
      new Option('--log-level <level>', 'least level that is logged')
        .env('FAST_LOG_LEVEL')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    );
}

/** It comes out of the ConfigMap of knobs, where a wrong line must not keep the controller from starting. */
function knobOf(address = ''): string {
  return isMetricsAddress(address.trim()) ? address.trim() : '127.0.0.1';
}

/** Kubernetes' own proportions: who could not renew for two thirds of it gives up before another may take it. */
function leaseOf(seconds: number): OperatorConfig['lease'] {
  const durationMs = seconds * 1_000;
  return { ...defaultLease, durationMs, renewDeadlineMs: Math.round((durationMs * 2) / 3) };
}

function leaseSecondsOf(text: string): number {
  if (!/^[0-9]{2,3}$/.test(text) || Number(text) < 10) {
    throw new InvalidArgumentError('write whole seconds from 10 to 999');
  }
  return Number(text);
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('write a port from 0 to 65535');
  return port;
}

function imageOf(image: string | undefined): { agentImage?: string } {
  return image === undefined || image === '' ? {} : { agentImage: image };
}

function kubernetesOf(address: string | undefined): { kubernetesAddress?: string } {
  return address === undefined ? {} : { kubernetesAddress: address };
}
