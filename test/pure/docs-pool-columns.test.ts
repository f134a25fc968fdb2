// SPDX-License-Identifier: Apache-2.0
// Numbers beside each other are added up by whoever reads them; docs/pools.md says where that fails, column by column.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { manifestsOf } from '../../scripts/manifests.ts';
import { root } from '../../scripts/steps.ts';

interface Crd {
  metadata: { name: string };
  spec: { versions: Array<{ additionalPrinterColumns: Array<{ name: string; type: string; priority?: number }> }> };
}

it('explains every number that kubectl get ips shows, and which of them take -o wide', () => {
  const page = readFileSync(join(root, 'docs/pools.md'), 'utf8');
  const told = [...page.matchAll(/^\| ([A-Z]+) \| (.+) \|$/gm)].map(([, name, text]) => [
    name,
    /-o wide/.test(text ?? ''),
  ]);
  const crds = manifestsOf('crds') as unknown as Crd[];
  const [version] = crds.find(({ metadata }) => metadata.name === 'ipses.sample.fast.io')?.spec.versions ?? [];
  const numbers = (version?.additionalPrinterColumns ?? []).filter(({ type }) => type === 'integer');
  expect(told).toEqual(numbers.map(({ name, priority = 0 }) => [name.toUpperCase(), priority > 0]));
});
