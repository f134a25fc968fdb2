// SPDX-License-Identifier: Apache-2.0
// A million inputs that are nearly right, to each side of fast-cni and to the agent: every answer is success or an error
// of the table, and none is a fault of ours. CI runs a share of them (test/share.ts).
import { describe, expect, it } from 'vitest';
import { errorTable } from '../../src/protocol/error-codes.ts';
import { parseRequest } from '../../src/protocol/request.ts';
import { rounds } from '../share.ts';
import { attachment, call, configuration, passOn, podVariables } from './cni-fake-host.ts';
import { changedJson, changedText, changedVariables, numbers } from './cni-mutations.ts';

const minuteMs = 60_000;
const codes: readonly number[] = Object.values(errorTable).map((one) => one.code);
const commands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'];

const prevResult = {
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'fast0123456789', mac: '02:fa:57:00:00:01' },
    { name: 'eth0', sandbox: '/run/netns/pod' },
  ],
  ips: [{ address: '10.244.10.0/32', gateway: '10.244.0.1', interface: 1 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.244.0.1' }],
  dns: {},
};
const whole = configuration({
  socket: '/run/fast/agent.sock',
  timeoutSeconds: 55,
  dns: { nameservers: ['192.0.2.53'] },
  prevResult,
  delegates: { portMappings: 'fast-portmap', bandwidth: 'fast-bandwidth' },
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }], bandwidth: { ingressRate: 1 } },
  'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }],
});
const request = {
  protocol: 1,
  command: 'ADD',
  containerId: 'c1',
  netns: '/run/netns/pod',
  ifName: 'eth0',
  pod: { namespace: 'default', name: 'busybox', uid: 'u-1' },
  deadlineMs: 54_000,
  prevResult,
  validAttachments: [{ containerId: 'c1', ifName: 'eth0' }],
};

/** What a runtime makes of an outcome; throws where it could make nothing of it. `known`: which codes there may be. */
function judge(outcome: { exitCode: number; stdout: string }, isKnown: (code: number) => boolean): void {
  if (outcome.exitCode === 0) {
    if (outcome.stdout !== '') JSON.parse(outcome.stdout);
    return;
  }
  const { cniVersion, code, msg } = JSON.parse(outcome.stdout) as Record<string, unknown>;
  if (typeof cniVersion !== 'string' || typeof msg !== 'string' || msg === '') throw new Error(outcome.stdout);
  if (typeof code !== 'number' || !isKnown(code)) throw new Error(outcome.stdout);
}

const isOfTable = (code: number): boolean => codes.includes(code) && code !== errorTable.internal.code;

describe('inputs that are nearly right', () => {
  it(
    'to configuration and environment end in an answer or an error of the table',
    () => {
      const random = numbers(20_261_125);
      for (let round = rounds(400_000); round > 0; round -= 1) {
        const command = commands[random(commands.length)] ?? '';
        const variables = changedVariables({ ...podVariables, CNI_COMMAND: command }, random);
        const stdin = changedJson(whole, random);
        try {
          judge(call({ variables, stdin, plugin: passOn }), isOfTable);
        } catch (error) {
          expect.fail(`${JSON.stringify({ variables, stdin })}: ${String(error)}`);
        }
      }
    },
    5 * minuteMs,
  );

  it(
    'from the agent end in a result or an error that a runtime can read',
    () => {
      const random = numbers(7);
      const answers = [
        { ok: true, result: attachment },
        { ok: false, code: 11, msg: 'pool sample-ips is exhausted', details: 'since 10:00' },
      ];
      // The agent's own code is handed on, whatever release it is of.
      const isAnyCode = (code: number): boolean => code !== errorTable.internal.code && code >= 1 && code <= 999;
      for (let round = rounds(300_000); round > 0; round -= 1) {
        const variables = { ...podVariables, CNI_COMMAND: commands[random(5)] ?? '' };
        const text = changedJson(answers[random(2)], random);
        try {
          judge(call({ variables, stdin: JSON.stringify(whole), answer: { text } }), isAnyCode);
        } catch (error) {
          expect.fail(`${variables.CNI_COMMAND} ${JSON.stringify(text)}: ${String(error)}`);
        }
      }
    },
    5 * minuteMs,
  );

  it(
    'from the plugins that it runs end in a result or an error of the table',
    () => {
      const random = numbers(105);
      for (let round = rounds(100_000); round > 0; round -= 1) {
        const variables = { ...podVariables, CNI_COMMAND: commands[random(3)] ?? '' };
        const exitCode = random(3) === 0 ? random(256) : 0;
        const said = changedJson(exitCode === 0 ? prevResult : { cniVersion: '1.0.0', code: 7, msg: 'no' }, random);
        const text = random(4) === 0 ? changedText(said, random) : said;
        try {
          judge(call({ variables, stdin: JSON.stringify(whole), plugin: () => ({ text, exitCode }) }), isOfTable);
        } catch (error) {
          expect.fail(`${variables.CNI_COMMAND} ${exitCode} ${JSON.stringify(text)}: ${String(error)}`);
        }
      }
    },
    5 * minuteMs,
  );

  it(
    'to the agent become a request that is checked or are refused by a sentence',
    () => {
      const random = numbers(99);
      let accepted = 0;
      for (let round = rounds(300_000); round > 0; round -= 1) {
        const sent = changedJson({ ...request, command: commands[random(5)] }, random);
        const text = random(10) === 0 ? changedText(sent, random) : sent;
        const parsed = parseRequest(text);
        if ('request' in parsed) {
          accepted += 1;
          if (!commands.includes(parsed.request.command)) expect.fail(text);
        } else if (![6, 100].includes(parsed.error.code) || parsed.error.msg === '') expect.fail(text);
      }
      // Else nothing behind the border was tried.
      expect(accepted).toBeGreaterThan(rounds(300_000) / 50);
    },
    5 * minuteMs,
  );
});
