// SPDX-License-Identifier: Apache-2.0
// The type information of kernel, modules and objects (Documentation/bpf/btf.rst), as far as it answers two questions:
// which number a function has, and where a global variable lies in its section.
const magic = 0xeb9f;
const KIND_FUNC = 12;
const KIND_DATASEC = 15;

/** Bytes behind the common 12 of a type, by kind: [fixed, per member]. */
const extras: Array<readonly [number, number] | undefined> = [];
for (const kind of [2, 7, 8, 9, 10, 11, 12, 16, 18]) extras[kind] = [0, 0];
for (const kind of [1, 14, 17]) extras[kind] = [4, 0];
for (const kind of [4, 5, 15, 19]) extras[kind] = [0, 12];
for (const kind of [6, 13]) extras[kind] = [0, 8];
extras[3] = [12, 0];

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
