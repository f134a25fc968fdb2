// SPDX-License-Identifier: Apache-2.0
// How a list comes from the server: as the beginning of a watch, or in pages. Both hand on each part as it comes, so that
// a reader who strips objects never holds all of them in full.

import type { KubeClient, ListOptions } from './client.ts';
import type { Clock } from './clock.ts';
import { KubeError, isReason } from './errors.ts';
import type { KubeObject, Resource } from './object.ts';
import { type WatchEvent, endsInitialEvents } from './watch.ts';

/** Takes a list part by part. One that breaks off is forgotten. */
export interface Intake<T extends KubeObject> {
  take(objects: readonly T[]): void;
  /** An object that was deleted while its list was on its way. */
  drop(object: T): void;
  /** The list is complete. Resolves when its differences have been told. */
  tell(): Promise<void>;
}

/** What is known of a list that has come whole. */
export interface Listed {
  readonly resourceVersion: string;
  /** When the server said what the list shows, on the monotonic clock. */
  readonly heardAtMs: number;
}

export interface PagedList<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'pages'>;
  readonly resource: Resource<T>;
  readonly options: ListOptions;
  /** How long one page may take. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** @throws KubeError `gone` where the revision of the first page was forgotten before the last one, and any other */
export async function readPages<T extends KubeObject>(list: PagedList<T>, intake: Intake<T>): Promise<Listed> {
  const { client, resource, options, timeoutMs, signal, clock } = list;
  let listed: Listed | undefined;
  for await (const { items, resourceVersion } of client.pages(resource, options, { timeoutMs, signal })) {
    // All pages show the state of the first.
    listed ??= { resourceVersion, heardAtMs: clock.monotonicMs() };
    intake.take(items);
  }
  if (listed === undefined) {
    throw new KubeError('unreachable', { verb: 'list', target: resource.plural }, 'the list has no page');
  }
  return listed;
}

/**
 * Reads the list at the beginning of a watch, and leaves `events` where it ends. Changes that happen on the way are told
 * between its objects, and count: the list shows the state at its end.
 * @throws KubeError `unreachable` where the stream ends before the list does, and what `events` throws
 */
export async function readInitialEvents<T extends KubeObject>(
  resource: Resource<T>,
  events: AsyncGenerator<WatchEvent<T>>,
  intake: Intake<T>,
  clock: Clock,
): Promise<Listed> {
  for (let next = await events.next(); next.done !== true; next = await events.next()) {
    const { type, object } = next.value;
    if (endsInitialEvents(next.value)) {
      return { resourceVersion: object.metadata.resourceVersion ?? '', heardAtMs: clock.monotonicMs() };
    }
    if (type === 'DELETED') {
      intake.drop(object);
    } else if (type !== 'BOOKMARK') {
      intake.take([object]);
    }
  }
  const attempt = { verb: 'list', target: resource.plural };
  throw new KubeError('unreachable', attempt, 'the stream ended before the list was complete');
}

/** A server that was upgraded meanwhile is noticed after so long. */
const REFUSAL_MS = 3_600_000;

/**
 * Which way the next list goes. The stream is the rule (KEP-3157, on by default since Kubernetes 1.34): 100,000 records
 * took 1.1 times as long as one whole answer and half of its memory; pages of 500 took 1.5 times as long and two thirds
 * of the memory. Pages are for a server that refuses, and for where a stream broke: one that drowns in writes sends a
 * stream a hundred times slower than pages, or cuts it because its reader seems not to keep up.
 */
export class ListWay {
  readonly #clock: Clock;
  #pagesUntilMs = 0;
  #hasBroken = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get streams(): boolean {
    return !this.#hasBroken && this.#clock.monotonicMs() >= this.#pagesUntilMs;
  }

  /** A list came whole, by whichever way. */
  succeeded(): void {
    this.#hasBroken = false;
  }

  /** A list did not. `refused`: this server has none to stream, and may be asked for pages at once. */
  failed(error: unknown): 'refused' | 'failed' {
    const didStream = this.streams;
    const isRefused = isReason(error, 'invalid', 'badRequest');
    // A stream that says nothing is one whose end this server, or what stands before it, does not know to send.
    if (didStream && (isRefused || isReason(error, 'timeout'))) {
      this.#pagesUntilMs = this.#clock.monotonicMs() + REFUSAL_MS;
    }
    // What breaks the one way may let the other pass; who was told to wait has not failed.
    this.#hasBroken = didStream && !isReason(error, 'throttled');
    return didStream && isRefused ? 'refused' : 'failed';
  }
}
