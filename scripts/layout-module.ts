// SPDX-License-Identifier: Apache-2.0
// src/datapath/generated/layout.ts as a text, made of the headers of a datapath.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CHeaders, type CMap, readHeaders, sizeOf } from './read-headers.ts';

function camel(name: string): string {
  return name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** A counter's name is, behind DROP_, its program and its reason. */
function partsOf(counter: string): { program: string; reason: string } {
  const [, program, reason] = /^(?:DROP_)?(FROM_POD|TO_OVERLAY|FROM_OVERLAY|FROM_UPLINK)_(\w+)$/.exec(counter) ?? [];
  if (program === undefined || reason === undefined) {
    throw new Error(`counter ${counter} does not name its program and a reason`);
  }
  return { program: program.toLowerCase(), reason: reason.toLowerCase() };
}

function countersOf(headers: CHeaders): string {
  const rows = headers.counters.map(({ name, number, verdict, meaning }) => {
    const { program, reason } = partsOf(name);
    const fields = `number: ${number}, name: '${name.toLowerCase()}', program: '${program}', reason: '${reason}'`;
    const rest = `verdict: '${verdict}', drop: ${verdict === 'drop'}, meaning: ${JSON.stringify(meaning)}`;
    return `  { ${fields}, ${rest} },\n`;
  });
  return `export const counters: readonly CounterSpec[] = [\n${rows.join('')}];\n`;
}

function mapsOf(headers: CHeaders): string {
  const row = (map: CMap): string => {
    const sizes = `keySize: ${sizeOf(headers, map.key)}, valueSize: ${sizeOf(headers, map.value)}`;
    return `  ${camel(map.name)}: { name: '${map.name}', ${sizes}, maxEntries: ${map.maxEntries} },\n`;
  };
  return `export const maps = {\n${headers.maps.map(row).join('')}} as const;\n`;
}

function structsOf(headers: CHeaders): string {
  const text = headers.structs.map((struct) => {
    const fields = struct.fields.map((field) => {
      const kind = field.size > sizeOf(headers, field.type) ? 'bytes' : field.type.replace('__', '');
      return `    ${camel(field.name)}: { offset: ${field.offset}, size: ${field.size}, kind: '${kind}' },\n`;
    });
    return `  ${camel(struct.name)}: {\n${fields.join('')}  },\n`;
  });
  return `export const structs = {\n${text.join('')}} as const;\n`;
}

function moduleOf(headers: CHeaders): string {
  const constants = headers.constants.filter(
    ({ name }) => /^(LOCAL_POD|LOCAL_DEV|CLUSTER_POD|TUNNEL|DROPS|DIRECT)_/.test(name) && !name.endsWith('_MAX'),
  );
  const version = headers.constants.find(({ name }) => name === 'LAYOUT_VERSION');
  if (version === undefined) throw new Error('bpf/layout.h does not define LAYOUT_VERSION');
  return `// SPDX-License-Identifier: Apache-2.0
// Generated from bpf/*.h by \`npm run generate\`; do not edit.

/** Grows with every change of a key or a value; part of the pins' path. */
export const layoutVersion = ${version.value};

/** Sizes in bytes. */
${mapsOf(headers)}
/** Where each field is, in bytes. be16 and be32 are in network order, u16 to u64 in the machine's. */
${structsOf(headers)}
${constants.map(({ name, value }) => `export const ${camel(name)} = ${value};\n`).join('')}
export interface CounterSpec {
  /** The key in the map. */
  number: number;
  name: string;
  program: 'from_pod' | 'to_overlay' | 'from_overlay' | 'from_uplink';
  reason: string;
  /** \`next\` left the packet to the kernel's stack, \`redirect\` sent it past the stack, \`drop\` ended it. */
  verdict: 'next' | 'redirect' | 'drop';
  /** Whether the packet ended here. */
  drop: boolean;
  meaning: string;
}

${countersOf(headers)}`;
}

/** The module for the headers in `folder`. @throws Error for a header that is not in their plain dialect of C */
export function layoutModule(folder: string): string {
  const files = readdirSync(folder).filter((name) => name.endsWith('.h'));
  return moduleOf(readHeaders(files.toSorted().map((name) => readFileSync(join(folder, name), 'utf8'))));
}
