// SPDX-License-Identifier: Apache-2.0
// Builds the reference plugins that fast-cni runs: portmap (hostPorts) and bandwidth. From their Go module
// and without cgo, so that they run on every distribution as fast-cni does; those that Debian packages ask for its libc.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { companions } from '../src/node/cni-install.ts';
import { cached, type Made } from './cached.ts';
import { buildFolder, hashOf, root, run, StepFailed, step } from './steps.ts';

const module = join(root, 'images/cni-plugins');
const packages = companions.map((name) => `github.com/containernetworking/plugins/plugins/meta/${name}`);
// The toolchain is the machine's: Go would otherwise fetch another one in silence.
const env = { CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };

/** Throws StepFailed with Go's words, or with the cure where it is missing. */
async function go(words: string[]): Promise<string> {
  try {
    return await run('go', words, { cwd: module, env });
  } catch (error) {
    const isMissing = error instanceof StepFailed && error.message.includes('ENOENT');
    throw isMissing ? new StepFailed('Go is missing; install it from https://go.dev/dl/') : error;
  }
}

/** Makes build/cni-plugins, unless it is current. About 20 s on a cold cache. */
export async function buildCniPlugins(): Promise<Made> {
  const words = ['build', '-trimpath', '-ldflags', '-s -w'];
  const version = await go(['version']);
  return await cached(join(buildFolder, 'cni-plugins'), {
    // go.sum names the content of all modules.
    inputs: () => hashOf([module], version, JSON.stringify(env), ...words, ...packages),
    make: (path) =>
      step('the CNI plugins portmap and bandwidth', async () => {
        await mkdir(path, { recursive: true });
        await go([...words, '-o', `${path}/`, ...packages]);
      }),
  });
}
