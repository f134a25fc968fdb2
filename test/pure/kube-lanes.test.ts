// SPDX-License-Identifier: Apache-2.0
// Who gets a connection next, and when one is closed: a lane too few is a call that waits for ever, one too many a leak.
import type { Dispatcher } from 'undici';
import { expect, it } from 'vitest';
import { Exchange } from '../../src/kube/exchange.ts';
import { Lanes } from '../../src/kube/lanes.ts';

function lanes(limit: number) {
  const told: string[] = [];
  let made = 0;
  const make = (): Dispatcher => {
    made += 1;
    const name = `lane ${made}`;
    const dispatch = ({ path }: Dispatcher.DispatchOptions): boolean => told.push(`${path} on ${name}`) > 0;
    const close = (): Promise<void> => Promise.resolve(void told.push(`${name} closed`));
    return { dispatch, close } as unknown as Dispatcher;
  };
  const all = new Lanes(make, limit);
  const send = (path: string): Exchange => {
    const exchange = new Exchange();
    exchange.answer.catch(() => undefined);
    all.send({ path, method: 'GET' }, exchange);
    return exchange;
  };
  return { all, send, told };
}

it('a call that gave up while it waited costs no connection its turn', () => {
  const { send, told } = lanes(1);
  const [first, second] = [send('a'), send('b'), send('c')];
  second?.abort(new Error('gave up'));
  first?.onEnd();
  expect(told).toEqual(['a on lane 1', 'c on lane 1']);
});

it('the connections of former credentials are closed: at once, or when the last call on them has ended', () => {
  const { all, send, told } = lanes(2);
  const [first, second] = [send('a'), send('b')];
  first?.onEnd();
  all.retire();
  expect(told.slice(2)).toEqual(['lane 1 closed']);
  second?.onEnd();
  expect(told.slice(2)).toEqual(['lane 1 closed', 'lane 2 closed']);
});
