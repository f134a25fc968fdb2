// SPDX-License-Identifier: Apache-2.0
// fast-ctl and a node whose machine is off or cut off: a bounded wait, and words that name it.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Cluster } from '../../src/cli/surroundings.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { fastCtl, type Shown } from './cli-shell.ts';

type Exec = Cluster['exec'];

/** As execInPod ends when it is given up. */
const never: Exec = (_target, _command, { signal }) =>
  new Promise((resolve) => signal?.addEventListener('abort', () => resolve(130)));
const refusedBy =
  (said: string): Exec =>
  () =>
    Promise.reject(new KubeError('unknown', { verb: 'exec in', target: 'pod fast-system/agent-worker-2' }, said));
const empty = JSON.stringify({ local_pod_ips: [], cluster_pod_ips: [] });
const answers: Exec = (_target, _command, { stdout }) => {
  stdout(empty);
  return Promise.resolve(0);
};

const cure =
  'is the machine on, and can the API server reach it? kubectl describe node worker-2; on the machine itself fast-ctl needs no kubelet, run as root\n';

/** A cluster in which each node answers as it is told to. */
function clusterOf(nodes: Record<string, Exec>): Cluster {
  const list = ({ plural }: { plural: string }, { fieldSelector }: { fieldSelector?: string } = {}) => {
    const named = Object.keys(nodes).map((name) => ({ metadata: { name, uid: name } }));
    const agent = { metadata: { name: `agent-${fieldSelector?.split('=')[1]}` }, status: { phase: 'Running' } };
    const items = plural === 'nodes' ? named : plural === 'pods' && fieldSelector !== undefined ? [agent] : [];
    return Promise.resolve({ items, resourceVersion: '1' });
  };
  const exec: Exec = (target, ...rest) => (nodes[target.pod.slice('agent-'.length)] ?? never)(target, ...rest);
  return { list, find: () => Promise.resolve(undefined), exec } as unknown as Cluster;
}

/** The command's end, and after how many seconds it came. */
async function run(line: string, nodes: Record<string, Exec>): Promise<Shown & { seconds: number }> {
  const startedMs = Date.now();
  const running = fastCtl(line, { cluster: async () => clusterOf(nodes) }).then((shown) => {
    return { ...shown, seconds: (Date.now() - startedMs) / 1000 };
  });
  await vi.advanceTimersByTimeAsync(60_000);
  return await running;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a node that is cut off', () => {
  it('is waited for eight seconds, and not for as long as the API server dials', async () => {
    const { code, stderr, seconds } = await run('maps get local_dev --node worker-2', { 'worker-2': never });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `fast-ctl: the kubelet of node worker-2 does not answer (nothing within 8 s): ${cure}`,
    });
    expect(seconds).toBeCloseTo(8, 0);
  });

  it.each([
    [
      'error dialing backend: dial tcp 10.29.15.50:10250: connect: no route to host',
      '10.29.15.50:10250: no route to host',
    ],
    [
      'Internal error occurred: error sending request: Post "https://10.29.15.50:10250/exec/a": dial tcp 10.29.15.50:10250: i/o timeout',
      '10.29.15.50:10250: i/o timeout',
    ],
    ['error dialing backend: No agent available', 'No agent available'],
  ])('is named, whatever the API server calls it: %s', async (said, because) => {
    const { stderr } = await run('maps list --node worker-2', { 'worker-2': refusedBy(said) });
    expect(stderr).toBe(`fast-ctl: the kubelet of node worker-2 does not answer (${because}): ${cure}`);
  });

  it('is not named where its kubelet answers that it cannot', async () => {
    const said = 'error dialing backend: remote error: tls: internal error';
    const { stderr } = await run('maps list --node worker-2', { 'worker-2': refusedBy(said) });
    expect(stderr).toBe(`fast-ctl: cannot exec in pod fast-system/agent-worker-2: ${said}\n`);
  });

  it('is asked by ipam check beside all others, however many are off', async () => {
    const off = Object.fromEntries(Array.from({ length: 12 }, (_, each) => [`off-${each}`, never]));
    const { code, stdout, stderr, seconds } = await run('ipam check', { ...off, on: answers });
    expect(code).toBe(2);
    expect(stdout).toBe('What could be asked holds: 0 pools, 0 records, 0 pods, the maps of 1 of 13 nodes.\n');
    expect(stderr.match(/^fast-ctl: node off-\d+ was not asked: the kubelet of node off-/gm)).toHaveLength(12);
    expect(seconds).toBeLessThan(12);
  });
});

describe('a node that is only quiet', () => {
  it('is listened to for as long as a person likes: nothing is dropped there', async () => {
    const stop = new AbortController();
    const quiet: Exec = (target, command, streams) =>
      command.includes('--version') ? answers(target, command, streams) : never(target, command, streams);
    const cluster = clusterOf({ 'worker-2': quiet });
    let shown: Shown | undefined;
    const running = fastCtl('drops -f --node worker-2', { cluster: async () => cluster, stopped: stop.signal });
    void running.then((each) => (shown = each));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(shown).toBeUndefined();
    stop.abort();
    expect(await running).toMatchObject({ code: 130, stderr: '' });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('is listened to until %s, and the exit code is that of the signal', async (signal, code) => {
    const stop = new AbortController();
    const cluster = async () => clusterOf({ 'worker-2': never });
    const running = fastCtl('drops -f --node worker-2', { cluster, stopped: stop.signal });
    await vi.advanceTimersByTimeAsync(1_000);
    stop.abort(signal);
    expect(await running).toMatchObject({ code, stderr: '' });
  });

  it('may take its time for a long answer that it has begun', async () => {
    const slow: Exec = async (_target, _command, { stdout }) => {
      stdout(empty.slice(0, 5));
      await new Promise((resolve) => setTimeout(resolve, 15_000));
      stdout(empty.slice(5));
      return 0;
    };
    const { code, stderr } = await run('ipam check', { 'worker-2': slow });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
