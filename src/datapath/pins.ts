// SPDX-License-Identifier: Apache-2.0
// Where the maps are pinned. The layout's version is part of the path, so that programs of a new build never open maps
// whose bytes mean something else.
import { layoutVersion, maps } from './generated/layout.ts';

/** The folder, in a bpffs, of this build's layout: `/sys/fs/bpf/fast/v1`. */
export function pinFolder(folder: string): string {
  return `${folder}/v${layoutVersion}`;
}

/** The path of every map's pin, by the map's name. */
export function mapPins(folder: string): Record<string, string> {
  return Object.fromEntries(Object.values(maps).map(({ name }) => [name, `${pinFolder(folder)}/${name}`]));
}
