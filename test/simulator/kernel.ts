// SPDX-License-Identifier: Apache-2.0
// The kernel as far as an agent's wires need one: network namespaces with links, routes, neighbours and addresses, and
// eBPF maps. It outlives every agent, which may die between any two of its calls.

/** A call of a process that died a moment ago: it had no effect. */
export class ProcessDied extends Error {}

export interface ModelLink {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  mac: string;
  mtu: number;
  up: boolean;
  alias: string;
  /** Links of one group can be deleted at once. */
  group?: number;
  /** A veth's other end, and where that is. */
  peer?: { readonly space: Space; readonly index: number };
  /** Of the filter that hangs on it; 0 for none. */
  programId: number;
}

export interface ModelRoute {
  readonly destination: string;
  readonly prefixLength: number;
  readonly index: number;
  readonly source?: string | undefined;
  readonly protocol: number;
  readonly table: number;
}

export interface ModelNeighbour {
  readonly index: number;
  readonly address: string;
  readonly mac: string;
}

let inodes = 0n;

/** One network namespace. */
export class Space {
  readonly inode: bigint;
  readonly links = new Map<number, ModelLink>();
  readonly addresses = new Map<number, Set<string>>();
  routes: ModelRoute[] = [];
  neighbours: ModelNeighbour[] = [];
  /** Called before each call of the process that works here; answers whether that lives still. @throws ProcessDied */
  gate: () => () => boolean = () => () => true;
  /** For what takes the kernel a grace period: done later, whoever asked for it. */
  defer: (work: () => void) => void = (work) => work();
  #indexes = 1;

  constructor() {
    inodes += 1n;
    this.inode = inodes;
  }

  find(name: string): ModelLink | undefined {
    return [...this.links.values()].find((link) => link.name === name);
  }

  add(link: Pick<ModelLink, 'name' | 'kind' | 'mac' | 'mtu' | 'alias'>): ModelLink {
    this.#indexes += 1;
    const made = { ...link, index: this.#indexes, up: false, programId: 0 };
    this.links.set(made.index, made);
    changes.count += 1;
    return made;
  }

  /** A veth takes its other end with it, and every link what hangs on it. */
  remove(index: number): void {
    const link = this.links.get(index);
    if (link === undefined) return;
    this.links.delete(index);
    changes.count += 1;
    this.addresses.delete(index);
    this.routes = this.routes.filter((route) => route.index !== index);
    this.neighbours = this.neighbours.filter((neighbour) => neighbour.index !== index);
    link.peer?.space.remove(link.peer.index);
  }

  /** The namespace's end: its links go. */
  destroy(): void {
    for (const index of this.links.keys()) this.remove(index);
  }
}

/** How often anything in any kernel changed: who looks at all of it looks again when it has. */
export const changes = { count: 0 };

/** Namespaces that stand somewhere in the file system, by path. */
export const mounted = new Map<string, Space>();

/** An eBPF hash map, as much of it as BpfMap shows. */
export class ModelMap {
  readonly #entries = new Map<string, [key: Buffer, value: Buffer]>();
  readonly #space: Space;

  constructor(space: Space) {
    this.#space = space;
  }

  lookup(key: Uint8Array): Buffer | undefined {
    this.#space.gate();
    return this.#entries.get(textOf(key))?.[1];
  }

  update(key: Uint8Array, value: Uint8Array): void {
    this.#space.gate();
    changes.count += 1;
    this.#entries.set(textOf(key), [Buffer.from(key), Buffer.from(value)]);
  }

  updateBatch(entries: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    for (const [key, value] of entries) this.update(key, value);
  }

  delete(key: Uint8Array): boolean {
    this.#space.gate();
    changes.count += 1;
    return this.#entries.delete(textOf(key));
  }

  deleteBatch(keys: Iterable<Uint8Array>): void {
    for (const key of keys) this.delete(key);
  }

  *pieces(): Generator<Array<[Buffer, Buffer]>> {
    yield this.entries();
  }

  entries(): Array<[Buffer, Buffer]> {
    this.#space.gate();
    return this.contents();
  }

  /** For who looks from outside: no process is asked. */
  contents(): Array<[Buffer, Buffer]> {
    return [...this.#entries.values()];
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
