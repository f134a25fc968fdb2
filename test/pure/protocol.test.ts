// SPDX-License-Identifier: Apache-2.0
// What the agent accepts from its socket.
import { describe, expect, it } from 'vitest';
import type { AgentRequest } from '../../src/protocol/messages.ts';
import { formatResponse, parseRequest } from '../../src/protocol/request.ts';
import { formatRequest } from '../../src/protocol/response.ts';

const request: AgentRequest = {
  protocol: 1,
  command: 'ADD',
  containerId: 'c1',
  netns: '/run/netns/pod',
  ifName: 'eth0',
  pod: { namespace: 'default', name: 'busybox', uid: '' },
};

const errorOf = (value: unknown): { code: number; msg: string } => {
  const parsed = parseRequest(typeof value === 'string' ? value : JSON.stringify(value));
  if (!('error' in parsed)) throw new Error('it was accepted');
  return parsed.error;
};

describe('a request on the socket', () => {
  it('arrives as it was sent', () => {
    expect(parseRequest(formatRequest(request))).toEqual({ request });
  });

  it('may carry fields of a newer fast-cni', () => {
    expect(parseRequest(JSON.stringify({ ...request, colour: 'red' }))).toHaveProperty('request');
  });

  it.each([
    [{ protocol: 2 }, 'the field "protocol" is 2 but must be 1, the version this agent speaks'],
    [{ command: 'PAUSE' }, 'the field "command" is "PAUSE" but must be one of ADD, DEL, CHECK, STATUS, GC'],
    [{ containerId: '' }, 'the field "containerId" is "" but must be the container id'],
    [{ netns: 'pod' }, 'the field "netns" is "pod" but must be the absolute path'],
    [{ netns: undefined }, 'the field "netns" is missing'],
    [{ pod: { namespace: 'default', name: '', uid: '' } }, 'the field "pod.name" is "" but must be K8S_POD_NAME'],
    [{ pod: 'busybox' }, 'the field "pod" is "busybox"'],
    [{ deadlineMs: 0 }, 'the field "deadlineMs" is 0'],
    [{ command: 'GC' }, 'the field "validAttachments" is missing'],
  ])('with %j is refused by field and value', (change, sentence) => {
    const error = errorOf({ ...request, ...change });
    expect(error.code).toBe(100);
    expect(error.msg).toContain(sentence);
  });

  it('may lack the namespace and the pod for DEL', () => {
    const del = { ...request, command: 'DEL', netns: '', pod: { namespace: '', name: '', uid: '' } };
    expect(parseRequest(JSON.stringify(del))).toHaveProperty('request');
  });

  it('that is no JSON is refused with its beginning', () => {
    expect(errorOf('GET / HTTP/1.1')).toMatchObject({ code: 6 });
    expect(errorOf('GET / HTTP/1.1').msg).toContain('"GET / HTTP/1.1"');
  });

  it('that is too long is refused before it is read', () => {
    expect(errorOf(' '.repeat(1024 * 1024 + 1)).msg).toContain('more than 1048576');
  });

  it('is answered by one line', () => {
    expect(formatResponse({ ok: false, code: 11, msg: 'later' })).toBe('{"ok":false,"code":11,"msg":"later"}\n');
  });
});
