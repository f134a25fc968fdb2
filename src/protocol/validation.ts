// SPDX-License-Identifier: Apache-2.0
// Turns what a compiled JSON Schema says of a value into one sentence with the field, its value and what was expected.

/** The part of ajv's error object that is read here; the compiled validators of fast-cni yield the same. */
export interface SchemaError {
  /** JSON Pointer (RFC 6901) to the wrong value, '' for the whole. */
  instancePath: string;
  keyword: string;
  params: Record<string, unknown>;
  message?: string;
}

/** A compiled schema, as ajv makes it: false leaves the reasons in `errors`. */
export interface Validate {
  (value: unknown): boolean;
  errors?: SchemaError[] | null;
}

const maxValueLength = 120;

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > maxValueLength ? `${text.slice(0, maxValueLength)}…` : text;
}

/** The steps of a JSON Pointer, unescaped. */
function steps(pointer: string): string[] {
  const parts = pointer.split('/').slice(1);
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function valueAt(whole: unknown, path: string[]): unknown {
  let value = whole;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function sentence(error: SchemaError, whole: unknown, expected: Record<string, string>): string {
  const path = steps(error.instancePath);
  if (error.keyword === 'required') {
    const field = [...path, String(error.params['missingProperty'])].join('.');
    return `the field "${field}" is missing${expected[field] === undefined ? '' : `; it is ${expected[field]}`}`;
  }
  const field = path.join('.');
  const rule =
    expected[field] === undefined ? (error.message ?? `fails "${error.keyword}"`) : `must be ${expected[field]}`;
  return `${field === '' ? 'the message' : `the field "${field}"`} is ${show(valueAt(whole, path))} but ${rule}`;
}

/**
 * One sentence about why `validate` refused `whole`, or undefined where it accepts. `expected` holds, for dotted field
 * names, what the field must be, in words that suit a person better than the schema's.
 */
export function explain(validate: Validate, whole: unknown, expected: Record<string, string> = {}): string | undefined {
  if (validate(whole)) return undefined;
  // `if` only repeats that its branch failed; the branch's own error is the one with the field.
  const errors = (validate.errors ?? []).filter((error) => error.keyword !== 'if');
  const sentences = errors.map((error) => sentence(error, whole, expected));
  return sentences.length === 0 ? 'the message does not fit its schema' : [...new Set(sentences)].join('; ');
}
