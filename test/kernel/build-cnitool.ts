// SPDX-License-Identifier: Apache-2.0
// CNI's own command line, built from its Go module as go.mod beside it pins it, and kept with what outlives a checkout.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, hashOf, run } from '../../scripts/steps.ts';

const module = join(import.meta.dirname, 'cnitool');
const program = 'github.com/containernetworking/cni/cnitool';

/** The path of the program, which is built unless it is there. A cold build takes some ten seconds. */
export async function buildCnitool(): Promise<string> {
  const folder = join(cacheFolder(), 'cnitool');
  const target = join(folder, hashOf([module], readFileSync(join(module, 'go.mod'), 'utf8')));
  if (existsSync(target)) return target;
  mkdirSync(folder, { recursive: true });
  // The toolchain is the machine's: Go would otherwise fetch another one in silence.
  const env = { CGO_ENABLED: '0', GOTOOLCHAIN: 'local' };
  await run('go', ['build', '-mod=readonly', '-trimpath', '-ldflags', '-s -w', '-o', target, program], {
    cwd: module,
    env,
  });
  return target;
}
