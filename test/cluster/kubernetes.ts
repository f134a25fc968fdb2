// SPDX-License-Identifier: Apache-2.0
// The Kubernetes programs: built once from their Go modules, kept by version and content, seven names for one file.
// No registry has ready binaries where this runs, and a cold build takes eight minutes, so it says how far it is.
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { removeUnfinished } from './lock.ts';
import { binFolder, kubernetesFolder, kubernetesVersion } from './paths.ts';
import type { Say } from './progress.ts';
import { step } from './progress.ts';
import { must } from './run.ts';

const source = join(import.meta.dirname, 'hyperkube');
const programs = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
];
// The toolchain is the machine's: Go would otherwise fetch another one in silence.
const goEnvironment = { CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };

/** The Go version that go.mod asks for, e.g. `1.25.0`. */
export function neededGoVersion(): string {
  return /^go (\S+)$/m.exec(readFileSync(join(source, 'go.mod'), 'utf8'))?.[1] ?? '1.25.0';
}

/** Where the one file with all programs is, or will be: its name changes with everything that it is made of. */
export function hyperkubePath(): string {
  const hash = createHash('sha256').update(kubernetesVersion);
  for (const file of ['main.go', 'go.mod', 'go.sum']) hash.update(readFileSync(join(source, file)));
  return join(kubernetesFolder, `hyperkube-${hash.digest('hex').slice(0, 12)}`);
}

const buildArguments = (): string[] => {
  const [major, minor] = kubernetesVersion.split('.');
  const set = (name: string, value: string | undefined): string => `-X k8s.io/component-base/version.${name}=${value}`;
  const version = [set('gitVersion', `v${kubernetesVersion}`), set('gitMajor', major), set('gitMinor', minor)];
  return ['-trimpath', '-ldflags', ['-s -w', ...version].join(' ')];
};

/** Runs go with `onLine` called for every line it prints; rejects with its last lines if it fails. */
function go(argv: readonly string[], onLine: (line: string) => void, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', argv, {
      cwd: source,
      env: { ...process.env, ...goEnvironment },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal === undefined ? {} : { signal }),
    });
    const last: string[] = [];
    const read = (chunk: Buffer): void => {
      for (const line of chunk.toString().split('\n')) {
        if (line === '') continue;
        onLine(line);
        last.push(line);
        if (last.length > 30) last.shift();
      }
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`go ${argv.slice(0, 2).join(' ')}: exit code ${code}\n${last.join('\n')}`));
    });
  });
}

async function build(target: string, say: Say, signal?: AbortSignal): Promise<void> {
  say(`Building Kubernetes ${kubernetesVersion} from its Go modules: about 10 minutes on 2 cores, once.`);
  let fetched = 0;
  await step(
    say,
    'Go modules fetched',
    () => go(['mod', 'download', '-x'], () => (fetched += 1), signal),
    () => `${fetched} files`,
  );
  let total = 0;
  const stale = ['list', '-deps', ...buildArguments(), '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', '.'];
  await step(
    say,
    'packages counted',
    () => go(stale, () => (total += 1), signal),
    () => `${total} to compile`,
  );
  let compiled = 0;
  const unfinished = `${target}.${process.pid}`;
  try {
    await step(
      say,
      `Kubernetes ${kubernetesVersion} compiled and linked`,
      () => go(['build', '-v', ...buildArguments(), '-o', unfinished, '.'], () => (compiled += 1), signal),
      () => (compiled < total ? `${compiled} of ${total} packages` : 'all packages compiled, linking'),
    );
    renameSync(unfinished, target);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Other versions of the file are of no use to anybody, at 140 MB each; unfinished ones have a dot in their name. */
function removeOthers(target: string): void {
  for (const name of readdirSync(kubernetesFolder)) {
    const path = join(kubernetesFolder, name);
    if (/^hyperkube(-[0-9a-f]{12})?$/.test(name) && path !== target) rmSync(path, { force: true });
  }
}

/** Gives every program its name, in place, so that a reader never finds one missing. */
function linkPrograms(target: string): void {
  mkdirSync(binFolder, { recursive: true });
  for (const name of programs) {
    const fresh = join(binFolder, `.${name}.${process.pid}`);
    rmSync(fresh, { force: true });
    symlinkSync(join('..', basename(target)), fresh);
    renameSync(fresh, join(binFolder, name));
  }
}

/** Builds the Kubernetes programs unless they are there; afterwards they are in `binFolder`. */
export async function ensureKubernetes(say: Say, signal?: AbortSignal): Promise<void> {
  const target = hyperkubePath();
  mkdirSync(kubernetesFolder, { recursive: true });
  removeUnfinished(kubernetesFolder, /^hyperkube-[0-9a-f]+\.(\d+)$/);
  if (!existsSync(target)) {
    await build(target, say, signal);
    removeOthers(target);
  }
  linkPrograms(target);
  await must([join(binFolder, 'kubectl'), 'version', '--client'], signal === undefined ? {} : { signal });
}
