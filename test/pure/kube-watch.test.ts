// SPDX-License-Identifier: Apache-2.0
// When a watch is taken for dead: by the server's silence, never by its reader's.
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { configMaps } from '../../src/kube/resources.ts';
import type { Transport } from '../../src/kube/transport.ts';
import { watchEvents } from '../../src/kube/watch.ts';
import { object } from './kube-informer-script.ts';

/** An open watch on a clock of its own; `say` sends an event. */
function watching() {
  const [clock, body] = [new FakeClock(), new Readable({ read: () => undefined })];
  const open = (_attempt: unknown, _request: unknown, signal: AbortSignal) => {
    signal.addEventListener('abort', () => body.destroy(signal.reason as Error));
    return Promise.resolve(body);
  };
  const options = { resourceVersion: '1', timeoutSeconds: 300, silenceMs: 1000 };
  const events = watchEvents({ open } as unknown as Transport, configMaps, options, clock);
  const say = (name: string) => body.push(`${JSON.stringify({ type: 'ADDED', object: object(name, '2') })}\n`);
  return { clock, events, say, body };
}

describe('a watch', () => {
  it('is given up after the silence that it was told', async () => {
    const { clock, events, say } = watching();
    say('a');
    expect((await events.next()).value?.object.metadata.name).toBe('a');
    const next = expect(events.next()).rejects.toThrow('the server has been silent for 1000 ms');
    await clock.advance(1001);
    await next;
    expect(clock.pending).toBe(0);
  });

  it('has broken where its stream ends in the middle of an event: an end of the server’s own would be no failure', async () => {
    const { events, say, body } = watching();
    say('a');
    body.push('{"type":"ADDED","obj');
    body.push(null);
    await events.next();
    await expect(events.next()).rejects.toMatchObject({ reason: 'unreachable' });
  });

  it('is not given up while its reader works, however long that takes', async () => {
    const { clock, events, say } = watching();
    say('a');
    await events.next();
    await clock.advance(60_000);
    say('b');
    expect((await events.next()).value?.object.metadata.name).toBe('b');
    await events.return(undefined);
    expect(clock.pending).toBe(0);
  });

  it('is given up after a silence that began with its reader back at it', async () => {
    const { clock, events, say } = watching();
    say('a');
    await events.next();
    await clock.advance(60_000);
    const next = expect(events.next()).rejects.toThrow('silent');
    await clock.advance(1001);
    await next;
  });
});
