// SPDX-License-Identifier: Apache-2.0
// The tools of others that judge what we ship, built from their Go modules at pinned versions and kept in the cache by
// all that they are made of: no registry has them ready where this runs.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, hashOf, root, run, step } from './steps.ts';

interface GoTool {
  /** Holds go.mod, go.sum and maybe main.go. */
  readonly folder: string;
  /** What is built, as the Go command names it. */
  readonly package: string;
  /** Each leaves out what is not needed here and costs minutes or a C compiler. */
  readonly tags: string;
}

const tools = {
  'olm-validators': {
    folder: join(root, 'test/ship/validators'),
    package: '.',
    tags: 'containers_image_openpgp,exclude_graphdriver_btrfs,json1',
  },
  promtool: {
    folder: join(root, 'test/ship/promtool'),
    package: 'github.com/prometheus/prometheus/cmd/promtool',
    tags: 'remove_all_sd,netgo',
  },
} as const satisfies Record<string, GoTool>;

export type GoToolName = keyof typeof tools;

// The toolchain is the machine's: Go would otherwise fetch another one in silence.
const environment = { CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };

/** The program's path; builds it, in some minutes, where the cache does not have it. */
export async function goTool(name: GoToolName): Promise<string> {
  const tool = tools[name];
  const folder = join(cacheFolder(), 'tools');
  const path = join(folder, `${name}-${hashOf([tool.folder], tool.package, tool.tags)}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const arguments_ = ['build', '-trimpath', '-ldflags', '-s -w', '-tags', tool.tags, '-o', unfinished, tool.package];
  await step(`${name}, from its Go modules: some minutes, once`, async () => {
    await run('go', arguments_, { cwd: tool.folder, env: environment });
  });
  renameSync(unfinished, path);
  for (const other of readdirSync(folder)) {
    if (other.startsWith(`${name}-`) && join(folder, other) !== path) rmSync(join(folder, other), { force: true });
  }
  return path;
}
