// SPDX-License-Identifier: Apache-2.0
// fast-ctl trace on the node that receives: what it says is what that node's programs, entries and routes do.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFolder } from '../../scripts/steps.ts';
import { AgentNode, endpointOf, inside, one, outsideAddress, outsideDown, outsideUp, two } from './agent-node.ts';
import type { ExecStreams } from '../../src/kube/exec.ts';
import { fastCtl } from '../pure/cli-shell.ts';
import { fastCtlOn } from './fast-ctl-process.ts';
import { record } from './memory-records.ts';

const pods = { a: '10.244.10.0', b: '10.244.10.1', far: '10.244.10.2' };
const objectFile = join(buildFolder, 'fast.bpf.o');
let node: AgentNode;
let other: AgentNode;

type Fields = Record<string, unknown>;

const lineOf = ({ kind, where, what }: Fields): string => `${String(kind)} ${String(where)}: ${String(what)}`;

/** Of what pod a sends. */
async function arrival(to: string, from: string, ...more: string[]): Promise<string[]> {
  const words = ['trace', pods.a, to, '--arrives-from', from, '--bpf-object', objectFile, ...more, '-o', 'json'];
  const { stdout, stderr } = await fastCtlOn('two', other.pinFolder, words);
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as Fields[]).map(lineOf);
}

beforeAll(async () => {
  await outsideUp();
  const endpoints = [endpointOf(one, [pods.a, pods.b]), endpointOf(two, [pods.far])];
  node = await AgentNode.up(one, endpoints);
  other = await AgentNode.up(two, endpoints, { mode: 'direct' });
  for (const [to, name, nodeName] of [
    [node, 'a', 'one'],
    [other, 'far', 'two'],
  ] as const) {
    to.sandbox(name);
    to.records.put(record(pods[name], name, { nodeName }));
    await to.add(name, name);
    await to.compare();
  }
});

afterAll(async () => {
  await node?.down();
  await other?.down();
  outsideDown();
});

describe('fast-ctl trace on the node that receives', () => {
  const kindsOf = (steps: string[]) => steps.map((step) => step.split(' ')[0]).join(' ');

  it('runs what hangs on the tunnel, behind an entry in the place of the tunnel’s key', async () => {
    const steps = await arrival(pods.far, one.nodeAddress);
    expect(kindsOf(steps)).toBe('arrival entry program entry end');
    expect(steps[0]).toContain(`from ${one.nodeAddress} by the tunnel, if the network between`);
    expect(steps[1]).toContain(`${pods.a} is held by the node ${one.nodeAddress}: looked up`);
    expect(steps[2]).toMatch(/^program fast_vxlan ingress: from_overlay \(id \d+\): redirect, to a pod of this node/);
    expect(steps[4]).toContain('past the stack');
  });

  it('says that a sender who does not hold the source is refused', async () => {
    const steps = await arrival(pods.far, outsideAddress);
    expect(kindsOf(steps)).toBe('arrival entry end');
    expect(steps.at(-1)).toBe(
      "end fast_vxlan ingress: from_overlay drops it: the tunnel's other end does not hold the inner source",
    );
  });

  it('says that a pod which is no longer there is not reached', async () => {
    expect((await arrival(pods.b, one.nodeAddress)).at(-1)).toContain('dropped: neither a pod of this node nor');
  });

  it('follows what came without a tunnel, from the uplink on', async () => {
    const steps = await arrival(pods.far, one.nodeAddress, '--direct');
    expect(kindsOf(steps)).toBe('arrival program entry end');
    expect(steps[1]).toContain('program up0 ingress: from_uplink');
  });

  it('follows what is for a pod with a bandwidth limit to its queue, either way', async () => {
    const mark = (isOn: boolean) =>
      fastCtlOn('two', other.pinFolder, ['maps', 'set', 'local_pod_ips', pods.far, `stackOnly=${String(isOn)}`]);
    await mark(true);
    const byTunnel = await arrival(pods.far, one.nodeAddress);
    const direct = await arrival(pods.far, one.nodeAddress, '--direct');
    await mark(false);
    expect(kindsOf(byTunnel)).toBe('arrival entry program netfilter route end');
    expect(kindsOf(direct)).toBe('arrival program program netfilter route end');
    for (const steps of [byTunnel, direct]) {
      expect(steps.at(-1)).toMatch(/delivered by the stack to the pod behind fast\w+, through the queue of the pod's/);
    }
  });

  it('says that a wire is down, instead of that the packet is delivered', async () => {
    inside('far', 'ip', 'link', 'set', 'eth0', 'down');
    const steps = await arrival(pods.far, one.nodeAddress);
    inside('far', 'ip', 'link', 'set', 'eth0', 'up');
    expect(steps.at(-1)).toContain(`not delivered: the wire of ${pods.far} is down`);
  });

  it('is named by the sending half, where nobody may be asked', async () => {
    const words = ['trace', pods.a, pods.far, '--bpf-object', objectFile, '-o', 'json'];
    const steps = JSON.parse((await fastCtlOn('one', node.pinFolder, words)).stdout) as Fields[];
    expect(steps.at(-2)).toMatchObject({ outcome: 'toNode', toNode: { address: two.nodeAddress, way: 'tunnel' } });
    expect(steps.at(-1)?.['what']).toMatch(
      new RegExp(
        `^what that node does with it was not to be asked: .+; on that node: ` +
          `fast-ctl trace ${pods.a} ${pods.far} .*--arrives-from ${one.nodeAddress}$`,
      ),
    );
  });

  it.each([
    [
      'another node’s address',
      two.nodeAddress,
      'leaves',
      "^what answers at this node's address .* was not to be asked: no",
    ],
    [
      'this node’s own address',
      one.nodeAddress,
      'host',
      "^what answers at this node's address .* was not to be asked: no",
    ],
    ['an address outside', outsideAddress, 'leaves', "^whether it is a node's was not to be asked: no cluster found"],
  ])('says without a kubeconfig what was not to be asked of %s', async (_what, to, outcome, sentence) => {
    const words = ['trace', pods.a, to, '--bpf-object', objectFile, '-o', 'json'];
    const steps = JSON.parse((await fastCtlOn('one', node.pinFolder, words)).stdout) as Fields[];
    expect(steps.at(-2)).toMatchObject({ kind: 'end', outcome });
    expect(steps.at(-1)).toMatchObject({ kind: 'node', where: to, what: expect.stringMatching(sentence) as string });
  });
});

describe('fast-ctl trace of a person who may ask both nodes', () => {
  /** Each node's agent is the fast-ctl in its namespace. */
  const cluster = {
    list: async ({ plural }: { plural: string }, { fieldSelector = '' }: { fieldSelector?: string } = {}) => {
      const agent = { metadata: { name: fieldSelector.split('=')[1] }, status: { phase: 'Running' } };
      const kinds: Record<string, object[]> = {
        ipallocations: [...node.records.list(), ...other.records.list()],
        nodeendpoints: node.endpoints,
        pods: [agent],
      };
      return { items: kinds[plural] ?? [] };
    },
    find: async (_kind: object, name: string) => ({ metadata: { name } }),
    exec: async ({ pod }: { pod: string }, [, ...words]: string[], streams: ExecStreams) => {
      const { pinFolder } = pod === 'one' ? node : other;
      const { code, stdout, stderr } = await fastCtlOn(pod, pinFolder, [...words, '--bpf-object', objectFile]);
      streams.stdout(stdout);
      streams.stderr(stderr);
      return code;
    },
  };

  it('shows both halves as one way, from the wire of a pod to that of the other', async () => {
    const words = 'trace default/a default/far';
    const { stdout, stderr } = await fastCtl(words, { cluster: async () => cluster as never, terminalWidth: 80 });
    expect(stderr).toBe('');
    expect(stdout.match(/^\S+/gm)?.join(' ')).toBe(
      'STEP pod program entry route end node arrival entry program entry end',
    );
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(stdout.replaceAll(/\s+/g, ' ')).toMatch(
      / two: the steps from here on are its own arrival .* past the stack $/,
    );
  });
});
