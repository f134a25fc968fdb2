// SPDX-License-Identifier: Apache-2.0
// Who answers the runtime's requests: what must not reach the wires does not.
import { expect, it } from 'vitest';
import { silentLog } from '../../src/kube/log.ts';
import { Requests } from '../../src/node/requests.ts';
import type { AgentRequest, AgentResponse } from '../../src/protocol/messages.ts';

const request: AgentRequest = {
  protocol: 1,
  command: 'GC',
  containerId: '',
  netns: '',
  ifName: '',
  pod: { namespace: '', name: '', uid: '' },
  validAttachments: [{ containerId: 'c1', ifName: 'eth0' }],
};

async function collected(more: Partial<AgentRequest>): Promise<unknown[]> {
  const calls: unknown[] = [];
  const answer = (): Promise<AgentResponse> => Promise.resolve({ ok: true });
  const gc = (valid: unknown): Promise<AgentResponse> => {
    calls.push(valid);
    return answer();
  };
  const attachments = { add: answer, del: answer, check: answer, gc };
  const requests = new Requests({ attachments, unavailable: () => undefined, log: silentLog });
  expect(await requests.handle({ ...request, ...more }, new AbortController().signal)).toEqual({ ok: true });
  return calls;
}

it.each([{ network: 'fast' }, {}])(
  'the garbage of the own network is collected, by an older fast-cni too: %j',
  async (more) => {
    expect(await collected(more)).toEqual([[{ containerId: 'c1', podInterface: 'eth0' }]]);
  },
);

it('the GC of another network takes no pod its wire', async () => {
  expect(await collected({ network: 'storage' })).toEqual([]);
});
