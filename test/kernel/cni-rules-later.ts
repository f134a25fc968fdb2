// SPDX-License-Identifier: Apache-2.0
// The rules of the CNI specification for what comes after ADD: DEL, CHECK, STATUS and GC. See cni-rules.ts.
import { expect } from 'vitest';
import { inside } from './agent-node.ts';
import { type Bed, pod, type Rule } from './cni-rules.ts';
import { record } from './memory-records.ts';
import { type CniFailure, failureOf } from './runtime.ts';

/** A wired pod, and what the runtime keeps of it. */
async function wired({ node, runtime, version }: Bed): Promise<Record<string, unknown>> {
  pod(node);
  const result = await runtime.succeed('ADD', { version });
  if (result === undefined) throw new Error('ADD gave no result');
  return result;
}

async function settled({ node }: Bed): Promise<string[]> {
  await node.wiring.remover.settled();
  return node.veths();
}

async function checkFails(bed: Bed, prevResult: object): Promise<CniFailure> {
  const { runtime, version } = bed;
  return failureOf(await runtime.run('CHECK', { version, configuration: { prevResult } }));
}

const delRules: Rule[] = [
  {
    section: '2, DEL',
    rule: 'the interface is gone afterwards, and the answer is silence',
    holds: async (bed) => {
      await wired(bed);
      expect(await bed.runtime.succeed('DEL', { version: bed.version })).toBeUndefined();
      expect(await settled(bed)).toEqual([]);
      expect(inside('p1', 'ip', '-o', 'link')).not.toContain('eth0');
    },
  },
  {
    section: '2, DEL',
    rule: 'it may come again and again, and for what was never added',
    holds: async (bed) => {
      await wired(bed);
      for (let time = 0; time < 3; time += 1) await bed.runtime.succeed('DEL', { version: bed.version });
      await bed.runtime.succeed('DEL', { version: bed.version, sandbox: 'never' });
    },
  },
  {
    section: '2, DEL',
    rule: 'without CNI_NETNS all that can be is cleaned up',
    holds: async (bed) => {
      await wired(bed);
      await bed.runtime.succeed('DEL', { version: bed.version, variables: { CNI_NETNS: undefined } });
      expect(await settled(bed)).toEqual([]);
    },
  },
  {
    section: '2, DEL',
    rule: 'it succeeds when the namespace is gone',
    holds: async (bed) => {
      await wired(bed);
      bed.node.removeSandbox('p1');
      await bed.runtime.succeed('DEL', { version: bed.version });
      expect(await settled(bed)).toEqual([]);
    },
  },
  {
    section: '2, DEL',
    rule: 'prevResult is taken, and a strange one is no obstacle',
    since: '0.4.0',
    holds: async (bed) => {
      const prevResult = await wired(bed);
      await bed.runtime.succeed('DEL', { version: bed.version, configuration: { prevResult } });
      await bed.runtime.succeed('DEL', { version: bed.version, configuration: { prevResult: { ips: 'x' } } });
      expect(await settled(bed)).toEqual([]);
    },
  },
  {
    section: '2, DEL',
    rule: 'attachments of other interfaces and other containers are left alone',
    holds: async (bed) => {
      await wired(bed);
      await bed.runtime.succeed('DEL', { version: bed.version, variables: { CNI_IFNAME: 'net1' } });
      await bed.runtime.succeed('DEL', { version: bed.version, variables: { CNI_CONTAINERID: 'another' } });
      expect(await settled(bed)).toHaveLength(1);
    },
  },
];

const checkRules: Rule[] = [
  {
    section: '2, CHECK',
    rule: 'right after ADD it succeeds, in silence',
    since: '0.4.0',
    holds: async (bed) => {
      const prevResult = await wired(bed);
      const configuration = { prevResult };
      expect(await bed.runtime.succeed('CHECK', { version: bed.version, configuration })).toBeUndefined();
    },
  },
  {
    section: '2, CHECK',
    rule: 'prevResult is needed',
    since: '0.4.0',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      expect(failureOf(await runtime.run('CHECK', { version }))).toMatchObject({ code: 7 });
    },
  },
  {
    section: '2, CHECK',
    rule: 'prevResult says what is expected',
    since: '0.4.0',
    holds: async (bed) => {
      const prevResult = { ...(await wired(bed)), ips: [] };
      expect((await checkFails(bed, prevResult)).msg).toContain('has not the address 10.244.10.0');
    },
  },
  {
    section: '2, CHECK',
    rule: 'a missing interface, address or route that the plugin made and prevResult lists is an error',
    since: '0.4.0',
    holds: async (bed) => {
      const prevResult = await wired(bed);
      inside('p1', 'ip', 'route', 'del', 'default');
      expect((await checkFails(bed, prevResult)).msg).toContain('0.0.0.0/0');
      inside('p1', 'ip', 'addr', 'flush', 'dev', 'eth0');
      expect((await checkFails(bed, prevResult)).msg).toContain('the address 10.244.10.0 is missing');
      inside('p1', 'ip', 'link', 'del', 'eth0');
      expect((await checkFails(bed, prevResult)).msg).toContain('eth0 is missing');
    },
  },
  {
    section: '2, CHECK',
    rule: 'what a later plugin of the list changed, and prevResult shows, is no error',
    since: '0.4.0',
    holds: async (bed) => {
      const { routes, ...rest } = await wired(bed);
      inside('p1', 'ip', 'route', 'del', 'default');
      const prevResult = { ...rest, routes: (routes as object[]).slice(0, 1) };
      await bed.runtime.succeed('CHECK', { version: bed.version, configuration: { prevResult } });
    },
  },
  {
    section: '2, CHECK',
    rule: 'other resources that are missing, and a container that is not reachable, are errors',
    since: '0.4.0',
    holds: async (bed) => {
      const prevResult = await wired(bed);
      inside('one', 'ip', 'route', 'del', '10.244.10.0');
      expect((await checkFails(bed, prevResult)).msg).toContain('the route 10.244.10.0/32');
    },
  },
  {
    section: '2, CHECK',
    rule: 'a daemon that is away is an error',
    since: '0.4.0',
    holds: async (bed) => {
      const prevResult = await wired(bed);
      await bed.runtime.hangUp();
      expect(await checkFails(bed, prevResult)).toMatchObject({ code: 11 });
      await bed.runtime.serve();
    },
  },
];

const statusRules: Rule[] = [
  {
    section: '2, STATUS',
    rule: 'it succeeds in silence when an ADD could be served; a full pool is no hindrance',
    since: '1.1.0',
    holds: async ({ runtime, version }) => {
      const variables = {
        CNI_CONTAINERID: undefined,
        CNI_NETNS: undefined,
        CNI_IFNAME: undefined,
        CNI_ARGS: undefined,
      };
      expect(await runtime.succeed('STATUS', { version, variables })).toBeUndefined();
    },
  },
  {
    section: '2, STATUS',
    rule: 'error 50 while no ADD could be served, such as by a daemon that is away',
    since: '1.1.0',
    holds: async ({ runtime, version }) => {
      await runtime.hangUp();
      expect(failureOf(await runtime.run('STATUS', { version }))).toMatchObject({ code: 50 });
      await runtime.serve();
    },
  },
  {
    section: '2, STATUS',
    rule: 'error 51 when pods that run are cut off too',
    since: '1.1.0',
    holds: async ({ node, runtime, version }) => {
      const [own] = node.endpoints.splice(0);
      await node.compare().catch(() => undefined);
      expect(failureOf(await runtime.run('STATUS', { version }))).toMatchObject({ code: 51 });
      if (own !== undefined) node.endpoints.push(own);
      await node.compare();
    },
  },
];

const gcRules: Rule[] = [
  {
    section: '2, GC',
    rule: 'attachments that are not in cni.dev/valid-attachments go, the others stay',
    since: '1.1.0',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      pod(node, 'p2', '10.244.10.1');
      for (const sandbox of ['p1', 'p2']) await runtime.succeed('ADD', { version, sandbox });
      const valid = [{ containerID: 'container-p2', ifname: 'eth0' }];
      const configuration = { 'cni.dev/valid-attachments': valid };
      expect(await runtime.succeed('GC', { version, configuration })).toBeUndefined();
      await node.wiring.remover.settled();
      expect(node.wiring.book.list().map((wire) => wire.containerId)).toEqual(['container-p2']);
    },
  },
  {
    section: '2, GC',
    rule: 'what fails stops nothing else, and is told at the end',
    since: '1.1.0',
    holds: async ({ node, runtime, version }) => {
      for (const [at, sandbox] of ['p1', 'p2', 'p3'].entries()) {
        pod(node, sandbox, `10.244.10.${at}`);
        await runtime.succeed('ADD', { version, sandbox });
      }
      const mend = node.failing('take 10.244.10.1 out of local_pod_ips');
      const configuration = { 'cni.dev/valid-attachments': [] };
      const failure = failureOf(await runtime.run('GC', { version, configuration }));
      mend();
      expect(failure).toMatchObject({ code: 102, msg: expect.stringContaining('1 of 3 stale wires are left') });
      await node.wiring.remover.settled();
      expect(node.wiring.book.list().map((wire) => wire.address)).toEqual(['10.244.10.1']);
    },
  },
  {
    section: '2, GC',
    rule: 'what it took may be added again',
    since: '1.1.0',
    holds: async (bed) => {
      await wired(bed);
      await bed.runtime.succeed('GC', { version: bed.version, configuration: { 'cni.dev/valid-attachments': [] } });
      bed.node.records.put(record('10.244.10.0', 'p1'));
      expect(await bed.runtime.succeed('ADD', { version: bed.version })).toBeDefined();
    },
  },
];

export const laterRules: readonly Rule[] = [...delRules, ...checkRules, ...statusRules, ...gcRules];
