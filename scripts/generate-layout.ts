// SPDX-License-Identifier: Apache-2.0
// Writes src/datapath/generated/layout.ts from bpf/*.h, so that the programs and what fills their maps read one text.
// `--check` compares instead of writing.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeOrCompare } from './generated-files.ts';
import { type CHeaders, type CMap, readHeaders, sizeOf } from './read-headers.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function camel(name: string): string {
  return name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The program that a counter belongs to is in its name, behind DROP_. */
function programOf(counter: string): string {
  const match = /^(?:DROP_)?(FROM_POD|TO_OVERLAY|FROM_OVERLAY)_/.exec(counter);
  if (match?.[1] === undefined) throw new Error(`counter ${counter} does not name its program`);
  return match[1].toLowerCase();
}

function countersOf(headers: CHeaders): string {
  const rows = headers.counters.map(({ name, number, meaning }) => {
    const fields = `number: ${number}, name: '${name.toLowerCase()}', program: '${programOf(name)}'`;
    return `  { ${fields}, drop: ${name.startsWith('DROP_')}, meaning: ${JSON.stringify(meaning)} },\n`;
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
      const kind = field.type === '__be32' ? 'be32' : field.type === '__u8' ? 'bytes' : 'u32';
      return `    ${camel(field.name)}: { offset: ${field.offset}, size: ${field.size}, kind: '${kind}' },\n`;
    });
    return `  ${camel(struct.name)}: {\n${fields.join('')}  },\n`;
  });
  return `export const structs = {\n${text.join('')}} as const;\n`;
}

function moduleOf(headers: CHeaders): string {
  const constants = headers.constants.filter(
    ({ name }) => /^(LOCAL_POD|LOCAL_DEV|TUNNEL)_/.test(name) && !name.endsWith('_MAX'),
  );
  const version = headers.constants.find(({ name }) => name === 'LAYOUT_VERSION');
  if (version === undefined) throw new Error('bpf/layout.h does not define LAYOUT_VERSION');
  return `// SPDX-License-Identifier: Apache-2.0
// Generated from bpf/*.h by \`npm run generate\`; do not edit.

/** Grows with every change of a key or a value; part of the pins' path. */
export const layoutVersion = ${version.value};

/** Sizes in bytes. */
${mapsOf(headers)}
/** Where each field is, in bytes. be32 is network order, u32 the machine's. */
${structsOf(headers)}
${constants.map(({ name, value }) => `export const ${camel(name)} = ${value};\n`).join('')}
export interface CounterSpec {
  /** The key in the map. */
  number: number;
  name: string;
  program: 'from_pod' | 'to_overlay' | 'from_overlay';
  /** Whether the packet ended here. */
  drop: boolean;
  meaning: string;
}

${countersOf(headers)}`;
}

const files = readdirSync(`${root}bpf`).filter((name) => name.endsWith('.h'));
const headers = readHeaders(files.toSorted().map((name) => readFileSync(`${root}bpf/${name}`, 'utf8')));
writeOrCompare(`${root}src/datapath/generated/layout.ts`, moduleOf(headers));
