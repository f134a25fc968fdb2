// SPDX-License-Identifier: Apache-2.0
// A replica of fast-controller-manager as a process of its own, so that it can be killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { HollowCluster } from './hollow-cluster.ts';

const main = fileURLToPath(new URL('../../src/operator/main.ts', import.meta.url));

export function startReplica(cluster: HollowCluster, identity: string): ChildProcess {
  const flags = ['--kubeconfig', cluster.server.kubeconfig, '--health-port', '0', '--identity', identity];
  const env = {
    ...process.env,
    FAST_AGENT_IMAGE: 'sample.fast.io/fast-agent:test',
    KUBECONFIG: cluster.server.kubeconfig,
  };
  const child = spawn(process.execPath, [main, ...flags, '--log-level', 'warn'], {
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return child;
}

export async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return await new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}
