// SPDX-License-Identifier: Apache-2.0
// Reads the plain dialect of C that bpf/layout.h describes. Not a C parser: what it does not understand in a struct or
// a map that user space reads is an error, never a guess.

export interface CField {
  name: string;
  type: string;
  offset: number;
  size: number;
}

export interface CStruct {
  name: string;
  size: number;
  fields: CField[];
}

export interface CMap {
  name: string;
  key: string;
  value: string;
  maxEntries: number;
}

export interface CCounter {
  name: string;
  number: number;
  /** What the program answers: next, redirect or drop. */
  verdict: string;
  meaning: string;
}

export interface CHeaders {
  constants: Array<{ name: string; value: number }>;
  structs: CStruct[];
  counters: CCounter[];
  maps: CMap[];
}

const widths: Record<string, number> = { __u8: 1, __u16: 2, __be16: 2, __u32: 4, __be32: 4, __u64: 8 };

/** Numbers that are written out; a macro that is an expression is C's own business. */
function constantsIn(text: string): CHeaders['constants'] {
  const found = text.matchAll(/^#define ([A-Z][A-Z0-9_]*) (0x[0-9a-f]+|\d+)$/gm);
  return Array.from(found, ([, name = '', value]) => ({ name, value: Number(value) }));
}

function fieldsOf(struct: string, body: string): CStruct {
  const fields: CField[] = [];
  let offset = 0;
  for (const line of body.split('\n').map((each) => each.replace(/\/\*.*?\*\//, '').trim())) {
    if (line === '') continue;
    const [, type = '', name = '', length] = /^(\w+) (\w+)(?:\[(\d+)\])?;$/.exec(line) ?? [];
    const width = widths[type];
    if (width === undefined) throw new Error(`struct ${struct}: "${line}" is not a member of fixed width`);
    if (offset % width !== 0) throw new Error(`struct ${struct}: ${name} would be padded; order the members by width`);
    const size = width * Number(length ?? 1);
    fields.push({ name, type, offset, size });
    offset += size;
  }
  return { name: struct, size: offset, fields };
}

/** The structs that are values of maps; all others belong to the programs alone. */
function structsIn(text: string, wanted: Set<string>): CStruct[] {
  const found = text.matchAll(/^struct (\w+) \{\n(.*?)^\};$/gms);
  return Array.from(found)
    .filter(([, name = '']) => wanted.has(name))
    .map(([, name = '', body = '']) => fieldsOf(name, body));
}

function mapsIn(text: string, constants: CHeaders['constants']): CMap[] {
  const found = text.matchAll(/^struct \{\n((?:\t__(?:uint|type)\(.*\);\n)+)\} (\w+) SEC\("\.maps"\);$/gm);
  return Array.from(found, ([, body = '', name = '']) => {
    const attribute = (key: string): string => {
      const value = new RegExp(`\\(${key}, (?:struct )?(\\w+)\\);`).exec(body)?.[1];
      if (value === undefined) throw new Error(`map ${name} has no ${key}`);
      return value;
    };
    const limit = attribute('max_entries');
    const maxEntries = constants.find((constant) => constant.name === limit)?.value;
    if (maxEntries === undefined) throw new Error(`map ${name}: max_entries ${limit} is not a named constant`);
    return { name, key: attribute('key'), value: attribute('value'), maxEntries };
  });
}

const counterLine = /^(\w+) = (\d+), \/\* (next|redirect|drop): (.+) \*\/$/;

function countersIn(text: string): CHeaders['counters'] {
  const body = /^enum counter \{\n(.*?)^\};$/ms.exec(text)?.[1] ?? '';
  const counters = body
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [, name = '', number, verdict = '', meaning = ''] = counterLine.exec(line) ?? [];
      if (number === undefined) {
        throw new Error(`enum counter: "${line}" is not NAME = number, with verdict and meaning in its comment`);
      }
      if (name.startsWith('DROP_') !== (verdict === 'drop')) {
        throw new Error(`enum counter: ${name} and its verdict ${verdict} contradict each other`);
      }
      return { name, number: Number(number), verdict, meaning };
    });
  const numbers = new Set(counters.map(({ number }) => number));
  if (numbers.size !== counters.length) throw new Error('enum counter: a number is used twice');
  return counters;
}

/** Bytes of a type of fixed width or of one of the structs. */
export function sizeOf(headers: CHeaders, type: string): number {
  const size = widths[type] ?? headers.structs.find(({ name }) => name === type)?.size;
  if (size === undefined) throw new Error(`the size of ${type} is not known`);
  return size;
}

export function readHeaders(texts: string[]): CHeaders {
  const text = texts.join('\n');
  const constants = constantsIn(text);
  const maps = mapsIn(text, constants);
  const structs = structsIn(text, new Set(maps.map(({ value }) => value)));
  const headers = { constants, maps, structs, counters: countersIn(text) };
  const room = maps.find(({ name }) => name === 'counters')?.maxEntries ?? 0;
  const beyond = headers.counters.find(({ number }) => number >= room);
  if (beyond !== undefined) throw new Error(`counter ${beyond.name} is ${beyond.number}, the map has room for ${room}`);
  return headers;
}
