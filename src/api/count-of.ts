// SPDX-License-Identifier: Apache-2.0
// A number with its noun, for people.

/** `1 address`, `2 addresses`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

export const addressCount = (count: number): string => countOf(count, 'address', 'addresses');
