// SPDX-License-Identifier: Apache-2.0
// What the programs hand to the kernel's helpers must be what old kernels take too. No kernel of today refuses it, so the
// compiled instructions are read.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { buildBpf } from '../../scripts/build-bpf.ts';
import { buildFolder } from '../../scripts/steps.ts';

/** enum bpf_func_id: skb_get_tunnel_key, skb_set_tunnel_key. */
const tunnelKeyHelpers = [20, 21];
/** A call of a helper, and `r3 = number`: the third argument, which is the size of the key (linux/bpf.h). */
const [call, setThird] = [0x85, 0x03b7];
const bytesOfInstruction = 8;

/** The number that each call of such a helper has in its third argument. */
function thirdArguments(object: Buffer, helpers: readonly number[]): number[] {
  const found: number[] = [];
  let third = -1;
  // Sections of instructions are aligned to them.
  for (let at = 0; at + bytesOfInstruction <= object.length; at += bytesOfInstruction) {
    const [operation, immediate] = [object.readUInt16LE(at), object.readInt32LE(at + 4)];
    if (operation === setThird) third = immediate;
    if (operation === call && helpers.includes(immediate)) found.push(third);
  }
  return found;
}

beforeAll(buildBpf, 120_000);

it('loses no traffic between nodes below kernel 5.19, which knows 28 bytes of a tunnel key and refuses more', () => {
  const sizes = thirdArguments(readFileSync(join(buildFolder, 'fast.bpf.o')), tunnelKeyHelpers);
  expect(sizes.length).toBeGreaterThan(3);
  expect(new Set(sizes)).toEqual(new Set([28]));
});
