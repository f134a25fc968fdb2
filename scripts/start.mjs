// SPDX-License-Identifier: Apache-2.0
// Where every npm script begins, in plain JavaScript for the Node that a machine happens to have (20 or newer): it
// installs what is missing (Debian packages, npm packages), checks Go and Rust, then hands over to TypeScript under the
// Node of our own package.json.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Of all our Go modules the one that asks for the newest Go. */
const goModule = join(root, 'test/ship/validators/go.mod');
const hostManifest = join(root, 'src/cni/host/Cargo.toml');

/** Debian packages, each with a file that shows that it is there. */
const packages = {
  buildah: '/usr/bin/buildah',
  'busybox-static': '/bin/busybox',
  'ca-certificates': '/etc/ssl/certs/ca-certificates.crt',
  'clang-14': '/usr/bin/clang-14',
  conntrack: '/usr/sbin/conntrack',
  containerd: '/usr/bin/containerd',
  'containernetworking-plugins': '/usr/lib/cni/loopback',
  gcc: '/usr/bin/gcc',
  git: '/usr/bin/git',
  iproute2: '/sbin/ip',
  'iputils-ping': '/bin/ping',
  'libbpf-dev': '/usr/include/bpf/bpf_helpers.h',
  'libc6-dev': '/usr/include/stdio.h',
  'linux-libc-dev': '/usr/include/linux/bpf.h',
  mmdebstrap: '/usr/bin/mmdebstrap',
  mount: '/usr/bin/mount',
  nftables: '/usr/sbin/nft',
  openssl: '/usr/bin/openssl',
  procps: '/bin/ps',
  runc: '/usr/sbin/runc',
  'util-linux': '/usr/bin/nsenter',
};

const tiers = ['pure', 'kernel', 'ship', 'api', 'cluster'];

/**
 * What each command runs, under our own Node, and whether it needs the whole workshop or npm packages alone. Those with
 * `about` take the words of `takes` and no others; the rest read their words themselves.
 */
const commands = {
  bench: { script: ['bench/main.ts'], needs: 'all' },
  build: {
    script: ['scripts/build.ts'],
    needs: 'all',
    about: 'eBPF object, fast-cni, bundles and images, into build/',
  },
  bundle: {
    script: ['scripts/bundle.ts'],
    needs: 'all',
    about: "the operator bundle and its catalog, judged by OLM's own validators; --images packs both",
    takes: ['--images'],
  },
  check: { script: ['scripts/check.ts'], needs: 'npm', about: 'types, lint, format, generated files, tidy rules' },
  cluster: { script: ['test/cluster/main.ts'], needs: 'all' },
  demo: {
    script: ['scripts/demo.ts'],
    needs: 'all',
    about: "the README's quick start on a real cluster of this machine, every line checked; the cluster stays up",
  },
  generate: { script: ['scripts/generate.ts'], needs: 'npm', about: 'all files that are made from something else' },
  pictures: { script: ['scripts/generate-pictures.ts'], needs: 'npm', about: "the docs' pictures" },
  setup: { script: ['--version'], needs: 'all', about: 'installs what the other commands need' },
  simulate: { script: ['scripts/simulate.ts'], needs: 'npm' },
  test: { script: ['scripts/test.ts'], needs: 'all', about: 'every tier of tests, or those named', takes: tiers },
  'test:long': {
    script: ['scripts/test.ts', '--long'],
    needs: 'all',
    about: 'the same as test, with the full counts of seeded tests',
    takes: tiers,
  },
};

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

class Missing extends Error {}

function say(line) {
  process.stderr.write(`${line}\n`);
}

/** What is installed at the moment, and the program that does it. */
let underWay;

/** Once another program has taken over, its own words are said. */
function sayStopped(signal) {
  say(
    `\n${signal}: stopped${underWay === undefined ? '' : ` in "${underWay.what}"`}. Run again, it goes on from there.`,
  );
  // A terminal tells it by itself, a supervisor does not.
  underWay?.child.kill(signal);
  process.exit(128 + constants.signals[signal]);
}

/** Runs a long command quietly, with a line at least every 8 s, and shows its last words only when it fails. */
async function quietly(what, program, args, options = {}) {
  const started = Date.now();
  say(`· ${what}`);
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  underWay = { what, child };
  let tail = '';
  const keep = (chunk) => {
    tail = (tail + chunk).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const beat = setInterval(() => {
    const last = tail.trim().split('\n').at(-1) ?? '';
    say(`  ${Math.round((Date.now() - started) / 1000)} s: ${last.slice(0, 100)}`);
  }, 8000);
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', resolve);
  });
  clearInterval(beat);
  underWay = undefined;
  if (code !== 0) throw new Missing(`${program} ${args.join(' ')} failed (exit ${code}):\n${tail.trim()}`);
  say(`  done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

async function installDebianPackages() {
  const missing = Object.keys(packages).filter((name) => !existsSync(packages[name]));
  if (missing.length === 0) return;
  if (!existsSync('/usr/bin/apt-get')) {
    throw new Missing(
      `these Debian packages are missing and there is no apt-get to install them: ${missing.join(' ')}`,
    );
  }
  if (process.getuid?.() !== 0) throw new Missing(`run this first, as root: apt-get install ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await quietly('apt-get update', 'apt-get', ['update', '-q'], { env });
  const install = ['install', '-y', '-q', '--no-install-recommends', ...missing];
  await quietly(`apt-get install ${missing.join(' ')}`, 'apt-get', install, { env });
}

async function installNpmPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.fast-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  // Warnings are about the Node that starts it all, such as EBADENGINE; what we run has a Node of its own.
  await quietly('npm ci', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, lock);
}

function atLeast(version, wanted) {
  const numbers = (text) => text.split('.').map(Number);
  const [a, b] = [numbers(version), numbers(wanted)];
  for (let i = 0; i < b.length; i += 1) {
    if ((a[i] ?? 0) !== b[i]) return (a[i] ?? 0) > b[i];
  }
  return true;
}

function requireToolchain(name, args, pattern, wanted, cure) {
  const answer = spawnSync(name, args, { encoding: 'utf8' });
  const version = answer.error === undefined ? pattern.exec(answer.stdout)?.[1] : undefined;
  if (version !== undefined && atLeast(version, wanted)) return;
  const found = version === undefined ? `there is no ${name} on PATH` : `${name} here is ${version}`;
  throw new Missing(`${name} ${wanted} or newer is needed, but ${found}; ${cure}`);
}

function requireToolchains() {
  const goVersion = /^go ([0-9.]+)$/m.exec(readFileSync(goModule, 'utf8'))?.[1] ?? '1.25.0';
  const rustVersion = /^rust-version = "([0-9.]+)"$/m.exec(readFileSync(hostManifest, 'utf8'))?.[1] ?? '1.85.0';
  requireToolchain('go', ['env', 'GOVERSION'], /go([0-9.]+)/, goVersion, 'get it from https://go.dev/dl');
  const rustCure = 'get it by https://rustup.rs, or `rustup update stable`';
  requireToolchain('cargo', ['--version'], /cargo ([0-9.]+)/, rustVersion, rustCure);
}

function handOver(script, args) {
  for (const signal of stopSignals) process.off(signal, sayStopped);
  const bin = join(root, 'node_modules', '.bin');
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  const child = spawn(join(bin, 'node'), [...script, ...args], { cwd: root, stdio: 'inherit', env });
  for (const signal of stopSignals) process.on(signal, () => child.kill(signal));
  child.on('close', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal];
  });
}

/** Whether the words were a question that is answered. */
function answers(name, { about, takes = [] }, args) {
  if (about === undefined) return false;
  const call = `npm run ${name}`;
  const usage = takes.length === 0 ? call : `${call} [-- ${takes.join(' ')}]`;
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${usage}\n  ${about}\n`);
    return true;
  }
  const unknown = args.find((word) => !takes.includes(word));
  if (unknown === undefined) return false;
  const none = takes.length === 0 ? 'it takes no words' : `it takes ${takes.join(', ')}`;
  throw new Missing(`"${unknown}" means nothing to ${call}; ${none}`);
}

async function main() {
  for (const signal of stopSignals) process.on(signal, sayStopped);
  const [name, ...args] = process.argv.slice(2);
  const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
  if (command === undefined) throw new Missing(`no command "${name}"; there are ${Object.keys(commands).join(', ')}`);
  if (answers(name, command, args)) return;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Missing(`this is ${process.platform} on ${process.arch}; Fast is built on Linux on x64`);
  }
  if (command.needs === 'all') {
    if (process.getuid?.() !== 0) throw new Missing('run this as root: it makes network namespaces and loads eBPF');
    requireToolchains();
    await installDebianPackages();
  }
  await installNpmPackages();
  handOver(command.script, args);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  say(`fast: ${error.message}`);
  process.exitCode = 1;
}
