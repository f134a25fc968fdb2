// SPDX-License-Identifier: Apache-2.0
// A process that stands for election on several Leases and, where it leads, writes to that Lease's record as the
// controller writes to an IpAllocation: it reads, asks whether it leads, and sends, fenced by what it read.
import { connect } from '../../src/kube/client.ts';
import { realClock } from '../../src/kube/clock.ts';
import { LeaderElector } from '../../src/kube/leader.ts';
import { type ConfigMap, configMaps } from '../../src/kube/resources.ts';
import { type LeaderVerbs, TenureClient } from '../../src/operator/tenure.ts';

/** The first argument, as JSON. */
export interface WorkerConfig {
  readonly identity: string;
  readonly namespace: string;
  /** Of each Lease and of its record. */
  readonly stages: readonly { readonly name: string; readonly kubeconfig: string }[];
  readonly times: {
    readonly leaseDurationMs: number;
    readonly renewDeadlineMs: number;
    readonly retryPeriodMs: number;
  };
  readonly writeEveryMs: number;
}

const { identity, namespace, stages, times, writeEveryMs } = JSON.parse(process.argv[2] ?? '') as WorkerConfig;

/** `term` is unique for each time that anybody leads. */
async function writeOn(client: LeaderVerbs, name: string, term: string, signal: AbortSignal): Promise<void> {
  let known: ConfigMap | undefined;
  let isFresh = false;
  for (let count = 1; !signal.aborted; count += 1) {
    try {
      if (!isFresh) known = await client.find(configMaps, name, namespace);
      const data = { term, count: `${count}` };
      known = await (known === undefined
        ? client.create(configMaps, { metadata: { name, namespace }, data })
        : client.replace(configMaps, { ...known, data }));
      isFresh = true;
    } catch {
      // Refused or unknown: only a read can tell what is there now.
      isFresh = false;
    }
    await realClock.sleep(writeEveryMs, signal);
  }
}

const electors = stages.map(({ name, kubeconfig }) => {
  const kube = connect({ kubeconfig, fieldManager: identity, timeoutMs: times.leaseDurationMs * 4 });
  let terms = 0;
  const elector: LeaderElector = new LeaderElector({
    client: kube,
    namespace,
    name,
    identity,
    ...times,
    onStarted: async (signal) => {
      terms += 1;
      const leading = new TenureClient(kube, { signal, isLeading: () => elector.isLeader });
      await writeOn(leading, name, `${identity}#${terms}`, signal);
    },
  });
  elector.start();
  return elector;
});

process.once('SIGTERM', () => {
  Promise.all(electors.map((elector) => elector.stop())).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
