// SPDX-License-Identifier: Apache-2.0
// What the images are made of, by the lock files, with the licence of each. npm says licences itself; Cargo.lock, go.sum
// and Debian do not, so theirs stand here, and a part without one is an error.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../steps.ts';

export interface Part {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** purl-spec: what scanners look it up by. */
  readonly purl: string;
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const sorted = (parts: readonly Part[]): Part[] => parts.toSorted((a, b) => a.purl.localeCompare(b.purl, 'en'));

interface Locked {
  version?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
  link?: boolean;
}

/** Packages of other platforms are never installed, and types never bundled. */
const isInstalled = (name: string): boolean =>
  !/(?:android|darwin|freebsd|openbsd|win32)-|linux-(?:arm|ia32|loong64|ppc64|riscv64)|biomejs/.test(name) &&
  !name.startsWith('@types/');

/** Everything that may end in a bundle: what package-lock.json has and development alone does not need. */
export function npmParts(): Part[] {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> };
  const parts = Object.entries(packages).flatMap(([path, { version, license, dev, link }]) => {
    const name = path.split('node_modules/').at(-1) ?? '';
    if (!path.startsWith('node_modules/') || dev === true || link === true || !isInstalled(name)) return [];
    if (version === undefined || license === undefined) throw new Error(`${path} has no version or no licence`);
    return [{ name, version, licence: license, purl: `pkg:npm/${name.replace('@', '%40')}@${version}` }];
  });
  return sorted([...new Map(parts.map((part) => [part.purl, part])).values()]);
}

const either = 'MIT OR Apache-2.0';
const crateLicences: Record<string, string> = {
  'allocator-api2': either,
  cc: either,
  equivalent: 'Apache-2.0 OR MIT',
  'find-msvc-tools': either,
  foldhash: 'Zlib',
  hashbrown: either,
  'proc-macro2': either,
  quote: either,
  'relative-path': either,
  rquickjs: 'MIT',
  'rquickjs-core': 'MIT',
  'rquickjs-sys': 'MIT',
  serde_core: either,
  serde_derive: either,
  shlex: either,
  syn: either,
  'unicode-ident': '(MIT OR Apache-2.0) AND Unicode-3.0',
};

const goLicences: Record<string, string> = {
  'github.com/containernetworking/cni': 'Apache-2.0',
  'github.com/containernetworking/plugins': 'Apache-2.0',
  'github.com/coreos/go-iptables': 'Apache-2.0',
  'github.com/mattn/go-shellwords': 'MIT',
  'github.com/pkg/errors': 'BSD-2-Clause',
  'github.com/safchain/ethtool': 'Apache-2.0',
  'github.com/vishvananda/netlink': 'Apache-2.0',
  'github.com/vishvananda/netns': 'Apache-2.0',
  'golang.org/x/sys': 'BSD-3-Clause',
  'sigs.k8s.io/knftables': 'Apache-2.0',
};

/** @throws Error that says where to add it */
function licenceOf(table: Record<string, string>, name: string): string {
  const licence = table[name];
  if (licence === undefined) throw new Error(`the licence of ${name} is not known; add it to scripts/sbom/parts.ts`);
  return licence;
}

/** fast-cni: the crates of its host. */
export function crateParts(): Part[] {
  const crates = [...read('src/cni/host/Cargo.lock').matchAll(/^name = "(.+)"\nversion = "(.+)"$/gm)];
  const parts = crates
    .filter(([, name]) => name !== 'fast-cni')
    .map(([, name = '', version = '']) => {
      return { name, version, licence: licenceOf(crateLicences, name), purl: `pkg:cargo/${name}@${version}` };
    });
  return sorted(parts);
}

/** The plugins that fast-cni runs. */
export function goParts(): Part[] {
  const modules = [...read('images/cni-plugins/go.mod').matchAll(/^\t(\S+) (v\S+)(?: \/\/ indirect)?$/gm)];
  const parts = modules.map(([, name = '', version = '']) => {
    return { name, version, licence: licenceOf(goLicences, name), purl: `pkg:golang/${name}@${version}` };
  });
  return sorted(parts);
}

/** QuickJS is inside rquickjs-sys; the base image's packages are Debian 12's newest when it is built. */
export const baseParts: readonly Part[] = [
  ['base-files', 'GPL-2.0-or-later'],
  ['ca-certificates', 'MPL-2.0 AND GPL-2.0-or-later'],
  ['conntrack', 'GPL-2.0-or-later'],
  ['dash', 'BSD-3-Clause AND GPL-2.0-or-later'],
  ['libbpf1', 'LGPL-2.1-only OR BSD-2-Clause'],
  ['libc6', 'LGPL-2.1-or-later'],
  ['libelf1', 'GPL-2.0-or-later OR LGPL-3.0-or-later'],
  ['libgcc-s1', 'GPL-3.0-or-later WITH GCC-exception-3.1'],
  ['libstdc++6', 'GPL-3.0-or-later WITH GCC-exception-3.1'],
  ['nftables', 'GPL-2.0-only'],
  ['zlib1g', 'Zlib'],
].map(([name = '', licence = '']) => ({
  name,
  version: 'bookworm',
  licence,
  purl: `pkg:deb/debian/${encodeURIComponent(name)}?distro=bookworm`,
}));
