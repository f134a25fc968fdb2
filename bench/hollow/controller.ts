// SPDX-License-Identifier: Apache-2.0
// fast-controller-manager as its own process, as it runs in a cluster, against the benchmark's API server.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../test/api/hollow-cluster.ts';
import { leases } from '../../src/kube/resources.ts';
import { controllerName, installNamespace } from '../../src/api/names.ts';
import type { KubeClient } from '../../src/kube/client.ts';

const main = fileURLToPath(new URL('../../src/operator/main.ts', import.meta.url));

export class ControllerProcess {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Comes back when it leads. `nodeFlags` for a profile. */
  static async start(
    kubeconfig: string,
    client: KubeClient,
    nodeFlags: readonly string[] = [],
  ): Promise<ControllerProcess> {
    const identity = 'bench-controller';
    // It is paused for as long as a slow machine takes to bind all pods, and must lead when it goes on.
    const lease = ['--lease-seconds', '300'];
    const where = ['--kubeconfig', kubeconfig, '--identity', identity, '--health-port', '0'];
    const flags = [...where, ...lease, '--log-level', 'error'];
    const child = spawn(process.execPath, [...nodeFlags, main, ...flags], { stdio: ['ignore', 'inherit', 'inherit'] });
    // Whatever way the benchmark ends, its controller does not outlive it.
    process.once('exit', () => child.kill('SIGKILL'));
    await eventually(
      'the controller to lead',
      async () => {
        if (child.exitCode !== null) throw new Error(`fast-controller-manager ended with code ${child.exitCode}`);
        const lease = await client.find(leases, controllerName, installNamespace);
        // What follows the name tells two processes of one pod apart.
        return lease?.spec?.holderIdentity?.startsWith(identity) === true;
      },
      60_000,
    );
    return new ControllerProcess(child);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** It sees and does nothing until `resume`. To be kept well below the 200 s in which its lease is to be renewed. */
  pause(): void {
    this.#process.kill('SIGSTOP');
  }

  resume(): void {
    this.#process.kill('SIGCONT');
  }

  /** Resolves when it has given its lease back. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await gone;
  }
}
