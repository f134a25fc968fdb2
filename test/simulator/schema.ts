// SPDX-License-Identifier: Apache-2.0
// What a CustomResourceDefinition's structural schema does to an object on its way in: unknown fields are dropped,
// defaults filled in, and what does not fit is named. The schemas are read from crds/, never copied.
import { readFileSync } from 'node:fs';
import { loadYaml } from '@kubernetes/client-node';

export interface Schema {
  readonly type?: string;
  /** client-node's names for words that are reserved in other languages. */
  readonly _enum?: readonly unknown[];
  readonly _default?: unknown;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** A field that does not fit, as metav1.StatusCause names it. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}

interface Definition {
  readonly spec: {
    readonly names: { readonly plural: string };
    readonly versions: ReadonlyArray<{
      readonly schema: { readonly openAPIV3Schema: Schema };
      readonly selectableFields?: ReadonlyArray<{ readonly jsonPath: string }>;
    }>;
  };
}

export interface CustomKind {
  readonly plural: string;
  readonly schema: Schema;
  /** Such as `spec.nodeName`. */
  readonly selectable: readonly string[];
}

/** A kind as its file in crds/ declares it. */
export function readCustomKind(plural: string): CustomKind {
  const file = new URL(`../../crds/${plural}.yaml`, import.meta.url);
  const [version] = loadYaml<Definition>(readFileSync(file, 'utf8')).spec.versions;
  if (version === undefined) throw new Error(`crds/${plural}.yaml declares no version`);
  const selectable = (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath.replace(/^\./, ''));
  return { plural, schema: version.schema.openAPIV3Schema, selectable };
}

/** The object pruned and with its defaults; what does not fit is added to `problems`. The metadata is left as it is. */
export function conform<T extends { metadata: object }>(schema: Schema, object: T, problems: Problem[]): T {
  const { metadata, ...rest } = object;
  return { ...(valueOf(schema, rest, '', problems) as T), metadata };
}

function valueOf(schema: Schema, value: unknown, field: string, problems: Problem[]): unknown {
  switch (schema.type) {
    case 'object':
      return objectOf(schema, value, field, problems);
    case 'array':
      return arrayOf(schema, value, field, problems);
    case 'string':
      check(typeof value === 'string', field, 'must be of type string', problems);
      checkString(schema, value, field, problems);
      return value;
    case 'integer':
      check(Number.isInteger(value), field, 'must be of type integer', problems);
      check(!(Number(value) < (schema.minimum ?? -Infinity)), field, `below ${schema.minimum}`, problems);
      check(!(Number(value) > (schema.maximum ?? Infinity)), field, `above ${schema.maximum}`, problems);
      return value;
    default:
      return value;
  }
}

function objectOf(schema: Schema, value: unknown, field: string, problems: Problem[]): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push({ field, message: 'must be of type object' });
    return value;
  }
  const given = value as Record<string, unknown>;
  if (schema.additionalProperties !== undefined) return given;
  const kept: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const present = given[name] ?? inner._default;
    const path = field === '' ? name : `${field}.${name}`;
    if (present !== undefined) kept[name] = valueOf(inner, present, path, problems);
    else if (schema.required?.includes(name) === true) problems.push({ field: path, message: 'Required value' });
  }
  return kept;
}

function arrayOf(schema: Schema, value: unknown, field: string, problems: Problem[]): unknown {
  if (!Array.isArray(value)) {
    problems.push({ field, message: 'must be of type array' });
    return value;
  }
  check(value.length >= (schema.minItems ?? 0), field, `fewer than ${schema.minItems} items`, problems);
  check(value.length <= (schema.maxItems ?? Infinity), field, `more than ${schema.maxItems} items`, problems);
  return value.map((item, index) => valueOf(schema.items ?? {}, item, `${field}[${index}]`, problems));
}

function checkString(schema: Schema, value: unknown, field: string, problems: Problem[]): void {
  if (typeof value !== 'string') return;
  check(value.length >= (schema.minLength ?? 0), field, 'too short', problems);
  check(value.length <= (schema.maxLength ?? Infinity), field, 'too long', problems);
  check(schema._enum?.includes(value) !== false, field, `"${value}" is none of ${schema._enum?.join(', ')}`, problems);
}

function check(isRight: boolean, field: string, message: string, problems: Problem[]): void {
  if (!isRight) problems.push({ field, message });
}
