// SPDX-License-Identifier: Apache-2.0
// The rules of the CNI specification for what is answered: the result of ADD, errors, VERSION. See cni-rules.ts.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect } from 'vitest';
import { inside, netnsPath } from './agent-node.ts';
import { added, fails, linksOf, type Rule, specVersions } from './cni-rules.ts';
import { failureOf, program, variablesFor } from './runtime.ts';

const resultRules: Rule[] = [
  {
    section: '5, ADD Success',
    rule: 'cniVersion is that of the configuration',
    holds: async (bed) => expect((await added(bed)).cniVersion).toBe(bed.version),
  },
  {
    section: '5, ADD Success',
    rule: 'interfaces have name and mac, and a sandbox where they are in one',
    holds: async (bed) => {
      const { interfaces } = await added(bed);
      const [host, inPod] = interfaces;
      expect(interfaces).toHaveLength(2);
      expect([host?.name, host?.sandbox]).toEqual([bed.node.veths()[0], undefined]);
      expect([inPod?.name, inPod?.sandbox]).toEqual(['eth0', netnsPath('p1')]);
      expect(linksOf('p1')).toContain(`link/ether ${inPod?.mac}`);
      expect(linksOf('one')).toContain(`link/ether ${host?.mac}`);
    },
  },
  {
    section: '5, ADD Success',
    rule: 'interfaces have their mtu',
    since: '1.1.0',
    holds: async (bed) => expect((await added(bed)).interfaces.map((one) => one.mtu)).toEqual([1450, 1450]),
  },
  {
    section: '5, ADD Success',
    rule: 'fields of a later version are not there',
    until: '1.0.0',
    holds: async (bed) => {
      const { interfaces, routes } = await added(bed);
      expect(
        [...interfaces.map((one) => one.mtu), ...routes.map((one) => one.scope)].every((x) => x === undefined),
      ).toBe(true);
    },
  },
  {
    section: '5, ADD Success',
    rule: 'an address is in CIDR notation, with its gateway and the index of its interface',
    holds: async (bed) => {
      const { ips } = await added(bed);
      expect(ips).toMatchObject([{ address: '10.244.10.0/32', gateway: '10.244.0.1', interface: 1 }]);
      expect(inside('p1', 'ip', '-o', 'addr', 'show', 'eth0')).toContain('10.244.10.0/32');
    },
  },
  {
    section: '5, ADD Success',
    rule: 'a route says its scope where that is not the whole world',
    since: '1.1.0',
    holds: async (bed) => expect((await added(bed)).routes.map((one) => one.scope)).toEqual([253, undefined]),
  },
  {
    section: '5, ADD Success',
    rule: 'dns is a dictionary, an empty one where nothing is known',
    holds: async (bed) => expect((await added(bed)).dns).toEqual({}),
  },
  {
    section: '5, IP (0.3.0 to 0.4.0)',
    rule: 'an address says its family',
    until: '0.4.0',
    holds: async (bed) => expect((await added(bed)).ips[0]?.version).toBe('4'),
  },
  {
    section: '5, IP (1.0.0, changes)',
    rule: 'an address does not say its family any more',
    since: '1.0.0',
    holds: async (bed) => expect((await added(bed)).ips[0]).not.toHaveProperty('version'),
  },
  {
    section: '5, ADD Success',
    rule: 'the routes that are told are there',
    holds: async (bed) => {
      const { routes } = await added(bed);
      expect(routes.map(({ dst, gw }) => [dst, gw])).toEqual([
        ['10.244.0.1/32', undefined],
        ['0.0.0.0/0', '10.244.0.1'],
      ]);
      expect(inside('p1', 'ip', 'route')).toMatch(/^default via 10\.244\.0\.1 dev eth0.*\n10\.244\.0\.1 dev eth0/);
    },
  },
];

const errorRules: Rule[] = [
  {
    section: '5, Error',
    rule: 'an error is exit code 1 and cniVersion, code, msg and details as JSON on stdout',
    holds: async ({ runtime, version }) => {
      const failure = failureOf(await runtime.run('ADD', { version, variables: { CNI_NETNS: undefined } }));
      expect(Object.keys(failure)).toEqual(['cniVersion', 'code', 'msg', 'details']);
      expect(failure.cniVersion).toBe(version);
    },
  },
  {
    section: '5, Error',
    rule: 'codes 1 to 99 are the specification’s: 6 for what is no JSON, 7 for a bad value, 1 for a bad version',
    holds: async ({ runtime, version }) => {
      await fails(runtime.run('ADD', { version, stdin: '{' }), 6, 'not JSON');
      await fails(runtime.run('ADD', { version, configuration: { timeoutSeconds: 0 } }), 7, 'timeoutSeconds');
      for (const cniVersion of ['0.2.0', '1.2.0', '1.1']) {
        await fails(runtime.run('ADD', { version, configuration: { cniVersion } }), 1, `"${cniVersion}"`);
      }
    },
  },
  {
    section: '5, Error',
    rule: 'code 5 where the configuration cannot be read',
    holds: () => {
      const folder = openSync(tmpdir(), 'r');
      const env = variablesFor('ADD', 'p1', 'p1');
      const { status, stdout } = spawnSync(program, { env, stdio: [folder, 'pipe', 'pipe'], encoding: 'utf8' });
      closeSync(folder);
      expect([status, JSON.parse(stdout)]).toMatchObject([1, { code: 5, msg: expect.stringContaining('stdin') }]);
    },
  },
  {
    section: '5, Error',
    rule: 'code 11 for what may be there later, such as an address',
    holds: async ({ node, runtime, version }) => {
      node.sandbox('p1');
      const ended = runtime.run('ADD', { version, configuration: { timeoutSeconds: 1 } });
      const { msg } = await fails(ended, 11, 'has no address yet');
      // The runtime sets a semicolon and the details behind it.
      expect(msg).not.toMatch(/[.?]$/);
    },
  },
];

const versionRules: Rule[] = [
  {
    section: '5, VERSION',
    rule: 'VERSION needs neither other variables nor a whole configuration, and lists what is served',
    holds: async ({ runtime, version }) => {
      const variables = Object.fromEntries(
        ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS', 'CNI_PATH'].map((name) => [name, undefined]),
      );
      const answer = await runtime.succeed('VERSION', { variables, stdin: JSON.stringify({ cniVersion: version }) });
      expect(answer).toEqual({ cniVersion: version, supportedVersions: specVersions });
    },
  },
  {
    section: '5, VERSION',
    rule: 'cniVersion is the one that was asked in, whether it is served or not',
    holds: async ({ runtime }) => {
      for (const cniVersion of ['0.2.0', '1.2.0']) {
        const answer = await runtime.succeed('VERSION', { stdin: JSON.stringify({ cniVersion }) });
        expect(answer).toEqual({ cniVersion, supportedVersions: specVersions });
      }
    },
  },
];

export const answeringRules: readonly Rule[] = [...resultRules, ...errorRules, ...versionRules];
