// SPDX-License-Identifier: Apache-2.0
// How full something is, as a picture that a terminal can show.

const shades = ['·', '░', '▒', '▓', '█'] as const;

export const fillLegend = '█ in use   ▓ in use, but not as of this pool   ▒ resting or kept   · free';
export const cellLegend =
  "each cell a share of the range: · free   ░ ▒ ▓ partly   █ wholly taken   - a gateway's or a node's own";

/** The addresses of a pool by what became of them. */
export interface Fill {
  readonly used: number;
  /** Taken by whom this pool's records do not name: another pool's pod, or one without a record. */
  readonly usedElsewhere: number;
  readonly resting: number;
  readonly total: number;
}

/** One bar for a pool. What is there at all has a cell, however small its share. */
export function fillBar({ used, usedElsewhere, resting, total }: Fill, width: number): string {
  if (total <= 0) return '';
  let left = width;
  const cells = (shade: string, count: number): string => {
    const wanted = count <= 0 ? 0 : Math.max(1, Math.round((count / total) * width));
    const given = Math.min(wanted, left);
    left -= given;
    return shade.repeat(given);
  };
  return `${cells('█', used)}${cells('▓', usedElsewhere)}${cells('▒', resting)}${'·'.repeat(left)}`;
}

/** One shade for each of `shares`, which are from 0 to 1; undefined where nothing can be given out. */
export function shadesOf(shares: ReadonlyArray<number | undefined>): string {
  return shares
    .map((share) => {
      if (share === undefined) return '-';
      return shades[share <= 0 ? 0 : share >= 1 ? 4 : share < 1 / 3 ? 1 : share < 2 / 3 ? 2 : 3];
    })
    .join('');
}
