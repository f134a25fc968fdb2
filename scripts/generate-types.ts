// SPDX-License-Identifier: Apache-2.0
// Writes src/api/generated/*.ts from crds/*.yaml, so that the schema which the API server enforces and the types which
// the programs are checked against are one text. `--check` compares instead of writing.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadYaml } from '@kubernetes/client-node';
import { writeOrCompare } from './generated-files.ts';

interface Schema {
  type?: string;
  description?: string;
  /** client-node's name for `enum`, a reserved word to its generator. */
  _enum?: string[];
  required?: string[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
}

interface Definition {
  spec: {
    names: { kind: string; plural: string };
    group: string;
    versions: Array<{ name: string; schema: { openAPIV3Schema: Schema } }>;
  };
}

const root = fileURLToPath(new URL('..', import.meta.url));

function typeOf(schema: Schema, indent: string): string {
  if (schema._enum !== undefined) return schema._enum.map((value) => `'${value}'`).join(' | ');
  if (schema.type === 'array') {
    const item = typeOf(schema.items ?? {}, indent);
    return /[|{ ]/.test(item) ? `Array<${item}>` : `${item}[]`;
  }
  if (schema.additionalProperties !== undefined)
    return `Record<string, ${typeOf(schema.additionalProperties, indent)}>`;
  if (schema.properties !== undefined) return `{\n${fieldsOf(schema, `${indent}  `)}${indent}}`;
  return schema.type === 'integer' ? 'number' : (schema.type ?? 'unknown');
}

function fieldsOf(schema: Schema, indent: string): string {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {})
    .map(([name, field]) => {
      const doc = field.description === undefined ? '' : `${indent}/** ${field.description.trim()} */\n`;
      return `${doc}${indent}${name}${required.has(name) ? '' : '?'}: ${typeOf(field, indent)};\n`;
    })
    .join('');
}

function moduleOf(file: string, definition: Definition): string {
  const { kind, plural } = definition.spec.names;
  const version = definition.spec.versions[0];
  if (version === undefined) throw new Error(`crds/${file} has no version`);
  const schema = version.schema.openAPIV3Schema;
  const { spec, status } = schema.properties ?? {};
  if (spec === undefined || status === undefined) throw new Error(`crds/${file} has no spec or no status`);
  return `// SPDX-License-Identifier: Apache-2.0
// Generated from crds/${file} by \`npm run generate\`; do not edit.
import type { ObjectMeta } from '../object.ts';

/** ${schema.description?.trim()} */
export interface ${kind} {
  apiVersion?: '${definition.spec.group}/${version.name}';
  kind?: '${kind}';
  metadata: ObjectMeta;
  spec: ${kind}Spec;
  status?: ${kind}Status;
}

/** ${spec.description?.trim()} */
export interface ${kind}Spec {
${fieldsOf(spec, '  ')}}

/** ${status.description?.trim()} */
export interface ${kind}Status {
${fieldsOf(status, '  ')}}

/** Where the API server serves ${kind}. */
export const ${kind[0]?.toLowerCase()}${kind.slice(1)}Resource = {
  group: '${definition.spec.group}',
  version: '${version.name}',
  plural: '${plural}',
  kind: '${kind}',
  namespaced: false,
} as const;
`;
}

const modules: string[] = [];
for (const file of readdirSync(`${root}crds`).filter((name) => name !== 'kustomization.yaml')) {
  const definition = loadYaml<Definition>(readFileSync(`${root}crds/${file}`, 'utf8'));
  const name = definition.spec.names.kind.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
  writeOrCompare(`${root}src/api/generated/${name}.ts`, moduleOf(file, definition));
  modules.push(name);
}
const index = modules.toSorted().map((name) => `export * from './${name}.ts';\n`);
writeOrCompare(
  `${root}src/api/generated/index.ts`,
  `// SPDX-License-Identifier: Apache-2.0\n// Generated from crds/ by \`npm run generate\`; do not edit.\n${index.join('')}`,
);
