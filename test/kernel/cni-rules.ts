// SPDX-License-Identifier: Apache-2.0
// The rules of the CNI specification that bind a plugin, one row each, with the versions that have the rule. The section
// names are those of 1.1.0. Rules for runtimes, for IPAM plugins and for plugins that call others bind fast-cni to nothing.
// Here is what an ADD is asked by; cni-rules-result.ts has what it answers, cni-rules-later.ts and
// cni-rules-network.ts the other commands.
import { expect } from 'vitest';
import { type AgentNode, inside } from './agent-node.ts';
import { record } from './memory-records.ts';
import { type CniFailure, type Ended, failureOf, type Runtime } from './runtime.ts';

export type SpecVersion = '0.3.1' | '0.4.0' | '1.0.0' | '1.1.0';
export const specVersions: readonly SpecVersion[] = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

export interface Bed {
  readonly node: AgentNode;
  readonly runtime: Runtime;
  readonly version: SpecVersion;
}

export interface Rule {
  readonly section: string;
  readonly rule: string;
  /** The first version that has it; 0.3.1 without. */
  readonly since?: SpecVersion;
  /** The last version that has it. */
  readonly until?: SpecVersion;
  readonly holds: (bed: Bed) => Promise<void> | void;
}

export interface Result {
  cniVersion: string;
  interfaces: Array<{ name: string; mac?: string; mtu?: number; sandbox?: string }>;
  ips: Array<{ version?: string; address: string; gateway?: string; interface?: number }>;
  routes: Array<{ dst: string; gw?: string; scope?: number }>;
  dns: object;
}

/** A pod that has its record and its sandbox, and no wire yet. */
export function pod(node: AgentNode, name = 'p1', address = '10.244.10.0'): void {
  node.pod(name, address);
}

/** A wired pod, and what the runtime keeps of it. */
export async function wired({ node, runtime, version }: Bed): Promise<Record<string, unknown>> {
  pod(node);
  const result = await runtime.succeed('ADD', { version });
  if (result === undefined) throw new Error('ADD gave no result');
  return result;
}

export async function added(bed: Bed): Promise<Result> {
  return (await wired(bed)) as unknown as Result;
}

export async function settled({ node }: Bed): Promise<string[]> {
  await node.wiring.remover.settled();
  return node.veths();
}

export async function fails(ended: Promise<Ended>, code: number, msg: string): Promise<CniFailure> {
  const failure = failureOf(await ended);
  expect(failure).toMatchObject({ code, msg: expect.stringContaining(msg) });
  return failure;
}

export const linksOf = (name: string): string => inside(name, 'ip', '-o', 'link');

/** What `prevResult` a runtime hands to the plugin that is not the first of its list. */
const former = (version: SpecVersion) => ({
  cniVersion: version,
  interfaces: [{ name: 'dummy0', sandbox: '/run/netns/elsewhere' }],
  ips: [{ ...(version < '1.0.0' ? { version: '4' } : {}), address: '192.0.2.1/32', interface: 0 }],
  routes: [{ dst: '198.51.100.0/24' }],
  dns: { nameservers: ['192.0.2.53'] },
});

const configurationRules: Rule[] = [
  {
    section: '1, Plugin configuration objects',
    rule: 'keys that only others know reach the plugin and do not disturb it',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const ofLists = { cniVersions: [version], disableCheck: true, disableGC: true, capabilities: { x: true } };
      const configuration = {
        ...ofLists,
        ipMasq: true,
        args: { cni: {} },
        'example.com/colour': 'red',
        'cni.dev/x': 1,
      };
      await runtime.succeed('ADD', { version, configuration });
    },
  },
  {
    section: '1, Plugin configuration objects',
    rule: 'a field that is known and cannot be honoured is error 2 with its key and value',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const configuration = { ipam: { type: 'host-local' } };
      const failure = await fails(runtime.run('ADD', { version, configuration }), 2, '"ipam"');
      expect(failure.msg).toContain('host-local');
    },
  },
  {
    section: '3, Deriving runtimeConfig',
    rule: 'capabilities of other plugins are passed over, and one that would be its own is error 2 with key and value',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const mac = { runtimeConfig: { mac: '02:00:00:00:00:01' } };
      const failure = await fails(runtime.run('ADD', { version, configuration: mac }), 2, '"runtimeConfig.mac"');
      expect(failure.msg).toContain('02:00:00:00:00:01');
      const configuration = {
        runtimeConfig: { dns: { servers: ['192.0.2.53'] }, 'io.kubernetes.cri.pod-annotations': {} },
      };
      await runtime.succeed('ADD', { version, configuration });
    },
  },
  {
    section: '1, Plugin configuration objects',
    rule: 'cniVersion, name and type are required',
    holds: async ({ runtime, version }) => {
      for (const key of ['cniVersion', 'name', 'type']) {
        await fails(runtime.run('ADD', { version, configuration: { [key]: undefined } }), 7, `"${key}" is missing`);
      }
    },
  },
  {
    section: '1, Network configuration lists',
    rule: 'a network has a name of letters, digits, "_", "." and "-" that begins with a letter or digit',
    holds: async ({ runtime, version }) => {
      await fails(runtime.run('ADD', { version, configuration: { name: '-fast' } }), 7, '"name" is "-fast"');
    },
  },
  {
    section: '1, Plugin configuration objects',
    rule: 'dns is given back where nobody else knows better',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const dns = { nameservers: ['192.0.2.53'] };
      expect((await runtime.succeed('ADD', { version, configuration: { dns } }))?.['dns']).toEqual(dns);
    },
  },
];

const environmentRules: Rule[] = [
  {
    section: '2, Parameters',
    rule: 'a container id begins with a letter or digit and has no other signs than "_", "." and "-"',
    holds: async ({ runtime, version }) => {
      for (const bad of ['', '-c', '_c', '.c', 'c d', 'c/d']) {
        for (const command of ['ADD', 'DEL']) {
          const variables = { CNI_CONTAINERID: bad };
          await fails(runtime.run(command, { version, variables }), 4, 'CNI_CONTAINERID');
        }
      }
    },
  },
  {
    section: '2, Parameters',
    rule: 'an interface name that cannot be used is an error',
    holds: async ({ runtime, version }) => {
      for (const bad of ['', '.', '..', 'a/b', 'a:b', 'a b', 'sixteen-letters-']) {
        await fails(runtime.run('ADD', { version, variables: { CNI_IFNAME: bad } }), 4, 'CNI_IFNAME');
      }
    },
  },
  {
    section: '2, Parameters',
    rule: 'error 4 names the variables that are missing',
    holds: async ({ runtime, version }) => {
      const variables = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined };
      const { msg } = await fails(runtime.run('ADD', { version, variables }), 4, 'CNI_CONTAINERID is missing');
      expect(msg).toContain('CNI_NETNS is missing');
      expect(msg).toContain('CNI_IFNAME is missing');
    },
  },
  {
    section: '2, Parameters',
    rule: 'CNI_ARGS are pairs of a key and a value; ADD names the ones that it cannot do without',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const add = (CNI_ARGS: string | undefined) => runtime.run('ADD', { version, variables: { CNI_ARGS } });
      await fails(add(undefined), 4, 'K8S_POD_NAMESPACE is missing in CNI_ARGS');
      await fails(add('K8S_POD_NAMESPACE=default;K8S_POD_NAME'), 4, '"K8S_POD_NAME", which is not KEY=VALUE');
      const known = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=p1;K8S_POD_UID=p1';
      await fails(add(`${known};FOO=BAR`), 4, 'CNI_ARGS has FOO');
      expect((await add(`IgnoreUnknown=1;${known};FOO=BAR`)).code).toBe(0);
    },
  },
  {
    section: '2, Parameters',
    rule: 'CNI_PATH is not needed',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      await runtime.succeed('ADD', { version, variables: { CNI_PATH: undefined } });
    },
  },
  {
    section: '2, Parameters',
    rule: 'a command that there is not is error 4',
    holds: async ({ runtime, version }) => {
      await fails(runtime.run('PAUSE', { version }), 4, 'CNI_COMMAND');
    },
  },
  {
    section: '2, CNI operations',
    rule: 'a command that came with a later version is error 1',
    until: '1.0.0',
    holds: async ({ runtime, version }) => {
      const unknown = version === '0.3.1' ? ['CHECK', 'STATUS', 'GC'] : ['STATUS', 'GC'];
      for (const command of unknown) await fails(runtime.run(command, { version }), 1, `${command} needs cniVersion`);
    },
  },
];

const addRules: Rule[] = [
  {
    section: '2, ADD',
    rule: 'the interface CNI_IFNAME is in the namespace CNI_NETNS afterwards',
    holds: async (bed) => {
      pod(bed.node);
      await bed.runtime.succeed('ADD', { version: bed.version, variables: { CNI_IFNAME: 'net1' } });
      expect(linksOf('p1')).toContain(' net1@');
    },
  },
  {
    section: '2, ADD',
    rule: 'success is exit code 0, and a result on stdout and nothing beside it',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const { code, stdout, stderr } = await runtime.run('ADD', { version });
      expect([code, stderr]).toEqual([0, '']);
      expect(JSON.parse(stdout)).toHaveProperty('ips');
    },
  },
  {
    section: '2, ADD',
    rule: 'an interface of that name is an error, and stays as it is',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      inside('p1', 'ip', 'link', 'add', 'eth0', 'type', 'bridge');
      const before = linksOf('p1');
      await fails(runtime.run('ADD', { version }), 104, 'eth0');
      expect([linksOf('p1'), node.veths()]).toEqual([before, []]);
    },
  },
  {
    section: '2, ADD',
    rule: 'prevResult is passed on, extended by what was made',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const prevResult = former(version);
      const result = (await runtime.succeed('ADD', { version, configuration: { prevResult } })) as unknown as Result;
      expect(result.interfaces.map((one) => one.name)).toEqual(['dummy0', node.veths()[0], 'eth0']);
      expect(result.ips.map((one) => [one.address, one.interface])).toEqual([
        ['192.0.2.1/32', 0],
        ['10.244.10.0/32', 2],
      ]);
      expect(result.routes[0]).toEqual({ dst: '198.51.100.0/24' });
      expect(result.dns).toEqual(prevResult.dns);
    },
  },
  {
    section: '5, ADD Success',
    rule: 'what prevResult says and fast-cni does not know is passed on as it is',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const { interfaces, ips, routes, ...rest } = former(version);
      const strange = { socketPath: '/run/vhost.sock', pciID: '0000:00:1f.6', mtu: 9000, 'example.com/x': [1] };
      const wide = { mtu: 1400, advmss: 1360, priority: 5, table: 100, scope: 0 };
      const prevResult = {
        ...rest,
        interfaces: interfaces.map((one) => ({ ...one, ...strange })),
        ips: ips.map((one) => ({ ...one, 'example.com/x': 'y' })),
        routes: routes.map((one) => ({ ...one, ...wide })),
        'example.com/colour': 'red',
      };
      const result = await runtime.succeed('ADD', { version, configuration: { prevResult } });
      const { interfaces: all, ips: allIps, routes: allRoutes } = result as unknown as Result;
      expect([all[0], allIps[0], allRoutes[0]]).toEqual([
        prevResult.interfaces[0],
        prevResult.ips[0],
        prevResult.routes[0],
      ]);
      expect(result?.['example.com/colour']).toBe('red');
    },
  },
  {
    section: '3, Lifecycle & Ordering',
    rule: 'other containers may be added and deleted at the same time',
    holds: async ({ node, runtime, version }) => {
      const names = Array.from({ length: 6 }, (_, at) => `p${at}`);
      for (const [at, name] of names.entries()) pod(node, name, `10.244.10.${at}`);
      const all = (command: string) =>
        Promise.all(names.map((sandbox) => runtime.succeed(command, { version, sandbox })));
      const addresses = (await all('ADD')).map((result) => (result as unknown as Result).ips[0]?.address);
      expect(addresses).toEqual(names.map((_, at) => `10.244.10.${at}/32`));
      await all('DEL');
      await node.wiring.remover.settled();
      expect(node.veths()).toEqual([]);
    },
  },
  {
    section: '2, ADD',
    rule: 'a failed ADD leaves nothing in the sandbox and on the node',
    holds: async ({ node, runtime, version }) => {
      node.sandbox('p1');
      node.records.put(record('10.244.10.0', 'p1', { gateway: '10.244.0.999' }));
      const before = [linksOf('p1'), linksOf('one')];
      await fails(runtime.run('ADD', { version }), 102, '10.244.0.999');
      expect([linksOf('p1'), linksOf('one')]).toEqual(before);
    },
  },
];

export const makingRules: readonly Rule[] = [...configurationRules, ...environmentRules, ...addRules];
