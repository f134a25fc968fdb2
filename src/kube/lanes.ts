// SPDX-License-Identifier: Apache-2.0
// The connections that calls are made over. An undici pool opens a connection where an old one is free an instant later,
// and so grows to its limit under any load, each time at the price of a TLS handshake. Here a call takes the connection
// that was used last, and a new one comes to be only when as many calls are under way as there are connections.

import type { Dispatcher } from 'undici';
import type { Exchange } from './exchange.ts';

/** Calls that wait for a connection beyond it are refused: something asks faster than any server answers. */
const MAX_WAITING = 10_000;

interface Waiting {
  readonly options: Dispatcher.DispatchOptions;
  readonly exchange: Exchange;
}

export class Lanes {
  readonly #make: () => Dispatcher;
  readonly #limit: number;
  /** Every lane that is not closed, one connection each. */
  readonly #all = new Set<Dispatcher>();
  /** Those without a call, the one used last at the end. What lies at the beginning grows old and is closed. */
  readonly #idle: Dispatcher[] = [];
  readonly #waiting: Waiting[] = [];
  /** The next one of #waiting. */
  #head = 0;
  #isRetired = false;

  /** `make` answers a dispatcher that keeps one connection. */
  constructor(make: () => Dispatcher, limit: number) {
    this.#make = make;
    this.#limit = limit;
  }

  /** Sends it over a lane, or as soon as there is one. Answers 'refused' where too many wait. */
  send(options: Dispatcher.DispatchOptions, exchange: Exchange): 'taken' | 'refused' {
    const lane = this.#idle.pop() ?? this.#another();
    if (lane !== undefined) {
      this.#start(lane, { options, exchange });
    } else if (this.#waiting.length - this.#head >= MAX_WAITING) {
      return 'refused';
    } else {
      this.#waiting.push({ options, exchange });
    }
    return 'taken';
  }

  /** What is under way or waits is served, then each lane is closed. */
  retire(): void {
    this.#isRetired = true;
    for (const lane of this.#idle.splice(0)) {
      this.#close(lane);
    }
  }

  /** Cuts what is under way. */
  async destroy(): Promise<void> {
    const waiting = this.#waiting.splice(this.#head);
    for (const { exchange } of waiting) {
      exchange.abort(new Error('the client was closed'));
    }
    await Promise.all(Array.from(this.#all, (lane) => lane.destroy()));
  }

  #another(): Dispatcher | undefined {
    if (this.#all.size >= this.#limit) {
      return undefined;
    }
    const lane = this.#make();
    this.#all.add(lane);
    return lane;
  }

  #start(lane: Dispatcher, { options, exchange }: Waiting): void {
    exchange.onEnd = () => this.#free(lane);
    lane.dispatch(options, exchange);
  }

  #free(lane: Dispatcher): void {
    const next = this.#next();
    if (next !== undefined) {
      this.#start(lane, next);
    } else if (this.#isRetired) {
      this.#close(lane);
    } else {
      this.#idle.push(lane);
    }
  }

  /** Who gave up meanwhile is passed over. */
  #next(): Waiting | undefined {
    while (this.#head < this.#waiting.length) {
      const next = this.#waiting[this.#head];
      this.#head += 1;
      if (this.#head === this.#waiting.length || this.#head > 1000) {
        this.#waiting.splice(0, this.#head);
        this.#head = 0;
      }
      if (next?.exchange.isAborted === false) {
        return next;
      }
    }
    return undefined;
  }

  #close(lane: Dispatcher): void {
    this.#all.delete(lane);
    lane.close().catch(() => undefined);
  }
}
