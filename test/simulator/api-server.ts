// SPDX-License-Identifier: Apache-2.0
// An API server in memory. Its calls take no time and none happens in the middle of another; whoever needs delays, losses
// and reorderings puts a network before it. What it claims of a real one is proved by the contract suite, and nothing
// else of it may be relied on.
import { isDeepStrictEqual } from 'node:util';
import { type KubeErrorReason, KubeError } from '../../src/kube/errors.ts';
import type { DeleteOptions, ObjectList } from '../../src/kube/client.ts';
import { type KubeObject, keyOf, type ObjectMeta, type Resource } from '../../src/kube/object.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { History, type WatchCursor } from './history.ts';
import { type KindRules, kindRules } from './kinds.ts';
import { mergePatch } from './merge-patch.ts';
import { type Caller, forbidden } from './rights.ts';
import { conform, type Problem } from './schema.ts';
import { matcherOf, type Scope } from './selectors.ts';

export type Kind = Resource<KubeObject>;
type Subresource = 'status' | undefined;

/** All that a backup holds. */
export interface Backup {
  readonly revision: number;
  readonly objects: ReadonlyMap<string, ReadonlyMap<string, KubeObject>>;
}

/** Told of each write that took effect, before anybody else can see it. `now` is undefined where the object is gone. */
export type WriteObserver = (
  kind: Kind,
  caller: Caller,
  old: KubeObject | undefined,
  now: KubeObject | undefined,
) => void;

/** Each restored backup has revisions of its own: those before it and after it differ modulo this. */
const revisionStep = 16;

const statusCodes: Partial<Record<KubeErrorReason, number>> = {
  badRequest: 400,
  forbidden: 403,
  notFound: 404,
  alreadyExists: 409,
  conflict: 409,
  gone: 410,
  invalid: 422,
};

/** The objects that it hands out are frozen: they belong to all readers. */
export class ApiServer {
  readonly #now: () => number;
  readonly #observe: WriteObserver;
  readonly #history = new History();
  /** Plural → key → object. */
  #objects = new Map<string, Map<string, KubeObject>>();
  #revision = revisionStep;
  #uids = 0;
  #restores = 0;

  constructor(now: () => number, observe: WriteObserver = () => undefined) {
    this.#now = now;
    this.#observe = observe;
  }

  get revision(): string {
    return String(this.#revision);
  }

  get<T extends KubeObject>(kind: Resource<T>, name: string, namespace?: string): T {
    const found = this.#shelf(kind).get(keyOf(name, namespace));
    if (found === undefined) throw this.#error('notFound', 'get', kind, name, 'not found');
    return found as T;
  }

  list<T extends KubeObject>(kind: Resource<T>, scope: Scope = {}): ObjectList<T> {
    const matches = this.#matcher(kind, scope);
    const items = [...this.#shelf(kind).values()].filter(matches) as T[];
    return { items: items.sort(byKey), resourceVersion: this.revision };
  }

  /** All objects of a kind in no order, for who looks from outside. */
  objects<T extends KubeObject>(kind: Resource<T>): T[] {
    return [...this.#shelf(kind).values()] as T[];
  }

  create<T extends KubeObject>(kind: Resource<T>, given: T, caller: Caller): T {
    const { name = '', namespace } = given.metadata;
    this.#authorize('create', kind, undefined, name, caller);
    const shelf = this.#shelf(kind);
    if (shelf.has(keyOf(name, namespace))) throw this.#error('alreadyExists', 'create', kind, name, 'already exists');
    const { hasStatus, custom } = this.#rules(kind);
    this.#uids += 1;
    const metadata = {
      ...given.metadata,
      uid: `00000000-0000-4000-8000-${String(this.#uids).padStart(12, '0')}`,
      creationTimestamp: this.#timestamp(),
      ...(custom === undefined ? {} : { generation: 1 }),
    };
    const { status: _status, ...rest } = given as T & { status?: unknown };
    const object = { ...(hasStatus ? rest : given), metadata } as T;
    return this.#store(kind, caller, undefined, this.#admitted('create', kind, object, undefined));
  }

  /** Everything but the status, or the status alone, of the very version that `given` names. */
  replace<T extends KubeObject>(kind: Resource<T>, given: T, caller: Caller, subresource?: Subresource): T {
    const verb = subresource === undefined ? 'replace' : 'replace status of';
    const { name = '', namespace, uid, resourceVersion } = given.metadata;
    const old = this.#shelf(kind).get(keyOf(name, namespace)) as T | undefined;
    this.#authorize('update', kind, subresource, name, caller, old);
    if (old === undefined) throw this.#error('notFound', verb, kind, name, 'not found');
    if ((uid ?? old.metadata.uid) !== old.metadata.uid) {
      throw this.#error('conflict', verb, kind, name, `the object has another uid, ${old.metadata.uid}`);
    }
    if ((resourceVersion ?? old.metadata.resourceVersion) !== old.metadata.resourceVersion) {
      throw this.#error('conflict', verb, kind, name, 'the object has been modified');
    }
    return this.#update(verb, kind, old, given, caller, subresource);
  }

  patch<T extends KubeObject>(
    kind: Resource<T>,
    at: { name: string; namespace?: string | undefined; subresource?: Subresource },
    patch: object,
    caller: Caller,
  ): T {
    const old = this.#shelf(kind).get(keyOf(at.name, at.namespace)) as T | undefined;
    this.#authorize('patch', kind, at.subresource, at.name, caller, old);
    if (old === undefined) throw this.#error('notFound', 'patch', kind, at.name, 'not found');
    const patched = mergePatch(old, patch) as T;
    if (patched.metadata.resourceVersion !== old.metadata.resourceVersion) {
      throw this.#error('conflict', 'patch', kind, at.name, 'the object has been modified');
    }
    return this.#update('patch', kind, old, patched, caller, at.subresource);
  }

  delete(kind: Kind, name: string, options: DeleteOptions, caller: Caller): void {
    const { namespace, uid, resourceVersion, gracePeriodSeconds } = options;
    const old = this.#shelf(kind).get(keyOf(name, namespace));
    this.#authorize('delete', kind, undefined, name, caller, old);
    if (old === undefined) throw this.#error('notFound', 'delete', kind, name, 'not found');
    const { metadata } = old;
    if (
      (uid ?? metadata.uid) !== metadata.uid ||
      (resourceVersion ?? metadata.resourceVersion) !== metadata.resourceVersion
    ) {
      throw this.#error('conflict', 'delete', kind, name, 'the precondition does not hold');
    }
    const hasFinalizers = (metadata.finalizers ?? []).length > 0;
    if (!hasFinalizers && !waitsForKubelet(kind, old as Pod, gracePeriodSeconds)) {
      this.#store(kind, caller, old, undefined);
    } else if (metadata.deletionTimestamp === undefined) {
      const generation = metadata.generation === undefined ? {} : { generation: metadata.generation + 1 };
      const marked = { ...metadata, ...generation, deletionTimestamp: this.#timestamp() };
      this.#store(kind, caller, old, { ...old, metadata: marked });
    }
  }

  /** The changes after a revision. @throws KubeError `gone` where they are forgotten */
  watch(kind: Kind, scope: Scope, resourceVersion: string): WatchCursor {
    const matches = this.#matcher(kind, scope);
    const cursor = this.#history.after(kind.plural, Number(resourceVersion), matches);
    if (cursor === undefined) throw this.#error('gone', 'watch', kind, '', 'too old resource version');
    return cursor;
  }

  /** As after a compaction, or a restart: no watch can go on from before now. */
  forgetHistory(): void {
    this.#history.forget(this.#revision);
  }

  backup(): Backup {
    return {
      revision: this.#revision,
      objects: new Map([...this.#objects].map(([plural, all]) => [plural, new Map(all)])),
    };
  }

  /**
   * All is as it was, and revisions go back. None is given out twice for different contents: in a real cluster that takes
   * a rare chance, and among these few objects it would happen all the time.
   */
  restore({ revision, objects }: Backup): void {
    this.#restores += 1;
    this.#objects = new Map([...objects].map(([plural, all]) => [plural, new Map(all)]));
    this.#revision = revision - (revision % revisionStep) + (this.#restores % revisionStep);
    this.#history.rewind(this.#revision);
  }

  #update<T extends KubeObject>(
    verb: string,
    kind: Resource<T>,
    old: T,
    given: T,
    caller: Caller,
    subresource: Subresource,
  ): T {
    const merged = subresource === undefined ? this.#withoutStatus(kind, old, given) : withStatus(old, given);
    const object = this.#admitted(verb, kind, merged, old);
    if (isDeepStrictEqual(object, old)) return old;
    const { custom } = this.#rules(kind);
    const isSpec = custom !== undefined && subresource === undefined && !sameSpec(old, object);
    const generation = isSpec ? { generation: (old.metadata.generation ?? 0) + 1 } : {};
    const changed = { ...object, metadata: { ...object.metadata, ...generation } };
    const { deletionTimestamp, finalizers = [] } = changed.metadata;
    const isDone =
      deletionTimestamp !== undefined && finalizers.length === 0 && (old.metadata.finalizers ?? []).length > 0;
    if (!isDone) return this.#store(kind, caller, old, changed);
    this.#store(kind, caller, old, undefined);
    return changed;
  }

  #withoutStatus<T extends KubeObject>(kind: Resource<T>, old: T, given: T): T {
    const { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = old.metadata;
    const metadata = withoutUndefined({
      ...given.metadata,
      uid,
      resourceVersion,
      generation,
      creationTimestamp,
      deletionTimestamp,
    });
    if (!this.#rules(kind).hasStatus) return { ...given, metadata };
    const { status } = old as { status?: unknown };
    return withoutUndefined({ ...given, metadata, status });
  }

  /** What the kind's schema and rules leave of an object. @throws KubeError `invalid` */
  #admitted<T extends KubeObject>(verb: string, kind: Resource<T>, object: T, old: T | undefined): T {
    const { custom, problems: rules } = this.#rules(kind);
    const problems: Problem[] = [];
    const added = (object.metadata.finalizers ?? []).filter(
      (each) => old?.metadata.finalizers?.includes(each) !== true,
    );
    if (old?.metadata.deletionTimestamp !== undefined && added.length > 0) {
      problems.push({ field: 'metadata.finalizers', message: 'no new finalizers can be added if it is being deleted' });
    }
    const admitted = custom === undefined ? object : conform(custom.schema, object, problems);
    if (problems.length === 0) problems.push(...rules(admitted, old));
    if (problems.length === 0) return admitted;
    const said = problems.map(({ field, message }) => `${field}: ${message}`).join('; ');
    throw this.#error('invalid', verb, kind, object.metadata.name ?? '', said, problems);
  }

  #store<T extends KubeObject>(kind: Resource<T>, caller: Caller, old: T | undefined, now: T): T;
  #store(kind: Kind, caller: Caller, old: KubeObject, now: undefined): undefined;
  #store(kind: Kind, caller: Caller, old: KubeObject | undefined, now: KubeObject | undefined): KubeObject | undefined {
    this.#revision += revisionStep;
    const last = now ?? old;
    if (last === undefined) return undefined;
    const metadata = withoutUndefined({ ...last.metadata, resourceVersion: this.revision });
    const object = frozen({ ...last, metadata });
    const shelf = this.#shelf(kind);
    const key = keyOf(metadata.name ?? '', metadata.namespace);
    if (now === undefined) shelf.delete(key);
    else shelf.set(key, object);
    const type = now === undefined ? 'DELETED' : old === undefined ? 'ADDED' : 'MODIFIED';
    this.#history.add(kind.plural, { revision: this.#revision, type, object, old });
    this.#observe(kind, caller, old, now === undefined ? undefined : object);
    return object;
  }

  #authorize(verb: string, kind: Kind, subresource: Subresource, name: string, caller: Caller, old?: KubeObject): void {
    const because = forbidden(caller, verb, kind.plural, subresource, old);
    if (because !== undefined) throw this.#error('forbidden', verb, kind, name, because);
  }

  #matcher(kind: Kind, scope: Scope): (object: KubeObject) => boolean {
    try {
      return matcherOf(scope, this.#rules(kind).selectable);
    } catch (error) {
      throw this.#error('badRequest', 'list', kind, '', (error as Error).message);
    }
  }

  #shelf(kind: Kind): Map<string, KubeObject> {
    const shelf = this.#objects.get(kind.plural) ?? new Map<string, KubeObject>();
    this.#objects.set(kind.plural, shelf);
    return shelf;
  }

  #rules(kind: Kind): KindRules {
    const rules = kindRules[kind.plural];
    if (rules === undefined) throw new Error(`the API server in memory knows no ${kind.plural}`);
    return rules;
  }

  #timestamp(): string {
    return `${new Date(this.#now()).toISOString().slice(0, 19)}Z`;
  }

  #error(
    reason: KubeErrorReason,
    verb: string,
    kind: Kind,
    name: string,
    said: string,
    problems: readonly Problem[] = [],
  ): KubeError {
    const attempt = { verb, target: name === '' ? kind.plural : `${kind.plural} ${name}` };
    const causes = problems.length === 0 ? {} : { details: { causes: problems } };
    return new KubeError(reason, attempt, said, { status: statusCodes[reason] ?? 500, ...causes });
  }
}

/** A pod that may run waits for its kubelet's word; one without a node, or that has ended, does not. */
function waitsForKubelet(kind: Kind, pod: Pod, gracePeriodSeconds: number | undefined): boolean {
  if (kind.plural !== 'pods' || gracePeriodSeconds === 0) return false;
  const hasEnded = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  return (pod.spec.nodeName ?? '') !== '' && !hasEnded;
}

function withStatus<T extends KubeObject>(old: T, given: T): T {
  return withoutUndefined({ ...old, status: (given as { status?: unknown }).status });
}

/** Whether nothing but metadata and status differs. */
function sameSpec(a: KubeObject, b: KubeObject): boolean {
  const specOf = (object: KubeObject): object => ({ ...object, metadata: undefined, status: undefined });
  return isDeepStrictEqual(specOf(a), specOf(b));
}

function byKey({ metadata: a }: { metadata: ObjectMeta }, { metadata: b }: { metadata: ObjectMeta }): number {
  const [one, other] = [keyOf(a.name ?? '', a.namespace), keyOf(b.name ?? '', b.namespace)];
  return one < other ? -1 : 1;
}

function withoutUndefined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}
