// SPDX-License-Identifier: Apache-2.0
// The program fast-ctl.
import { readdirSync, readFileSync } from 'node:fs';
import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { ClusterPlace } from '../kube/kubeconfig.ts';
import { usesPodAccount } from '../kube/pod-account.ts';
import { nodeKernel } from './node-kernel.ts';
import { pinnedMaps } from './pinned-maps.ts';
import { runCommandLine } from './program.ts';
import { type Cluster, type ClusterChoice, stoppedExitCode, type StopSignal, stopSignals } from './surroundings.ts';

/** Said by its name, where reading it would only say that something is not there. */
function checkKubeconfig({ kubeconfig }: ClusterChoice): void {
  const [who, files] =
    kubeconfig === undefined ? ['KUBECONFIG', process.env['KUBECONFIG'] ?? ''] : ['--kubeconfig', kubeconfig];
  const named = files.split(delimiter).filter((file) => file !== '');
  if (named.length > 0 && !named.some((file) => existsSync(file))) {
    throw new Error(`${who} names ${named.join(', ')}, where no file is`);
  }
}

/** Loaded when it is needed: most commands, and the help, ask no API server. */
async function cluster(choice: ClusterChoice): Promise<Cluster> {
  checkKubeconfig(choice);
  const [{ connect }, { execInPod }] = await Promise.all([import('../kube/client.ts'), import('../kube/exec.ts')]);
  const client = connect({ ...choice, fieldManager: 'fast-ctl' });
  return Object.assign(client, {
    exec: (...asked: Parameters<Cluster['exec']>) => execInPod(() => client.access(), ...asked),
  });
}

async function clusterPlace(choice: ClusterChoice): Promise<ClusterPlace> {
  return (await import('../kube/kubeconfig.ts')).placeOfCluster(choice);
}

async function contexts(choice: ClusterChoice): Promise<string[]> {
  return (await import('../kube/kubeconfig.ts')).contextNames(choice);
}

const devices = '/sys/class/net';

function deviceName(ifindex: number): string | undefined {
  try {
    return readdirSync(devices).find((name) => Number(readFileSync(`${devices}/${name}/ifindex`, 'utf8')) === ifindex);
  } catch {
    // A device that goes while it is looked at; or a machine that is no Linux.
    return undefined;
  }
}

// `fast-ctl maps list | head` closes our stdout before all is written, which is no failure.
process.stdout.on('error', () => process.exit(0));

/** For who waits on an API server that does not answer: a command that has something to say at its end says it sooner. */
const patienceMs = 3_000;
const stop = new AbortController();

/** The second Ctrl-C is for whoever does not want to wait for the end of the first. */
function stopBy(signal: StopSignal): void {
  for (const name of stopSignals) process.off(name, stopBy);
  stop.abort(signal);
  setTimeout(() => {
    process.stderr.write('fast-ctl: stopped\n');
    process.exit(stoppedExitCode(stop.signal));
  }, patienceMs).unref();
}
for (const name of stopSignals) process.on(name, stopBy);

process.exitCode = await runCommandLine(process.argv.slice(2), {
  openMaps: pinnedMaps,
  openKernel: nodeKernel,
  deviceName,
  cluster,
  clusterPlace,
  contexts,
  usesPodAccount,
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
  isColourful: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
  terminalWidth: process.stdout.isTTY ? process.stdout.columns : undefined,
  nowMs: Date.now,
  monotonicNs: () => process.hrtime.bigint(),
  sleep: (delayMs) => wait(delayMs, undefined, { signal: stop.signal }).catch(() => undefined),
  stopped: stop.signal,
});
