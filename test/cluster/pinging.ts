// SPDX-License-Identifier: Apache-2.0
// Pings that go on while a cluster is changed under them, and what was lost.
import { spawn } from 'node:child_process';
import { kubeconfigPath } from './cluster.ts';
import { kube } from './fast.ts';
import { programPath } from './paths.ts';
import type { RunningPod } from './quick-start.ts';

export interface Pinging {
  /** Ends the pings. Answers how many were sent and how many came back. */
  stop: () => Promise<{ sent: number; lost: number }>;
}

/** Ten pings a second from one pod to another until they are stopped. */
export function pinging(from: RunningPod, to: RunningPod): Pinging {
  const args = ['exec', from.metadata.name, '--', 'ping', '-i', '0.1', '-W', '2', to.status.podIP ?? ''];
  const env = { ...process.env, KUBECONFIG: kubeconfigPath };
  const ping = spawn(programPath('kubectl'), args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  ping.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const ended = new Promise((resolve) => {
    ping.on('close', resolve);
  });
  return {
    stop: async () => {
      await kube(['exec', from.metadata.name, '--', 'killall', '-INT', 'ping']);
      await ended;
      const [, sent, received] = /(\d+) packets transmitted, (\d+) packets received/.exec(printed) ?? [];
      if (sent === undefined) throw new Error(`ping has printed no summary: ${printed.slice(-200)}`);
      return { sent: Number(sent), lost: Number(sent) - Number(received) };
    },
  };
}
