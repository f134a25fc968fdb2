// SPDX-License-Identifier: Apache-2.0
// Inputs that are nearly right: a good text with values, keys and bytes changed by a seeded generator. What is all wrong
// is refused at the first look and finds nothing.

/** Whole numbers from 0 to below `limit`, the same for the same seed (mulberry32). */
export function numbers(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

type Random = (limit: number) => number;

const strangeTexts = [
  '',
  ' ',
  '\u0000',
  '..',
  '/',
  '-1',
  '1.1.0',
  '0.3.1',
  '1.0.0',
  'ADD',
  '10.244.10.0',
  '10.0.0.0/33',
  '::1',
  'é',
  '\ud800',
  '__proto__',
  'constructor',
  'a'.repeat(300),
  '/'.repeat(5000),
  '%n',
  '1e999',
  'null',
  '\u2028',
  ';=;=',
  'K8S_POD_UID=',
];
const strangeValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  1.5,
  253,
  2 ** 31,
  2 ** 53,
  1e308,
  [],
  {},
  [[]],
  [null],
  { length: 1 },
  ...strangeTexts,
];

function pick<T>(from: readonly T[], random: Random): T {
  return from[random(from.length)] as T;
}

/** A copy with one place changed: replaced, taken away, doubled, or filled with something new. */
export function changedValue(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random(8) === 0) return pick(strangeValues, random);
  if (Array.isArray(value)) {
    const copy: unknown[] = [...(value as unknown[])];
    const at = random(copy.length + 1);
    const way = random(3);
    if (way === 0) copy.splice(at, 1);
    else if (way === 1) copy.splice(at, 0, copy[0] ?? pick(strangeValues, random));
    else copy[at] = changedValue(copy[at], random);
    return copy;
  }
  const copy = { ...(value as Record<string, unknown>) };
  const keys = Object.keys(copy);
  const key = random(10) === 0 || keys.length === 0 ? pick(strangeTexts, random) : pick(keys, random);
  if (random(5) === 0) delete copy[key];
  else Object.defineProperty(copy, key, { value: changedValue(copy[key], random), enumerable: true });
  return copy;
}

/** A text cut off, with a sign too much, too few or another, or with a part of itself again. */
export function changedText(text: string, random: Random): string {
  const at = random(text.length + 1);
  const sign =
    random(2) === 0
      ? pick(['"', '{', '}', '[', ']', ',', ':', '\\', '\n'], random)
      : String.fromCodePoint(random(0xd7ff));
  const ways = [
    () => text.slice(0, at),
    () => text.slice(0, at) + sign + text.slice(at),
    () => text.slice(0, at) + text.slice(at + 1),
    () => text.slice(0, at) + sign + text.slice(at + 1),
    () => text.slice(0, at) + text.slice(random(text.length + 1)),
  ];
  return pick(ways, random)();
}

/** JSON text of a value that is changed in some places, and in one of four cases as text too. */
export function changedJson(value: unknown, random: Random): string {
  let changed = value;
  for (let changes = random(4); changes >= 0; changes -= 1) changed = changedValue(changed, random);
  const text = JSON.stringify(changed) ?? '';
  return random(4) === 0 ? changedText(text, random) : text;
}

/** Variables with some changed or taken away. */
export function changedVariables(variables: Readonly<Record<string, string>>, random: Random): Record<string, string> {
  const changed = { ...variables };
  for (let changes = random(3); changes > 0; changes -= 1) {
    const name = pick(Object.keys(changed), random);
    const way = random(3);
    if (way === 0) changed[name] = '';
    else changed[name] = way === 1 ? pick(strangeTexts, random) : changedText(changed[name] ?? '', random);
  }
  return changed;
}
