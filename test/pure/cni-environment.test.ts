// SPDX-License-Identifier: Apache-2.0
// The variables of the runtime against the commands, as a table.
import { describe, expect, it } from 'vitest';
import { call, configuration, errorOf, podVariables } from './cni-fake-host.ts';

const required: Record<string, string[]> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  STATUS: [],
  GC: [],
  VERSION: [],
};

const stdin = JSON.stringify(configuration({ prevResult: {}, 'cni.dev/valid-attachments': [] }));
const stdinOf = (command: string): string => (command === 'ADD' ? JSON.stringify(configuration()) : stdin);

function without(name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(podVariables).filter(([key]) => key !== name));
}

describe('the environment of fast-cni', () => {
  for (const [command, needed] of Object.entries(required)) {
    for (const name of ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH']) {
      const outcome = call({ variables: { ...without(name), CNI_COMMAND: command }, stdin: stdinOf(command) });
      if (needed.includes(name)) {
        it(`${command} without ${name} is error 4 that names it`, () => {
          expect(outcome.exitCode).toBe(1);
          expect(errorOf(outcome)).toMatchObject({ code: 4, msg: `${command} cannot run: ${name} is missing` });
          expect(outcome.requests).toEqual([]);
        });
      } else {
        it(`${command} does not need ${name}`, () => expect(outcome.exitCode).toBe(0));
      }
    }
  }

  it.each([
    ['CNI_CONTAINERID', '../etc'],
    ['CNI_CONTAINERID', '-rf'],
    ['CNI_NETNS', 'run/netns/pod'],
    ['CNI_IFNAME', 'eth0:1'],
    ['CNI_IFNAME', '..'],
    ['CNI_IFNAME', 'a/b'],
    ['CNI_IFNAME', 'sixteen-letters-'],
    ['CNI_IFNAME', 'eth%d'],
    ['CNI_IFNAME', 'ééééééééé'],
    ['CNI_CONTAINERID', 'x'.repeat(129)],
  ])('refuses %s=%s with the value and the rule', (name, value) => {
    for (const command of name === 'CNI_NETNS' ? ['ADD', 'CHECK'] : ['ADD', 'CHECK', 'DEL']) {
      const outcome = call({ variables: { ...podVariables, CNI_COMMAND: command, [name]: value } });
      expect(errorOf(outcome).code).toBe(4);
      expect(errorOf(outcome).msg).toContain(`${name} is "${value.slice(0, 80)}" but must be `);
    }
  });

  it('names all that is missing at once', () => {
    const { msg } = errorOf(call({ variables: { CNI_COMMAND: 'ADD', CNI_ARGS: 'K8S_POD_NAME=busybox' } }));
    expect(msg).toBe(
      'ADD cannot run: CNI_CONTAINERID is missing; CNI_NETNS is missing; CNI_IFNAME is missing; ' +
        'K8S_POD_NAMESPACE is missing in CNI_ARGS',
    );
  });

  it('names the commands there are when it is given another', () => {
    const error = errorOf(call({ variables: { CNI_COMMAND: 'PAUSE' } }));
    expect(error).toMatchObject({ code: 4 });
    expect(error.msg).toContain('"PAUSE" but must be one of ADD, DEL, CHECK, STATUS, GC, VERSION');
  });

  it('refuses arguments it does not know unless IgnoreUnknown says so', () => {
    const variables = { ...podVariables, CNI_COMMAND: 'ADD' };
    const known = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=busybox';
    expect(errorOf(call({ variables: { ...variables, CNI_ARGS: `${known};COLOUR=red` } })).msg).toContain('COLOUR');
    expect(call({ variables: { ...variables, CNI_ARGS: `${known};COLOUR=red;IgnoreUnknown=true` } }).exitCode).toBe(0);
    expect(errorOf(call({ variables: { ...variables, CNI_ARGS: `${known};nonsense` } })).msg).toContain('"nonsense"');
  });

  it('lets nothing but the container and the interface stop a DEL', () => {
    const variables = { ...podVariables, CNI_COMMAND: 'DEL', CNI_NETNS: 'run/x', CNI_ARGS: 'nonsense;COLOUR=red' };
    const outcome = call({ variables });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(outcome.requests[0]?.body).toMatchObject({ containerId: 'c1', ifName: 'eth0', netns: '' });
  });

  it.each([
    ['K8S_POD_NAMESPACE', 'x'.repeat(64)],
    ['K8S_POD_NAME', 'x'.repeat(254)],
    ['K8S_POD_UID', '../../etc'],
  ])('refuses the argument %s=%s of an ADD', (key, value) => {
    const args = { K8S_POD_NAMESPACE: 'default', K8S_POD_NAME: 'busybox', K8S_POD_UID: 'u-1', [key]: value };
    const text = Object.entries(args).map((pair) => pair.join('='));
    const outcome = call({ variables: { ...podVariables, CNI_COMMAND: 'ADD', CNI_ARGS: text.join(';') } });
    expect(errorOf(outcome)).toMatchObject({ code: 4, msg: expect.stringContaining(`${key} in CNI_ARGS is "`) });
  });

  it('hands the pod on as the runtime names it, and an empty uid where the runtime gives none', () => {
    const variables = { ...podVariables, CNI_COMMAND: 'ADD' };
    expect(call({ variables }).requests[0]?.body.pod).toEqual({ namespace: 'default', name: 'busybox', uid: 'u-1' });
    const old = { ...variables, CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=busybox' };
    expect(call({ variables: old }).requests[0]?.body.pod.uid).toBe('');
  });

  it('says on stderr what it is when no command is set, and succeeds', () => {
    const outcome = call({ variables: {} });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(outcome.stderr).toContain('CNI protocol versions supported: 0.3.1, 0.4.0, 1.0.0, 1.1.0');
  });
});
