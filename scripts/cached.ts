// SPDX-License-Identifier: Apache-2.0
// What is made once and kept. A result counts as current while three hashes are what they were: of the inputs that are
// known beforehand, of the files that the maker found itself to read, and of the result. So none of these passes for
// current: what an interrupted build left, what another build put there meanwhile, what was changed by hand, and what was
// made while an input changed under it.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { contentHash, hashOf } from './steps.ts';

/** What a build says of each of its results. */
export type Made = 'made' | 'current';

interface Stamp {
  /** Of {@link Recipe.inputs}. */
  readonly inputs: string;
  readonly found: readonly string[];
  readonly foundHash: string;
  readonly output: string;
}

export interface Recipe {
  /**
   * A hash over all that is known to decide about the result, the versions of its tools too. It is asked for again when
   * the result is made.
   */
  readonly inputs: () => string;
  /** Makes the result, a file or a folder, at `path`. Answers which files and folders decided about it besides `inputs`. */
  readonly make: (path: string) => Promise<void> | Promise<readonly string[]>;
}

function readStamp(file: string): Stamp | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Stamp;
  } catch {
    return undefined;
  }
}

function isCurrent(output: string, stamp: Stamp | undefined, inputs: string): boolean {
  if (stamp?.inputs !== inputs || !existsSync(output)) return false;
  return stamp.output === contentHash(output) && stamp.foundHash === hashOf([...stamp.found]);
}

/** A killed build could not remove what it was about to finish: its name ends in the number of its process. */
function removeUnfinished(output: string): void {
  const prefix = `${basename(output)}.unfinished.`;
  for (const name of readdirSync(dirname(output))) {
    if (!name.startsWith(prefix) || existsSync(`/proc/${name.slice(prefix.length)}`)) continue;
    rmSync(join(dirname(output), name), { recursive: true, force: true });
  }
}

/** Makes `output` unless it is current. */
export async function cached(output: string, { inputs, make }: Recipe): Promise<Made> {
  const stampFile = `${output}.hash`;
  const before = inputs();
  if (isCurrent(output, readStamp(stampFile), before)) return 'current';
  mkdirSync(dirname(output), { recursive: true });
  removeUnfinished(output);
  const unfinished = `${output}.unfinished.${process.pid}`;
  try {
    const found = [...((await make(unfinished)) ?? [])];
    const foundHash = hashOf(found);
    // Of what was made here, whatever another build puts in its place.
    const made = contentHash(unfinished);
    if (statSync(unfinished).isDirectory()) rmSync(output, { recursive: true, force: true });
    renameSync(unfinished, output);
    const stamp: Stamp = { inputs: before, found, foundHash, output: made };
    if (inputs() === before) writeFileSync(stampFile, JSON.stringify(stamp));
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return 'made';
}
