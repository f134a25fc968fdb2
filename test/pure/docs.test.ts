// SPDX-License-Identifier: Apache-2.0
// What the pages say against what there is: reasons, conditions, knobs, rights, links, and the two languages of the README.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Manifest, manifestsOf } from '../../scripts/manifests.ts';
import { root } from '../../scripts/steps.ts';
import { nodePool, removedCondition } from '../../src/api/names.ts';
import { directCondition } from '../../src/datapath/way.ts';
import { knownKeys } from '../../src/api/knobs.ts';
import { nodesCondition, servicesCondition } from '../../src/reconcilers/pool-status.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const sources = ['src/reconcilers', 'src/operator', 'src/node', 'src/wiring']
  .flatMap((folder) => readdirSync(join(root, folder)).map((file) => read(join(folder, file))))
  .join('\n');

/** The first cells of a table's rows that hold code, below a heading. */
function firstCells(page: string, heading: string): string[] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? '');
}

function sorted(words: Iterable<string>): string[] {
  return [...new Set(words)].toSorted();
}

describe('the reference', () => {
  const page = read('docs/reference.md');

  it('has every reason that the code gives, and none that it does not', () => {
    const given = [...sources.matchAll(/reason: '([A-Z]\w+)'|note\('\w+', \w+, '([A-Z]\w+)'/g)];
    const events = [...sources.matchAll(/'([A-Z][a-z]+[A-Z]\w+)',\n? *why/g)].map((match) => match[1] ?? '');
    const found = given.map((match) => match[1] ?? match[2] ?? '');
    expect(sorted(firstCells(page, 'Reasons'))).toEqual(sorted([...found, ...events]));
  });

  it('has every condition', () => {
    const section = page.split('\n## Conditions\n')[1]?.split('\n## ')[0] ?? '';
    const named = [...section.matchAll(/^\| \w+ \| `(\w+)` \|/gm)].map((match) => match[1] ?? '');
    const ofPools = [...sources.matchAll(/type(?:: | = )'([A-Z]\w+)'/g)].map((match) => match[1] ?? '');
    const known = ofPools.filter((type) => !['Warning', 'Normal', 'RollingUpdate', 'DirectoryOrCreate'].includes(type));
    expect(sorted(named)).toEqual(
      sorted([
        ...known,
        'DatapathReady',
        'FastPath',
        directCondition,
        removedCondition,
        servicesCondition,
        nodesCondition,
      ]),
    );
  });
});

describe('the knobs', () => {
  const keys = knownKeys.filter((key) => key !== nodePool);

  it('are all in the page for operators', () => {
    expect(sorted(firstCells(read('docs/operating.md'), 'Knobs'))).toEqual(sorted(knownKeys));
  });

  it('are all in the overlay, each with a comment', () => {
    const overlay = read('config/overlays/knobs/kustomization.yaml');
    for (const key of keys) expect(overlay).toMatch(new RegExp(`# .+\\n        ${key}:`));
  });
});

interface Rule {
  resources: string[];
  verbs: string[];
}

describe('the page on security', () => {
  it('argues every right of both programs, one by one', () => {
    const roles = manifestsOf('config/rbac').filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role');
    const granted = roles.flatMap((role) => role['rules'] as Rule[]);
    const rights = granted.map(({ resources, verbs }) => `\`${verbs.join(', ')}\` ${resources.join(', ')}`);
    const rows = [...read('docs/security.md').matchAll(/^\| (`[a-z, ]+` [a-z/, ]+) \| .+ \|$/gm)];
    expect(sorted(rows.map((match) => match[1] ?? ''))).toEqual(sorted(rights));
  });
});

const pages = ['README.md', 'README.zh-CN.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].concat(
  readdirSync(join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
);

describe('the pages', () => {
  it('link to files that are there', () => {
    const dead = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !existsSync(join(root, dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(dead).toEqual([]);
  });

  it('name only folders of config/ that kubectl can apply', () => {
    const named = pages.flatMap((page) =>
      [...read(page).matchAll(/-k (config\/[\w/-]+)/g)].map((match) => match[1] ?? ''),
    );
    expect(sorted(named).filter((folder) => !existsSync(join(root, folder, 'kustomization.yaml')))).toEqual([]);
  });

  it('have the same blocks in both languages of the README', () => {
    const blocks = (page: string): string[] => read(page).match(/^```[\s\S]*?^```$/gm) ?? [];
    expect(blocks('README.zh-CN.md')).toEqual(blocks('README.md'));
    const headings = (page: string): number => (read(page).match(/^##? /gm) ?? []).length;
    expect(headings('README.zh-CN.md')).toBe(headings('README.md'));
  });
});

describe('the examples', () => {
  it('of config/samples are of our kinds, and the one that people apply is a pool', () => {
    const applied: Manifest[] = manifestsOf('config/samples');
    const shown = manifestsOf('config/samples/written-by-fast');
    expect(applied.map(({ kind }) => kind)).toEqual(['Ips']);
    expect(shown.map(({ kind }) => kind)).toEqual(['IpAllocation', 'NodeEndpoint']);
    for (const { apiVersion } of [...applied, ...shown]) expect(apiVersion).toBe('sample.fast.io/v1alpha1');
  });
});
