// SPDX-License-Identifier: Apache-2.0
// Where the maps are pinned. The layout's version is part of the path, so that programs of a new build never open maps
// whose bytes mean something else.
import { layoutVersion, maps } from './generated/layout.ts';

/** The folder, in a bpffs, of a layout, such as `/sys/fs/bpf/fast/v2`; of this build's where nothing is said. */
export function pinFolder(folder: string, version: number = layoutVersion): string {
  return `${folder}/v${version}`;
}

/** Whether a name in the agent's folder is a layout's, of whichever version. */
export function isLayoutFolder(name: string): boolean {
  return /^v\d+$/.test(name);
}

/** The path of every map's pin, by the map's name. */
export function mapPins(folder: string, version: number = layoutVersion): Record<string, string> {
  return Object.fromEntries(Object.values(maps).map(({ name }) => [name, `${pinFolder(folder, version)}/${name}`]));
}
