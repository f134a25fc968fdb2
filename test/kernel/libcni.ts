// SPDX-License-Identifier: Apache-2.0
// libcni's own command line, as the runtime of the node `one`.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { buildFolder } from '../../scripts/steps.ts';
import { insideArguments, netnsPath } from './agent-node.ts';
import { runtime } from './bench.ts';
import { buildCnitool } from './build-cnitool.ts';
import { type Ended, program, startPlugin } from './runtime.ts';

const folder = mkdtempSync(join(tmpdir(), 'fagent-cnitool-'));
let cnitool: string;

/** Builds the tool before the tests of a file, and takes away what it kept behind them. */
export function useCnitool(): void {
  beforeAll(async () => {
    cnitool = await buildCnitool();
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true }));
}

/** Writes the list `fast`: fast-cni with what `own` says of it, and the plugins behind it. */
export function configure(cniVersion: string, own: object, ...behind: object[]): void {
  const plugins = [{ type: 'fast-cni', socket: runtime.socket, ...own }, ...behind];
  writeFileSync(join(folder, '10-fast.conflist'), JSON.stringify({ cniVersion, name: 'fast', plugins }));
  mkdirSync(join(folder, 'cache'), { recursive: true });
}

/**
 * On the node, with a folder of its own for the results that libcni keeps in /var/lib/cni. `asked` is what a runtime would
 * hand on of the pod, by capability.
 */
export async function tool(command: string, sandbox = 'p1', asked: object = {}): Promise<Ended> {
  const script = `mkdir -p /var/lib/cni && mount --bind ${folder}/cache /var/lib/cni && exec "$@"`;
  const words = ['unshare', '--mount', 'sh', '-c', script, 'sh', cnitool, command, 'fast', netnsPath(sandbox)];
  const variables = {
    PATH: process.env['PATH'] ?? '',
    NETCONFPATH: folder,
    CNI_PATH: `${dirname(program)}:${join(buildFolder, 'cni-plugins')}:/usr/lib/cni`,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${sandbox};K8S_POD_UID=${sandbox}`,
    CAP_ARGS: JSON.stringify(asked),
  };
  return await startPlugin(variables, '', '/sbin/ip', insideArguments('one', ...words)).ended;
}

/** Answers what it printed; throws where it failed. */
export async function succeed(command: string, sandbox?: string, asked?: object): Promise<string> {
  const { code, stdout, stderr } = await tool(command, sandbox, asked);
  if (code !== 0) throw new Error(`cnitool ${command}: ${stdout}${stderr}`);
  return stdout;
}
