// SPDX-License-Identifier: Apache-2.0
// The contract between the API server in memory and a real one: stories that are told to both, and what both must say.
// A simulation may rely on what stands here and on nothing else.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import { apiVersion } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { KubeObject, Resource } from '../../src/kube/object.ts';
import type { ApiVerbs } from './memory-client.ts';
import type { Scope } from './selectors.ts';

/** An API server with Fast's CRDs, rights and policies, and a Node `node-a`. */
export interface ContractServer {
  readonly admin: ApiVerbs;
  readonly controller: ApiVerbs;
  /** The agent of `node-a`. */
  readonly agent: ApiVerbs;
  /** From here on no watch can go on from an earlier revision. */
  forgetHistory(): Promise<void>;
}

export interface Story {
  readonly title: string;
  readonly tell: (told: Told, server: ContractServer) => Promise<void>;
  readonly expected: readonly string[];
}

/** Long enough for any event of a real server, and too long for one that must not come to pass unseen. */
const watchPatienceMs = 5_000;
const silenceMs = 300;

/** What a story brought to light, line by line. */
export class Told {
  readonly lines: string[] = [];

  say(line: string): void {
    this.lines.push(line);
  }

  /** `what: ok`, or the word of the error with the fields that it names. Answers the result. */
  async try<T>(what: string, work: Promise<T>): Promise<T | undefined> {
    try {
      const result = await work;
      this.say(`${what}: ok`);
      return result;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      // After an ill-typed field a real server adds a cause without one: that the rules were not asked.
      const fields = new Set(error.causes.map(({ field = '' }) => field.replace('<nil>', '')));
      this.say(`${what}: ${[error.reason, ...[...fields].sort().filter((field) => field !== '')].join(' ')}`);
      return undefined;
    }
  }

  /** Whether the second is the same version of the object as the first. */
  compare(what: string, before: KubeObject | undefined, after: KubeObject | undefined): void {
    const isSame = before?.metadata.resourceVersion === after?.metadata.resourceVersion;
    this.say(`${what}: ${isSame ? 'the same version' : 'a new version'}`);
  }

  /** Events from a revision on: as many as are named, then silence, each as `describe` puts it. */
  async events<T extends KubeObject>(
    api: ApiVerbs,
    kind: Resource<T>,
    scope: Scope & { resourceVersion: string },
    count: number,
    describe: (object: T) => string = nameOf,
  ): Promise<void> {
    const end = new AbortController();
    const watch = api.watch(kind, { ...scope, timeoutSeconds: 60, silenceMs: 60_000, signal: end.signal });
    try {
      for (let seen = 0; seen < count; ) {
        const event = await within(watchPatienceMs, watch.next());
        if (event === 'late' || event.done === true) {
          this.say('the watch has nothing more');
          return;
        }
        if (event.value.type === 'BOOKMARK') continue;
        seen += 1;
        this.say(`${event.value.type} ${describe(event.value.object)}`);
      }
      const extra = await within(silenceMs, watch.next());
      if (extra !== 'late' && extra.done !== true && extra.value.type !== 'BOOKMARK') {
        this.say(`and then ${extra.value.type} ${describe(extra.value.object)}`);
      }
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      this.say(`the watch: ${error.reason}`);
    } finally {
      end.abort();
      await watch.return(undefined).catch(() => undefined);
    }
  }
}

function nameOf(object: KubeObject): string {
  return object.metadata.name ?? '';
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  // The loser is nobody's any more, and may fail when its watch is ended.
  work.catch(() => undefined);
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** A record as the controller makes it. */
export function record(address: string, more: Partial<IpAllocation['spec']> = {}): IpAllocation {
  const owner = { kind: 'Pod' as const, namespace: 'default', name: 'web', uid: 'uid-of-web' };
  const spec = {
    address,
    ips: 'sample-ips',
    gateway: '10.244.0.1',
    prefixLength: 32,
    nodeName: 'node-a',
    nodeUID: 'uid-of-node-a',
    owner,
    state: 'Bound' as const,
    stateSince: '2026-01-01T00:00:00Z',
    ...more,
  };
  return { apiVersion, kind: 'IpAllocation', metadata: { name: address }, spec };
}

export function pool(name: string, more: Partial<Ips['spec']> = {}): Ips {
  return {
    apiVersion,
    kind: 'Ips',
    metadata: { name },
    spec: { subnet: '10.244.0.1/32', ips: ['10.9.0.0/24'], ...more },
  };
}

export function pod(name: string, nodeName?: string): Pod {
  const containers = [{ name: 'c', image: 'busybox' }];
  const spec = { ...(nodeName === undefined ? {} : { nodeName }), containers };
  return { metadata: { name, namespace: 'default' }, spec };
}

/** The record with another state, and with what else its spec shall say. */
export function inState(
  of: IpAllocation,
  state: IpAllocation['spec']['state'],
  more: Partial<IpAllocation['spec']> = {},
) {
  return { ...of, spec: { ...of.spec, state, ...more } };
}

export function withReleased(of: IpAllocation, uid = of.spec.owner.uid): IpAllocation {
  return { ...of, status: { ...of.status, released: { owner: { uid } } } };
}
