// SPDX-License-Identifier: Apache-2.0
// Builds that are broken on purpose: what the simulator has to find. Each changes a few lines of a source, and says so when
// those lines are no longer there.
import { poolMutants } from './pool-mutants.ts';

export interface Edit {
  /** Relative to the repository. */
  readonly file: string;
  /** Stands in it exactly once. */
  readonly find: string;
  readonly put: string;
}

export interface Mutant {
  readonly name: string;
  readonly what: string;
  /** A seed that finds it is among the ten from here on, as the sources are. */
  readonly from: number;
  readonly edits: readonly Edit[];
}

const recordReconciler = 'src/reconcilers/record-reconciler.ts';
const collector = 'src/reconcilers/collector.ts';
const addressBook = 'src/reconcilers/address-book.ts';
const suspects = 'src/reconcilers/collector-suspects.ts';
const writes = 'src/operator/writes.ts';

/** Whatever is there now is written over. */
const unfenced = `async function unfenced<T extends KubeObject>(client: WriteVerbs, kind: Resource<T>, object: T): Promise<T> {
  const live = await client.find(kind, object.metadata.name ?? '');
  return { ...object, metadata: { ...object.metadata, ...pick(live?.metadata) } };
}

function pick({ uid, resourceVersion } = {} as KubeObject['metadata']): object {
  return { uid, resourceVersion };
}

`;

export const mutants: readonly Mutant[] = [
  {
    name: 'no resourceVersion',
    what: 'the controller writes over whatever is there, and deletes it',
    from: 11,
    edits: [
      {
        file: writes,
        find: 'written(() => client.replace(kind, object, call), signal)',
        put: 'written(async () => client.replace(kind, await unfenced(client, kind, object), call), signal)',
      },
      {
        file: writes,
        find: 'written(() => client.replaceStatus(kind, object, call), signal)',
        put: 'written(async () => client.replaceStatus(kind, await unfenced(client, kind, object), call), signal)',
      },
      {
        file: writes,
        find: "object.metadata.name ?? '', fence(object), call)",
        put: "object.metadata.name ?? '', {}, call)",
      },
      {
        file: writes,
        find: '/** Deleted only if it is still this very object in this very version. */',
        put: `${unfenced}/** Deleted only if it is still this very object in this very version. */`,
      },
    ],
  },
  {
    name: 'list order swapped',
    what: 'the collector believes its lists at the first look, lists pods before records, and does so often',
    from: 11,
    edits: [
      {
        file: 'src/operator/informers.ts',
        find: 'await Promise.all(this.#all().map((informer) => informer.relist()));',
        put: `const { pods, ...others } = this.#parts;
    await pods.relist();
    await Promise.all(Object.values(others).map((informer) => informer.relist()));`,
      },
      { file: collector, find: 'COLLECT_MS = 300_000', put: 'COLLECT_MS = 400' },
      {
        file: collector,
        find: "this.#pass = { pass: 'second', found };",
        put: 'return this.#next(findSuspects(this.#world));',
      },
      {
        file: collector,
        find: "const pod = await liveOwners.pod(owner.namespace ?? '', owner.name);\n    if (pod === undefined) return",
        put: 'const pod = this.#world.views.pods.get(owner.name, owner.namespace);\n    if (pod === undefined) return',
      },
    ],
  },
  {
    name: 'match by name',
    what: "a record's owner is whatever pod has its name",
    from: 11,
    edits: [
      {
        file: recordReconciler,
        find: "if (pod === undefined || identityOf(pod) !== owner.uid) return 'unseen';",
        put: "if (pod === undefined) return 'unseen';",
      },
      {
        file: suspects,
        find: 'return pod !== undefined && identityOf(pod) === owner.uid && !isFinished(pod);',
        put: 'return pod !== undefined && !isFinished(pod);',
      },
    ],
  },
  {
    name: 'released inferred from absence',
    what: 'a record without an attachment is taken for released',
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/release.ts',
        find: 'if (isReleased(record)) return facts.isListed',
        put: 'if (record.status?.attached === undefined) return facts.isListed',
      },
    ],
  },
  {
    name: 'no memory of own creates',
    what: 'the controller knows of its records what the watch has shown',
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/allocation.ts',
        find: '  book.observeAhead(record, clock.monotonicMs());\n',
        put: '',
      },
    ],
  },
  {
    name: 'stale status written back',
    what: 'the agent says of whoever has the record now what it decided of an older version',
    from: 51,
    edits: [
      {
        file: 'src/node/record-reports.ts',
        find: "if (isReason(error, 'conflict')) return retryAfter(conflictRetryMs, 'the record changed meanwhile');",
        put: `if (isReason(error, 'conflict')) {
        const live = await (this.#o.client as KubeClient).find(ipAllocationResource, record.metadata.name);
        if (live === undefined) return done;
        const { owner } = live.spec;
        const { attached, released } = record.status ?? {};
        const status = {
          ...(attached === undefined ? {} : { attached: { ...attached, owner: { uid: owner.uid } } }),
          ...(released === undefined ? {} : { released: { owner: { uid: owner.uid } } }),
        };
        await this.#o.client.replaceStatus(ipAllocationResource, { ...live, status });
        return done;
      }`,
      },
    ],
  },
  {
    name: 'release not queued behind ADD',
    what: 'an ADD decides on a record, and wires it a moment later',
    from: 11,
    edits: [
      {
        file: 'src/node/attachments.ts',
        find: 'const response = this.#attach(request, identity, plan.record, plan.replaced);',
        put: `await this.#clock.sleep(200);
          const response = this.#attach(request, identity, plan.record, plan.replaced);`,
      },
    ],
  },
  {
    name: 'no live read',
    what: 'an owner that the view does not show is taken for gone',
    from: 11,
    edits: [
      {
        file: recordReconciler,
        find: "const pod = await liveOwners.pod(owner.namespace ?? '', owner.name);",
        put: 'const pod = this.#world.views.pods.get(owner.name, owner.namespace);',
      },
    ],
  },
  {
    name: 'node name instead of node UID',
    what: "a node that registered anew is taken for its own address's former owner",
    from: 1,
    edits: [
      {
        file: recordReconciler,
        find: "return views.nodes.get(owner.name)?.metadata.uid === owner.uid ? 'alive' : 'unseen';",
        put: "return views.nodes.get(owner.name) !== undefined ? 'alive' : 'unseen';",
      },
      {
        file: suspects,
        find: 'return views.nodes.get(owner.name)?.metadata.uid === owner.uid;',
        put: 'return views.nodes.get(owner.name) !== undefined;',
      },
    ],
  },
  {
    name: 'cooling in memory only',
    what: 'what rests is known to the leader alone, and its record is deleted',
    from: 33,
    edits: [
      {
        file: 'src/reconcilers/rest.ts',
        find: "return coolDownMs > 0 ? { action: 'replace', record: inState(record, 'Cooling', nowMs) } : { action: 'delete' };",
        put: "return { action: 'delete' };",
      },
      {
        file: recordReconciler,
        find: "case 'delete':\n",
        put: "case 'delete':\n        this.#world.book.resting_.add(parseAddress(record.metadata.name));\n",
      },
      {
        file: addressBook,
        find: 'readonly published = new Published();',
        put: 'readonly published = new Published();\n  readonly resting_ = new Set<Address>();',
      },
      {
        file: addressBook,
        find: 'const lowest = entry.free.lowest();',
        put: `const all = entry.usable.ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
    const rested = all.find((address) => entry.free.has(address) && !this.resting_.has(address));
    const lowest = rested ?? entry.free.lowest();`,
      },
    ],
  },
  {
    name: 'listed addresses given out',
    what: "an address is free while its former node's endpoint lists it",
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/release.ts',
        find: "return facts.isListed ? { action: 'keep' } : afterRelease(record, facts);",
        put: 'return afterRelease(record, facts);',
      },
      {
        file: addressBook,
        find: 'if (this.published.isListed(address)) return true;',
        put: '',
      },
      { file: addressBook, find: 'if (this.published.isListed(address)) return undefined;', put: '' },
    ],
  },
  {
    name: 'wired after the release',
    what: 'an ADD takes a record whose address is being given back',
    from: 11,
    edits: [
      {
        file: 'src/wiring/add-plan.ts',
        find: "return record.spec.state === 'Bound' && record.status?.released?.owner.uid !== record.spec.owner.uid;",
        put: "return record.spec.state === 'Bound' || record.spec.state === 'Releasing';",
      },
    ],
  },
  {
    name: 'nothing adopted',
    what: 'an agent that starts takes no wire over from the one before',
    from: 11,
    edits: [{ file: 'src/node/wires-part.ts', find: 'book.reset(wires);', put: '' }],
  },
  {
    name: 'ordinals do not wait',
    what: "a StatefulSet's pod takes another address while its own is still held for its predecessor",
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/former-address.ts',
        find: 'return former.map((record) => sentence(record, pool, nowMs)).find((text) => text !== undefined);',
        put: 'return undefined;',
      },
    ],
  },
  {
    name: 'kept by the name of the set',
    what: 'addresses of a StatefulSet that is gone are kept for one that was made anew under its name',
    from: 31,
    edits: [
      {
        file: 'src/reconcilers/stateful-set.ts',
        find: 'return set !== undefined && set.metadata.uid === record.spec.reservedFor?.statefulSetUID;',
        put: 'return set !== undefined && record.spec.reservedFor !== undefined;',
      },
    ],
  },
  {
    name: 'fixed address as a wish',
    what: 'a pod gets another address while the one that it asks for is taken',
    from: 11,
    edits: [
      {
        file: addressBook,
        find: 'if (wish.fixed !== undefined) return this.#offerFixed(entry, wish.fixed, wish);',
        put: 'const exact = wish.fixed === undefined ? undefined : this.#offerFixed(entry, wish.fixed, wish);\n    if (exact !== undefined) return exact;',
      },
    ],
  },
  {
    name: 'mirror taken for the pod',
    what: 'a static pod whose mirror was deleted is taken for gone',
    from: 11,
    edits: [
      {
        file: recordReconciler,
        find: "if (pod === undefined && isStaticIdentity(owner.uid)) return 'mirrorless';",
        put: '',
      },
    ],
  },
  {
    name: 'silence before word',
    what: 'of a node that the control plane has lost it is said again and again that it is silent, whatever its agent says',
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/silent-node.ts',
        find: '  if (Date.parse(said.lastTransitionTime) > Date.parse(since)) return undefined;\n',
        put: '',
      },
      {
        file: 'src/reconcilers/node-reconciler.ts',
        find: '    this.#silences.set(name, silence.since);\n',
        put: '',
      },
    ],
  },
  ...poolMutants,
];
