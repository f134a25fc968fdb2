// SPDX-License-Identifier: Apache-2.0
// Builds the reference plugins that follow fast-cni in its list: portmap (hostPorts) and bandwidth. From their Go module
// and without cgo, so that they run on every distribution as fast-cni does; those that Debian packages ask for its libc.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { companions } from '../src/node/cni-install.ts';
import { buildFolder, cached, hashOf, root, run, StepFailed, step } from './steps.ts';

const module = join(root, 'images/cni-plugins');
const packages = companions.map((name) => `github.com/containernetworking/plugins/plugins/meta/${name}`);
// The toolchain is the machine's: Go would otherwise fetch another one in silence.
const env = { CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };

/** Makes build/cni-plugins, unless it is current. About 20 s on a cold cache. */
export async function buildCniPlugins(): Promise<void> {
  const output = join(buildFolder, 'cni-plugins');
  await cached(output, hashOf([module], ...packages), () =>
    step('the CNI plugins portmap and bandwidth', async () => {
      await mkdir(output, { recursive: true });
      try {
        await run('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', `${output}/`, ...packages], {
          cwd: module,
          env,
        });
      } catch (error) {
        const isMissing = error instanceof StepFailed && error.message.includes('ENOENT');
        throw isMissing ? new StepFailed('Go is missing; install it from https://go.dev/dl/') : error;
      }
    }),
  );
}
