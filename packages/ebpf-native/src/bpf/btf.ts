// SPDX-License-Identifier: Apache-2.0
// The type information of kernel, modules and objects (Documentation/bpf/btf.rst), as far as it answers three questions:
// which number a function has, where a global variable lies in its section, and where a struct's members lie.
const magic = 0xeb9f;
const KIND_INT = 1;
const KIND_POINTER = 2;
const KIND_ARRAY = 3;
const KIND_STRUCT = 4;
const KIND_FUNC = 12;
const KIND_DATASEC = 15;
/** typedef, volatile, const, restrict, type_tag: names and qualities of another type. */
const wrappers = [8, 9, 10, 11, 18];
/** union, enum, float, enum64: kinds that carry their size as a struct does. */
const sized = [KIND_INT, KIND_STRUCT, 5, 6, 16, 19];
const pointerBytes = 8;
/** No C type is wrapped or nested deeper. */
const deepest = 64;

/** Bytes behind the common 12 of a type, by kind: [fixed, per member]. */
const extras: Array<readonly [number, number] | undefined> = [];
for (const kind of [2, 7, 8, 9, 10, 11, 12, 16, 18]) extras[kind] = [0, 0];
for (const kind of [1, 14, 17]) extras[kind] = [4, 0];
for (const kind of [4, 5, 15, 19]) extras[kind] = [0, 12];
for (const kind of [6, 13]) extras[kind] = [0, 8];
extras[3] = [12, 0];

/** A struct as it lies in memory, in bytes. */
export interface Layout {
  size: number;
  fields: Record<string, { offset: number; size: number }>;
}

interface Type {
  id: number;
  at: number;
  name: number;
  kind: number;
  members: number;
}

/** A module's information continues the kernel's: numbers of types and offsets of names go on where those end. */
export class Btf {
  readonly #bytes: Buffer;
  readonly #base: Btf | undefined;
  readonly #typesFrom: number;
  readonly #typesTo: number;
  readonly #namesFrom: number;
  readonly #namesLength: number;
  #count: number | undefined;

  constructor(bytes: Buffer, base?: Btf) {
    if (bytes.length < 24 || bytes.readUInt16LE(0) !== magic) throw new RangeError('not BTF in this byte order');
    const body = bytes.readUInt32LE(4);
    this.#bytes = bytes;
    this.#base = base;
    this.#typesFrom = body + bytes.readUInt32LE(8);
    this.#typesTo = this.#typesFrom + bytes.readUInt32LE(12);
    this.#namesFrom = body + bytes.readUInt32LE(16);
    this.#namesLength = bytes.readUInt32LE(20);
  }

  /** The number of a function's type, or undefined. */
  functionId(name: string): number | undefined {
    return this.#find((type) => type.kind === KIND_FUNC && this.#name(type.name) === name)?.id;
  }

  /** Where a global variable lies in its section, in bytes. */
  variable(section: string, name: string): { offset: number; size: number } | undefined {
    const found = this.#find((type) => type.kind === KIND_DATASEC && this.#name(type.name) === section);
    if (found === undefined) return undefined;
    for (let member = 0; member < found.members; member++) {
      const at = found.at + 12 + 12 * member;
      const id = this.#bytes.readUInt32LE(at);
      const type = this.#find((one) => one.id === id);
      if (!type || this.#name(type.name) !== name) continue;
      return { offset: this.#bytes.readUInt32LE(at + 4), size: this.#bytes.readUInt32LE(at + 8) };
    }
    return undefined;
  }

  /** A struct's layout, or undefined. Members without a name and bit fields are left out. */
  struct(name: string): Layout | undefined {
    const found = this.#find((type) => type.kind === KIND_STRUCT && this.#name(type.name) === name);
    return found && this.#layout(found);
  }

  /** The layout of the struct that has this number, or undefined. */
  structById(id: number): Layout | undefined {
    const found = this.#resolve(id);
    return found?.kind === KIND_STRUCT ? this.#layout(found) : undefined;
  }

  #layout(struct: Type): Layout {
    const fields: Layout['fields'] = {};
    // With the kind's flag a member's offset has the width of a bit field in its upper byte.
    const hasBitFields = this.#bytes.readUInt32LE(struct.at + 4) >>> 31 === 1;
    for (let member = 0; member < struct.members; member++) {
      const at = struct.at + 12 + 12 * member;
      const name = this.#name(this.#bytes.readUInt32LE(at));
      const bits = this.#bytes.readUInt32LE(at + 8);
      if (name === '' || (hasBitFields && bits >>> 24 !== 0)) continue;
      fields[name] = { offset: bits / 8, size: this.#size(this.#bytes.readUInt32LE(at + 4)) };
    }
    return { size: this.#bytes.readUInt32LE(struct.at + 8), fields };
  }

  /** Bytes of a type; 0 for void and what has none. */
  #size(id: number, depth = 0): number {
    const type = this.#resolve(id);
    if (type === undefined || depth > deepest) return 0;
    if (type.kind === KIND_POINTER) return pointerBytes;
    if (sized.includes(type.kind)) return this.#bytes.readUInt32LE(type.at + 8);
    if (type.kind !== KIND_ARRAY) return 0;
    const [element, count] = [this.#bytes.readUInt32LE(type.at + 12), this.#bytes.readUInt32LE(type.at + 20)];
    return count * this.#size(element, depth + 1);
  }

  /** What is behind typedefs and qualifiers. */
  #resolve(id: number): Type | undefined {
    let wanted = id;
    for (let depth = 0; depth < deepest; depth++) {
      const type = this.#find((one) => one.id === wanted);
      if (type === undefined || !wrappers.includes(type.kind)) return type;
      wanted = this.#bytes.readUInt32LE(type.at + 8);
    }
    return undefined;
  }

  #find(wanted: (type: Type) => boolean): Type | undefined {
    let id = this.#base ? this.#base.#lastId() + 1 : 1;
    for (let at = this.#typesFrom; at + 12 <= this.#typesTo; id++) {
      const info = this.#bytes.readUInt32LE(at + 4);
      const type = { id, at, name: this.#bytes.readUInt32LE(at), kind: (info >>> 24) & 31, members: info & 0xffff };
      if (wanted(type)) return type;
      const extra = extras[type.kind];
      if (extra === undefined) throw new RangeError(`BTF kind ${type.kind} is newer than this reader`);
      at += 12 + extra[0] + extra[1] * type.members;
    }
    this.#count = id - 1;
    return undefined;
  }

  #lastId(): number {
    if (this.#count === undefined) this.#find(() => false);
    return this.#count ?? 0;
  }

  #name(offset: number): string {
    const base = this.#base === undefined ? 0 : this.#base.#namesLength;
    if (this.#base && offset < base) return this.#base.#name(offset);
    const from = this.#namesFrom + offset - base;
    return this.#bytes.toString('latin1', from, this.#bytes.indexOf(0, from));
  }
}

/** What differs, each in a sentence: an empty list says that bytes written by one layout are read rightly by the other. */
export function layoutDifferences(found: Layout, wanted: Layout): string[] {
  const size = found.size === wanted.size ? [] : [`it has ${found.size} bytes, not ${wanted.size}`];
  const names = [...new Set([...Object.keys(wanted.fields), ...Object.keys(found.fields)])];
  const fields = names.flatMap((name) => {
    const [is, should] = [found.fields[name], wanted.fields[name]];
    if (is === undefined) return [`it has no ${name}`];
    if (should === undefined) return [`it has a ${name} that is not known`];
    const differs = is.offset !== should.offset || is.size !== should.size;
    return differs ? [`${name} has ${is.size} bytes at ${is.offset}, not ${should.size} at ${should.offset}`] : [];
  });
  return [...size, ...fields];
}
