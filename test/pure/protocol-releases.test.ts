// SPDX-License-Identifier: Apache-2.0
// A node is upgraded in two steps: for a moment an old fast-cni asks a new agent, or the reverse. The messages here were
// recorded from release 0.1.0 and never change; what a newer release adds is tried by fields that nobody knows.
import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../src/protocol/request.ts';
import { parseResponse } from '../../src/protocol/response.ts';
import { validateResponse } from '../../src/cni/validators.ts';
import { call, configuration, podVariables } from './cni-fake-host.ts';

const nobody = '"containerId":"","netns":"","ifName":"","pod":{"namespace":"","name":"","uid":""}';
const somebody =
  '"containerId":"c1","netns":"/run/netns/pod","ifName":"eth0","pod":{"namespace":"default","name":"busybox","uid":"u-1"}';

/** What fast-cni 0.1.0 writes. */
const oldRequests: Record<string, string> = {
  ADD: `{"protocol":1,"command":"ADD",${somebody},"deadlineMs":54000}`,
  DEL: `{"protocol":1,"command":"DEL",${somebody},"deadlineMs":54000}`,
  CHECK: `{"protocol":1,"command":"CHECK",${somebody},"deadlineMs":54000,"prevResult":{"interfaces":[{"name":"eth0","mac":"0a:fa:0a:f4:0a:00","sandbox":"/run/netns/pod"}],"ips":[{"address":"10.244.10.0/32","gateway":"10.244.0.1","interface":0}],"routes":[{"dst":"0.0.0.0/0","gw":"10.244.0.1"}]}}`,
  STATUS: `{"protocol":1,"command":"STATUS",${nobody},"deadlineMs":54000}`,
  GC: `{"protocol":1,"command":"GC",${nobody},"deadlineMs":54000,"validAttachments":[{"containerId":"c1","ifName":"eth0"}]}`,
};

/** What the agent 0.1.0 writes; blanks come before the text where it worked for long. */
const oldResult =
  '  {"ok":true,"result":{"address":"10.244.10.0","prefixLength":32,"gateway":"10.244.0.1","hostInterface":"fast0123456789","hostMac":"02:fa:57:00:00:01","podInterface":"eth0","podMac":"0a:fa:0a:f4:0a:00","mtu":1450,"sandbox":"/run/netns/pod","routes":[{"destination":"10.244.0.1/32"},{"destination":"0.0.0.0/0","gateway":"10.244.0.1"}]}}\n';
const oldResponses: Record<string, string> = {
  ADD: oldResult,
  DEL: '{"ok":true}\n',
  CHECK: '{"ok":false,"code":103,"msg":"the interface eth0 is down"}\n',
  STATUS: '{"ok":false,"code":50,"msg":"no pod can be wired on this node: wires cannot be compared: EPERM"}\n',
  GC: '{"ok":true}\n',
};

/** As a later release might write it: more on every level, and lists longer than before. */
function later(text: string): string {
  const grow = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(grow);
    if (typeof value !== 'object' || value === null) return value;
    const grown = Object.entries(value).map(([key, inner]) => [key, grow(inner)]);
    return { newField: { of: 'a later release' }, ...Object.fromEntries(grown) };
  };
  return JSON.stringify(grow(JSON.parse(text)));
}

describe('an agent', () => {
  it.each(Object.entries(oldRequests))('takes %s of an old fast-cni as it was meant', (_command, text) => {
    expect(parseRequest(text)).toEqual({ request: JSON.parse(text) });
  });

  it.each(Object.entries(oldRequests))(
    'takes %s of a newer fast-cni, whose additions it passes over',
    (command, text) => {
      expect(parseRequest(later(text))).toMatchObject({ request: { command } });
    },
  );

  it('tells a fast-cni of another protocol which one it speaks', () => {
    const { error } = parseRequest(oldRequests['ADD']?.replace('"protocol":1', '"protocol":2') ?? '') as {
      error: { code: number; msg: string; details: string };
    };
    expect(error).toMatchObject({ code: 100, msg: expect.stringContaining('"protocol" is 2 but must be 1') });
    expect(error.details).toContain('one release');
  });
});

describe('fast-cni', () => {
  it.each(Object.entries(oldResponses))('reads the answer to %s of an old agent', (_command, text) => {
    expect(parseResponse(text, validateResponse)).toEqual({ response: JSON.parse(text) });
  });

  it.each(Object.entries(oldResponses))('reads the answer to %s of a newer agent', (command, text) => {
    const variables = { ...podVariables, CNI_COMMAND: command };
    const more = { prevResult: {}, 'cni.dev/valid-attachments': [] };
    const ask = (answer: string) =>
      call({ variables, stdin: JSON.stringify(configuration(more)), answer: { text: answer } });
    expect(ask(later(text))).toEqual(ask(text));
  });

  it('hands on a code and a sentence that only a newer agent knows', () => {
    const answer = { text: '{"ok":false,"code":199,"msg":"a reason of tomorrow"}' };
    const { exitCode, stdout } = call({ variables: { ...podVariables, CNI_COMMAND: 'ADD' }, answer });
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ code: 199, msg: 'a reason of tomorrow' });
  });

  it('writes beside what release 0.1.0 knows only what an old agent may pass over', () => {
    const more = { prevResult: {}, 'cni.dev/valid-attachments': [], runtimeConfig: { bandwidth: { ingressRate: 1 } } };
    const stdin = JSON.stringify(configuration(more));
    const written = Object.keys(oldRequests).flatMap((command) => {
      const { requests } = call({ variables: { ...podVariables, CNI_COMMAND: command }, stdin });
      return Object.keys(requests[0]?.body ?? {});
    });
    const known = new Set(Object.values(oldRequests).flatMap((text) => Object.keys(JSON.parse(text) as object)));
    // An old agent leaves a limited pod on the fast path: it runs, without its limit. And it takes every GC for its network's.
    expect([...new Set(written)].filter((key) => !known.has(key))).toEqual(['hasBandwidthLimit', 'network']);
  });
});
