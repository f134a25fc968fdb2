// SPDX-License-Identifier: Apache-2.0
// A Lease in memory that fences as the API server does, and candidates whose ways to it fail as a test says.
import type { FakeClock } from '../../src/kube/clock.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { LeaderElector } from '../../src/kube/leader.ts';
import type { KubeObject, Resource } from '../../src/kube/object.ts';
import type { Lease } from '../../src/kube/resources.ts';

export type Mishap = 'none' | 'refused' | 'done but not told' | 'slow';

/** One Lease, as the API server keeps it. */
export class LeaseServer {
  lease: Lease | undefined;
  #revision = 0;

  read(): Lease | undefined {
    return structuredClone(this.lease);
  }

  write(lease: Lease, expected: string | undefined): Lease {
    if (this.lease?.metadata.resourceVersion !== expected) {
      const reason = expected === undefined ? 'alreadyExists' : 'conflict';
      throw new KubeError(reason, { verb: 'write', target: 'lease' }, 'planned', { status: 409 });
    }
    this.#revision += 1;
    this.lease = { ...structuredClone(lease), metadata: { ...lease.metadata, resourceVersion: `${this.#revision}` } };
    return structuredClone(this.lease);
  }
}

/** One candidate's way to the server, which may fail it. */
export class Line {
  next: () => Mishap = () => 'none';
  readonly #server: LeaseServer;
  readonly #clock: FakeClock;

  constructor(server: LeaseServer, clock: FakeClock) {
    this.#server = server;
    this.#clock = clock;
  }

  find = <T extends KubeObject>(_r: Resource<T>): Promise<T | undefined> =>
    this.#pass(() => this.#server.read() as T | undefined);
  create = <T extends KubeObject>(_r: Resource<T>, object: T): Promise<T> =>
    this.#pass(() => this.#server.write(object as Lease, undefined) as unknown as T);
  replace = <T extends KubeObject>(_r: Resource<T>, object: T): Promise<T> =>
    this.#pass(() => this.#server.write(object as Lease, object.metadata.resourceVersion) as unknown as T);

  async #pass<R>(act: () => R): Promise<R> {
    const mishap = this.next();
    if (mishap === 'slow') {
      await this.#clock.sleep(3000);
    }
    const lost = new KubeError('unreachable', { verb: 'write', target: 'lease' }, 'planned');
    if (mishap === 'refused') {
      throw lost;
    }
    const result = act();
    if (mishap === 'done but not told') {
      throw lost;
    }
    return result;
  }
}

export interface Candidate {
  readonly elector: LeaderElector;
  readonly line: Line;
  readonly history: string[];
}

export function candidate(server: LeaseServer, clock: FakeClock, identity: string): Candidate {
  const line = new Line(server, clock);
  const history: string[] = [];
  const elector = new LeaderElector({
    client: line,
    namespace: 'fast-system',
    name: 'controller',
    identity,
    clock,
    random: () => 0,
    onStarted: () => {
      history.push(`leads ${clock.monotonicMs()}`);
    },
    onStopped: () => history.push(`stops ${clock.monotonicMs()}`),
  });
  return { elector, line, history };
}
