// SPDX-License-Identifier: Apache-2.0
// The rules of the CNI specification for what comes to an attachment after ADD: DEL and CHECK. See cni-rules.ts.
import { expect } from 'vitest';
import { inside } from './agent-node.ts';
import { type Bed, fails, pod, type Rule, settled, wired } from './cni-rules.ts';
import { type CniFailure, failureOf } from './runtime.ts';

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
    rule: 'the container id and the interface are needed, and error 4 names what is missing',
    holds: async ({ runtime, version }) => {
      for (const name of ['CNI_CONTAINERID', 'CNI_IFNAME']) {
        await fails(runtime.run('DEL', { version, variables: { [name]: undefined } }), 4, `${name} is missing`);
      }
    },
  },
  {
    section: '2, DEL',
    rule: 'CNI_ARGS and CNI_PATH are not needed',
    holds: async (bed) => {
      await wired(bed);
      await bed.runtime.succeed('DEL', {
        version: bed.version,
        variables: { CNI_ARGS: undefined, CNI_PATH: undefined },
      });
      expect(await settled(bed)).toEqual([]);
    },
  },
  {
    section: '3, Lifecycle & Ordering',
    rule: 'it succeeds after an ADD that failed, whatever was wrong with that',
    holds: async ({ node, runtime, version }) => {
      node.sandbox('p1');
      for (const configuration of [{ ipam: { type: 'host-local' } }, { timeoutSeconds: 1 }]) {
        failureOf(await runtime.run('ADD', { version, configuration }));
        expect(await runtime.succeed('DEL', { version, configuration })).toBeUndefined();
      }
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
    rule: 'it needs the variables that ADD needs, and goes by them alone',
    since: '0.4.0',
    holds: async (bed) => {
      const configuration = { prevResult: await wired(bed) };
      for (const name of ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']) {
        const without = { version: bed.version, configuration, variables: { [name]: undefined } };
        await fails(bed.runtime.run('CHECK', without), 4, `${name} is missing`);
      }
      const variables = { CNI_ARGS: undefined, CNI_PATH: undefined };
      await bed.runtime.succeed('CHECK', { version: bed.version, configuration, variables });
    },
  },
  {
    section: '5, Error',
    rule: 'code 3 for a container that was never there',
    since: '0.4.0',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      await fails(runtime.run('CHECK', { version, configuration: { prevResult: {} } }), 3, 'has no wire on this node');
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

export const laterRules: readonly Rule[] = [...delRules, ...checkRules];
