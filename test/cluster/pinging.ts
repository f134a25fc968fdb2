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
      // The last one may still be on its way when the end comes, so only gaps before an answer count.
      const answered = [...printed.matchAll(/ seq=(\d+) /g)].map((match) => Number(match[1]));
      if (answered.length === 0) throw new Error(`no ping was answered: ${printed.slice(-200)}`);
      const sent = Math.max(...answered) + 1;
      return { sent, lost: sent - new Set(answered).size };
    },
  };
}
