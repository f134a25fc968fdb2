// SPDX-License-Identifier: Apache-2.0
// A number with its noun.

export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
