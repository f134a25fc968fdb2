// SPDX-License-Identifier: Apache-2.0
// `npm run demo`: from a fresh clone to four pods that ping each other, by the README's own blocks, every promise checked.
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { kubeconfigPath, status, up } from '../test/cluster/cluster.ts';
import { installFast, kube } from '../test/cluster/fast.ts';
import { ensureKubernetes } from '../test/cluster/kubernetes.ts';
import { programPath } from '../test/cluster/paths.ts';
import { Interruption, leftBehind } from '../test/cluster/interruption.ts';
import * as promises from '../test/cluster/quick-start.ts';
import { quickStartBlocks } from '../test/cluster/readme.ts';
import { readState } from '../test/cluster/state.ts';
import { buildAll } from './build.ts';
import { say, step } from './steps.ts';

const startedMs = Date.now();
const headline = (text: string): void => say(`\n== ${text}`);
const stop = new Interruption(say, () => readState()?.phase);

/** Types a line into a shell that has kubectl and the kubeconfig, and shows all that it prints. */
async function type(line: string): Promise<void> {
  say(`\n$ ${line}`);
  const env = {
    ...process.env,
    KUBECONFIG: kubeconfigPath,
    PATH: `${dirname(programPath('kubectl'))}:${process.env['PATH']}`,
  };
  const child = spawn('/bin/sh', ['-c', line], { stdio: ['ignore', 'inherit', 'inherit'], env, signal: stop.signal });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => resolve(exit ?? 1));
  });
  if (code !== 0) throw new promises.Broken(`"${line}" ended with exit code ${code}`);
}

async function startFromReleasedAddresses(): Promise<void> {
  headline('What an earlier run left is released first');
  const held = await step(
    'deleting its Deployments, pods and pools, releasing their addresses',
    promises.releaseQuickStart,
  );
  if (held.length === 0) say('No pod of the quick start held an address; nor is a Deployment or pool of it left.');
  else
    say(
      `Deployments, pods and pools deleted; each agent reported its wires gone, so these are free: ${held.join(' ')}`,
    );
}

async function runReadme(): Promise<void> {
  headline("README's quick start, block by block");
  for (const block of quickStartBlocks()) {
    if (block.kind === 'manifest') {
      say(`\n$ kubectl create -f - <<EOF\n${block.yaml}EOF`);
      say((await kube(['create', '-f', '-'], block.yaml)).trimEnd());
    } else {
      for (const line of block.lines) await type(line);
    }
  }
}

async function checkPromises(): Promise<void> {
  headline('Every promise checked');
  const pods = await promises.checkAddresses();
  say('ok: busybox holds 10.244.10.0 and 10.244.10.1, busybox1 10.244.100.0 and 10.244.100.1, each on both workers');
  await promises.checkRecords(pods);
  say('ok: kubectl get ipallocations names pool, state, pod, node and wire of each');
  await promises.checkMaps(pods);
  say('ok: the eBPF maps of every node hold its own pods as local and the others as remote');
  const pairs = await step('20 pings between each two pods', () => promises.checkPings(pods));
  say(`ok: 20 pings for each of ${pairs.onOneNode} pairs on one node and ${pairs.across} across: 0 lost, ttl=64`);
}

function tellHowToPlay(): void {
  headline(`Done in ${Math.round((Date.now() - startedMs) / 1000)} s. The cluster is up.`);
  say(`
  export KUBECONFIG=${kubeconfigPath}
  export PATH=${dirname(programPath('kubectl'))}:$PATH
  kubectl get ipallocations --watch            # then, elsewhere: kubectl scale deploy/busybox --replicas=6
  kubectl describe ips sample-ips
  node_modules/.bin/node build/fast-ctl.mjs status
  npm run cluster -- shell 10-29-15-49         # inside a node: ip route, nft list table ip fast
  npm run cluster -- power-cut 10-29-15-50     # and power-on
  npm run cluster -- down                      # ends it and leaves nothing`);
}

/** Work that nobody needs to clean up after: an interruption does not wait for it. */
async function unlessStopped<T>(work: Promise<T>): Promise<T> {
  stop.signal.throwIfAborted();
  const stopped = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error), { once: true });
  });
  return await Promise.race([work, stopped]);
}

async function demo(): Promise<void> {
  headline('Everything that is compiled');
  await buildAll(stop.signal);
  await ensureKubernetes(say, stop.signal);
  headline('A cluster of real Kubernetes: one control plane, two workers');
  const wasUp = (await status()).state === 'up';
  await up({ say, signal: stop.signal });
  headline('Fast is installed');
  await unlessStopped(installFast(say));
  if (wasUp) await unlessStopped(startFromReleasedAddresses());
  await unlessStopped(runReadme());
  await unlessStopped(checkPromises());
  tellHowToPlay();
}

stop.listen();
try {
  await demo();
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  say(`\nThe demo ${stop.exitCode === undefined ? `failed: ${reason}` : 'was interrupted.'}`);
  say(leftBehind((await status()).state));
  // Not by exitCode: a kubectl that waits would hold up the end.
  process.exit(stop.exitCode ?? 1);
}
