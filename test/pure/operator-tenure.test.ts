// SPDX-License-Identifier: Apache-2.0
// What a leader's client lets through, and when: the clock decides, not whether some timer has run already.
import { describe, expect, it } from 'vitest';
import type { CallOptions } from '../../src/kube/client.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { type LeaderVerbs, TenureClient } from '../../src/operator/tenure.ts';

function setUp(): {
  leading: TenureClient;
  sent: string[];
  calls: (CallOptions | undefined)[];
  end: AbortController;
  clock: { isLeading: boolean };
} {
  const sent: string[] = [];
  const calls: (CallOptions | undefined)[] = [];
  const verb =
    (name: string, callAt: number) =>
    async (...args: unknown[]): Promise<never> => {
      sent.push(name);
      calls.push(args[callAt] as CallOptions | undefined);
      return undefined as never;
    };
  const client: LeaderVerbs = {
    find: verb('find', 3),
    create: verb('create', 2),
    replace: verb('replace', 2),
    replaceStatus: verb('replaceStatus', 2),
    patch: verb('patch', 4),
    delete: verb('delete', 3),
  };
  const [end, clock] = [new AbortController(), { isLeading: true }];
  const leading = new TenureClient(client, { signal: end.signal, isLeading: () => clock.isLeading });
  return { leading, sent, calls, end, clock };
}

function writesOf(leading: TenureClient): (() => Promise<unknown>)[] {
  const record = { metadata: { name: '10.0.0.1' } } as never;
  return [
    () => leading.create(recordKind, record),
    () => leading.replace(recordKind, record),
    () => leading.replaceStatus(recordKind, record),
    () => leading.patch(recordKind, '10.0.0.1', {}, { type: 'merge' }),
    () => leading.delete(recordKind, '10.0.0.1'),
  ];
}

describe("a leader's client", () => {
  it('writes nothing when the clock says that the term is over, though no timer has run yet', async () => {
    const { leading, sent, clock } = setUp();
    clock.isLeading = false;
    for (const write of writesOf(leading)) await expect(write()).rejects.toThrow('no longer leading');
    expect(sent).toEqual([]);
    await leading.find(recordKind, '10.0.0.1');
    expect(sent).toEqual(['find']);
  });

  it('writes nothing when the term was ended, whatever the clock says', async () => {
    const { leading, sent, end } = setUp();
    end.abort(new Error('leadership lost'));
    for (const write of writesOf(leading)) await expect(write()).rejects.toThrow('leadership lost');
    expect(sent).toEqual([]);
  });

  it('lets no write be sent again that was put off beyond the term, though no timer has run yet', async () => {
    const { leading, calls, clock } = setUp();
    for (const write of writesOf(leading)) await write();
    await leading.find(recordKind, '10.0.0.1');
    const mayProceed = (): (boolean | undefined)[] => calls.map((call) => call?.mayProceed?.());
    expect(mayProceed()).toEqual([true, true, true, true, true, undefined]);
    clock.isLeading = false;
    expect(mayProceed()).toEqual([false, false, false, false, false, undefined]);
  });

  it('lets every verb through while it leads, each cut off by the end of the term or by its caller', async () => {
    const { leading, sent, calls, end } = setUp();
    for (const write of writesOf(leading)) await write();
    const caller = new AbortController();
    await leading.find(recordKind, '10.0.0.1', undefined, { timeoutMs: 5, signal: caller.signal });
    expect(sent).toEqual(['create', 'replace', 'replaceStatus', 'patch', 'delete', 'find']);
    expect(calls.at(-1)?.timeoutMs).toBe(5);
    caller.abort();
    expect(calls.map((call) => call?.signal?.aborted)).toEqual([false, false, false, false, false, true]);
    end.abort();
    expect(calls.map((call) => call?.signal?.aborted)).toEqual([true, true, true, true, true, true]);
  });
});
