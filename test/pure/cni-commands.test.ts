// SPDX-License-Identifier: Apache-2.0
// Every command in every version of the specification: what the runtime reads, whatever the agent says or does not say.
import { describe, expect, it } from 'vitest';
import type { HostOutcome } from '../../src/cni/host.ts';
import { attachment, call, configuration, errorOf, podVariables } from './cni-fake-host.ts';
import type { Outcome } from './cni-fake-host.ts';

const versions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const commands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'];
const since: Record<string, string> = { CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0' };

function ask(command: string, cniVersion: string, answer?: HostOutcome): Outcome {
  const more = { ...(command === 'CHECK' ? { prevResult: {} } : {}), 'cni.dev/valid-attachments': [] };
  const stdin = JSON.stringify(configuration({ cniVersion, ...more }));
  return call({ variables: { ...podVariables, CNI_COMMAND: command }, stdin, ...(answer ? { answer } : {}) });
}

/** The shape of `ADD` in each version; only what differs is written twice. */
function expectedResult(version: string): object {
  const mtu = version === '1.1.0' ? { mtu: 1450 } : {};
  const family = version.startsWith('0.') ? { version: '4' } : {};
  return {
    cniVersion: version,
    interfaces: [
      { name: 'fast0123456789', mac: '02:fa:57:00:00:01', ...mtu },
      { name: 'eth0', mac: '02:fa:57:0a:f4:0a', ...mtu, sandbox: '/run/netns/pod' },
    ],
    ips: [{ ...family, address: '10.244.10.0/32', gateway: '10.244.0.1', interface: 1 }],
    routes: [
      { dst: '10.244.0.1/32', ...(version === '1.1.0' ? { scope: 253 } : {}) },
      { dst: '0.0.0.0/0', gw: '10.244.0.1' },
    ],
    dns: {},
  };
}

const failures: [HostOutcome, string][] = [
  [{ problem: 'timeout', message: 'no answer within 55000 ms' }, 'gave no answer within 55 s (timeoutSeconds)'],
  [{ problem: 'read', message: 'Connection reset by peer' }, 'broke off (read: Connection reset by peer)'],
  [{ text: '' }, 'broke off: it is empty'],
  [{ text: '{"ok":tr' }, 'broke off: it is not whole JSON'],
];

const strangers: [string, string][] = [
  ['{}', 'the field "ok" is missing'],
  ['{"ok":"yes"}', 'the field "ok" is "yes"'],
  ['{"ok":false}', 'the field "code" is missing'],
  ['{"ok":false,"code":0,"msg":"x"}', 'the field "code" is 0'],
  [JSON.stringify({ ok: true, result: { ...attachment, mtu: 'big' } }), 'the field "result.mtu" is "big"'],
  ['[]', 'the message is []'],
  ['HTTP/1.1 400 Bad Request', 'it is not whole JSON: "HTTP/1.1 400 Bad Request"'],
];

describe.each(versions)('fast-cni for version %s', (version) => {
  it('answers ADD in the shape of that version', () => {
    const outcome = ask('ADD', version);
    expect(outcome.exitCode).toBe(0);
    expect(JSON.parse(outcome.stdout)).toEqual(expectedResult(version));
  });

  it('answers VERSION with that version and all that it serves', () => {
    const outcome = ask('VERSION', version);
    expect(JSON.parse(outcome.stdout)).toEqual({ cniVersion: version, supportedVersions: versions });
  });

  for (const command of commands) {
    const known = (since[command] ?? '0') <= version;
    if (!known) {
      it(`refuses ${command}, which that version does not know`, () => {
        const outcome = ask(command, version);
        expect(errorOf(outcome)).toMatchObject({ cniVersion: version, code: 1 });
        expect(errorOf(outcome).msg).toContain(`${command} needs cniVersion ${since[command]} or newer`);
        expect(outcome.requests).toEqual([]);
      });
      continue;
    }

    if (command !== 'ADD') {
      it(`prints nothing for ${command} that went well`, () => {
        expect(ask(command, version)).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
      });
    }

    it(`hands the agent's own error on for ${command}`, () => {
      const text = JSON.stringify({
        ok: false,
        code: 11,
        msg: 'pool sample-ips is exhausted',
        details: '2 of 2 in use',
      });
      const outcome = ask(command, version, { text });
      expect(outcome.exitCode).toBe(1);
      const details = '2 of 2 in use';
      expect(errorOf(outcome)).toEqual({ cniVersion: version, code: 11, msg: 'pool sample-ips is exhausted', details });
    });

    it.each(failures)(`has ${command} tried again after %j`, (answer, because) => {
      const outcome = ask(command, version, answer);
      expect(outcome.exitCode).toBe(1);
      expect(errorOf(outcome)).toMatchObject({ cniVersion: version, code: command === 'STATUS' ? 50 : 11 });
      expect(errorOf(outcome).msg).toContain(because);
    });

    it.each(strangers)(`answers ${command} with code 100 when the socket says %s`, (text, because) => {
      expect(errorOf(ask(command, version, { text }))).toMatchObject({ cniVersion: version, code: 100 });
      expect(errorOf(ask(command, version, { text })).msg).toContain(because);
    });
  }
});

describe('fast-cni with the agent away', () => {
  const away: HostOutcome = { problem: 'connect', message: 'No such file or directory (os error 2)' };

  it('lets DEL succeed', () => {
    expect(ask('DEL', '1.1.0', away)).toMatchObject({ exitCode: 0, stdout: '' });
  });

  it('lets DEL succeed that has no namespace any more', () => {
    const outcome = call({ variables: { ...podVariables, CNI_COMMAND: 'DEL', CNI_NETNS: '' }, answer: away });
    expect(outcome.exitCode).toBe(0);
  });

  it.each([
    ['ADD', 11],
    ['CHECK', 11],
    ['GC', 11],
    ['STATUS', 50],
  ])('answers %s with code %i and the cure', (command, code) => {
    const error = errorOf(ask(command, '1.1.0', away));
    expect(error.code).toBe(code);
    expect(error.msg).toBe(
      'the agent cannot be reached at /run/fast/agent.sock (No such file or directory (os error 2))',
    );
    expect(error.details).toBe('is the fast-agent pod running on this node?');
  });

  it('answers VERSION', () => expect(ask('VERSION', '1.0.0', away).exitCode).toBe(0));
});

describe('fast-cni and a strange agent', () => {
  it('does not take success without a result for an ADD', () => {
    expect(errorOf(ask('ADD', '1.1.0', { text: '{"ok":true}' }))).toMatchObject({ code: 100 });
  });

  it('ignores what a newer agent adds', () => {
    const text = JSON.stringify({ ok: true, result: { ...attachment, colour: 'red' }, mood: 'good' });
    expect(ask('ADD', '1.1.0', { text }).exitCode).toBe(0);
  });

  it('answers VERSION to a stdin that is empty', () => {
    const outcome = call({ variables: { CNI_COMMAND: 'VERSION' }, stdin: '' });
    expect(JSON.parse(outcome.stdout)).toMatchObject({ cniVersion: '1.1.0' });
  });
});
