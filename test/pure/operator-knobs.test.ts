// SPDX-License-Identifier: Apache-2.0
// The ConfigMap's knobs: what the agents are started with, and what is said of a value that is none.
import { describe, expect, it } from 'vitest';
import { agentDaemonSet } from '../../src/operator/agent-daemonset.ts';
import { defaultLease, readConfig } from '../../src/operator/config.ts';
import { flagKnobs, readKnobs } from '../../src/api/knobs.ts';

interface Container {
  args: string[];
  resources: object;
}

describe('where the controller serves metrics', () => {
  it.each([
    [undefined, '127.0.0.1'],
    ['', '127.0.0.1'],
    ['everywhere', '127.0.0.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '127.0.0.1'],
    ['10.29.15.49', '127.0.0.1'],
  ])('by the knob %j is %s: no wrong line keeps it from starting', (value, host) => {
    const env = value === undefined ? {} : { FAST_METRICS_ADDRESS: value };
    expect(readConfig([], env, 'here').health.host).toBe(host);
    expect(readConfig(['--health-host', '10.0.0.1'], env, 'here').health.host).toBe('10.0.0.1');
    expect(readConfig([], env, 'here').lease).toEqual(defaultLease);
  });
});

describe('the knobs', () => {
  it('are flags of the agent, in one order, so that the same knobs never roll the agents', () => {
    const knobs = { mtu: '1400', 'tunnel-port': '8472\n', uplink: 'eth1', 'agent-log-level': 'debug' };
    const args = ['--log-level', 'debug', '--tunnel-port', '8472', '--mtu', '1400', '--uplink', 'eth1'];
    expect(readKnobs(knobs)).toEqual({ args, problems: [] });
    expect(readKnobs(Object.fromEntries(Object.entries(knobs).toReversed())).args).toEqual(args);
  });

  it('that are absent or empty change nothing', () => {
    expect(readKnobs()).toEqual({ args: [], problems: [] });
    expect(readKnobs({ mtu: '', 'agent-resources': '', 'fast-nodes': 'subnet: 10.244.0.1/32' })).toEqual({
      args: [],
      problems: [],
    });
  });

  it.each([
    ['mtu', '100', 'write the MTU of pods in bytes, from 576 to 65485, or auto'],
    ['mtu', 'jumbo', 'write the MTU of pods in bytes, from 576 to 65485, or auto'],
    ['tunnel-port', '0', 'write a UDP port from 1 to 65535'],
    ['tunnel-port', '65536', 'write a UDP port from 1 to 65535'],
    ['uplink', 'eth0 --kubeconfig=/x', "write a link's name, or auto"],
    ['agent-log-level', 'loud', 'write debug, info, warn or error'],
    ['metrics-address', 'everywhere', 'write 127.0.0.1 or 0.0.0.0'],
    // An address of one node: the agents of all others would not start, nor its own be found alive.
    ['metrics-address', '10.29.15.49', 'write 127.0.0.1 or 0.0.0.0'],
  ])('%s: %j is left out and said with the cure', (key, value, cure) => {
    expect(readKnobs({ [key]: value, 'agent-resources': 'requests: {cpu: 1}' })).toEqual({
      args: [],
      resources: { requests: { cpu: 1 } },
      problems: [{ key, says: `"${value}" is not taken; ${cure}` }],
    });
  });

  it.each(['cpu: 1', '- a', '{', 'x', 'requests: {cpu: abc}', 'limits: 5', 'limits: {memory: 128MB}'])(
    'resources that are none (%s) are left out',
    (text) => {
      const { problems, resources } = readKnobs({ 'agent-resources': text });
      expect(resources).toBeUndefined();
      const says = `"${text}" is not taken; write requests and limits as a container has them`;
      expect(problems).toEqual([{ key: 'agent-resources', says }]);
    },
  );

  it('take quantities as the API server has them', () => {
    const text = 'requests: {cpu: 50m, memory: 128Mi}\nlimits: {cpu: 0.5, memory: 1e9, ephemeral-storage: 2G}';
    expect(readKnobs({ 'agent-resources': text }).problems).toEqual([]);
  });

  it.each([
    ['log-level', 'did you mean agent-log-level?'],
    ['MTU', 'did you mean mtu?'],
    ['tunnel_port', 'did you mean tunnel-port?'],
    ['port', 'did you mean tunnel-port?'],
    ['maskerade-exclude', 'did you mean masquerade-exclude?'],
    ['fastnodes', 'did you mean fast-nodes?'],
    [
      'bananas',
      'the knobs are agent-log-level, tunnel-port, mtu, mode, uplink, metrics-address, masquerade-exclude, agent-resources, fast-nodes',
    ],
  ])('that nobody knows, such as %s, are said with those that may be meant', (key, cure) => {
    expect(readKnobs({ [key]: 'x', mtu: '1400' })).toEqual({
      args: ['--mtu', '1400'],
      problems: [{ key, says: `no knob has this name; ${cure}` }],
    });
  });

  it('reach the DaemonSet', () => {
    const resources = { limits: { memory: '256Mi' } };
    const made = agentDaemonSet({ namespace: 'fast-system', image: 'i', args: ['--mtu', '1400'], resources });
    const [agent] = (made.spec?.template.spec?.containers ?? []) as unknown as Container[];
    expect(agent?.args).toEqual(['--health-port', '9441', '--mtu', '1400']);
    expect(agent?.resources).toEqual(resources);
  });

  it('each have a flag of their own', () => {
    const flags = Object.values(flagKnobs).map((one) => one.flag);
    expect(new Set(flags).size).toBe(flags.length);
  });
});
