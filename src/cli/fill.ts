// SPDX-License-Identifier: Apache-2.0
// How full something is, as a picture that a terminal can show.

const shades = ['·', '░', '▒', '▓', '█'] as const;

export const fillLegend = '█ in use   ▒ resting or kept   · free';
export const cellLegend = 'each cell a share of the range: · free   ░ ▒ ▓ partly   █ wholly taken';

/** One bar for a pool. What is there at all has a cell, however small its share. */
export function fillBar(used: number, resting: number, total: number, width: number): string {
  if (total <= 0) return '';
  const cellsOf = (count: number): number => (count === 0 ? 0 : Math.max(1, Math.round((count / total) * width)));
  const full = Math.min(cellsOf(used), width);
  const half = Math.min(cellsOf(resting), width - full);
  return '█'.repeat(full) + '▒'.repeat(half) + '·'.repeat(width - full - half);
}

/** One shade for each of `shares`, which are from 0 to 1. */
export function shadesOf(shares: readonly number[]): string {
  return shares
    .map((share) => shades[share <= 0 ? 0 : share >= 1 ? 4 : share < 1 / 3 ? 1 : share < 2 / 3 ? 2 : 3])
    .join('');
}
