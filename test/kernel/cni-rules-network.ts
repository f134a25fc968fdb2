// SPDX-License-Identifier: Apache-2.0
// The rules of the CNI specification for the commands that are of a whole network: STATUS and GC. See cni-rules.ts.
import { expect } from 'vitest';
import { pod, type Rule, settled, wired } from './cni-rules.ts';
import { record } from './memory-records.ts';
import { failureOf } from './runtime.ts';

/** Variables of an attachment. */
const noAttachment = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_ARGS: undefined };

const statusRules: Rule[] = [
  {
    section: '2, STATUS',
    rule: 'it succeeds in silence when an ADD could be served; a full pool is no hindrance',
    since: '1.1.0',
    holds: async ({ node, runtime, version }) => {
      const [own] = node.endpoints;
      const reason = { reason: 'Exhausted', message: 'pool sample-ips is exhausted: 2 of 2 in use' };
      if (own !== undefined) own.spec.waiting = [{ uid: 'p9', namespace: 'default', name: 'p9', ...reason }];
      const answer = await runtime.succeed('STATUS', { version, variables: noAttachment });
      if (own !== undefined) delete own.spec.waiting;
      expect(answer).toBeUndefined();
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
  {
    section: '2, STATUS',
    rule: 'the other commands come, and are served as well as may be, whatever it said',
    since: '1.1.0',
    holds: async (bed) => {
      const { node, runtime, version } = bed;
      const configuration = { prevResult: await wired(bed) };
      const [own] = node.endpoints.splice(0);
      await node.compare().catch(() => undefined);
      failureOf(await runtime.run('STATUS', { version }));
      await runtime.succeed('CHECK', { version, configuration });
      await runtime.succeed('DEL', { version, configuration });
      await runtime.succeed('GC', { version, configuration: { 'cni.dev/valid-attachments': [] } });
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
      expect(await runtime.succeed('GC', { version, configuration, variables: noAttachment })).toBeUndefined();
      await node.wiring.remover.settled();
      expect(node.wiring.book.list().map((wire) => wire.containerId)).toEqual(['container-p2']);
    },
  },
  {
    section: '2, GC',
    rule: 'an attachment is told by container and interface together',
    since: '1.1.0',
    holds: async (bed) => {
      await wired(bed);
      const { runtime, version } = bed;
      const valid = (ifname: string) => ({ 'cni.dev/valid-attachments': [{ containerID: 'container-p1', ifname }] });
      await runtime.succeed('GC', { version, configuration: valid('eth0') });
      expect(await settled(bed)).toHaveLength(1);
      await runtime.succeed('GC', { version, configuration: valid('net1') });
      expect(await settled(bed)).toEqual([]);
    },
  },
  {
    section: '2, GC',
    rule: 'without a list nothing is known to be stale, and nothing is touched',
    since: '1.1.0',
    holds: async (bed) => {
      await wired(bed);
      await bed.runtime.succeed('GC', { version: bed.version });
      expect(await settled(bed)).toHaveLength(1);
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

export const networkRules: readonly Rule[] = [...statusRules, ...gcRules];
