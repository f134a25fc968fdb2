// SPDX-License-Identifier: Apache-2.0
// `npm run bundle`: the operator bundle under olm/ out of config/ and crds/, the catalog under build/catalog, both judged
// by OLM's own code. The same source gives the same bytes. With `--images` also their images, as archives in build/images.
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { packImage } from './build-images.ts';
import { buildAll } from './build.ts';
import { containerTool } from './bundle/container-tool.ts';
import { bundleImage, catalogImage } from './bundle/files.ts';
import { generateBundle, olmFolder } from './generate-bundle.ts';
import { goTool } from './go-tools.ts';
import { interruptible } from './interruptible.ts';
import { buildFolder, run, say } from './steps.ts';

export const bundleFolder = join(olmFolder, 'bundle');
export const catalogFolder = join(buildFolder, 'catalog');

export interface Finding {
  readonly manifest: string;
  readonly level: string;
  readonly text: string;
}

/** What every validator of operator-framework/api has to say of a bundle. */
export async function judgeBundle(validators: string, folder = bundleFolder): Promise<Finding[]> {
  const env = { PATH: `${await containerTool()}${delimiter}${process.env['PATH'] ?? ''}` };
  return JSON.parse(await run(validators, ['bundle', folder], { env })) as Finding[];
}

/** Writes the file-based catalog and lets opm validate it. @throws StepFailed with opm's words */
export async function makeCatalog(validators: string): Promise<void> {
  rmSync(catalogFolder, { recursive: true, force: true });
  mkdirSync(catalogFolder, { recursive: true });
  copyFileSync(join(olmFolder, 'catalog/package.yaml'), join(catalogFolder, 'package.yaml'));
  writeFileSync(join(catalogFolder, 'bundle.yaml'), await run(validators, ['render', bundleFolder, bundleImage]));
  await run(validators, ['catalog', catalogFolder]);
}

async function main(words: readonly string[], signal: AbortSignal): Promise<void> {
  const unknown = words.find((word) => word !== '--images');
  if (unknown !== undefined) throw new Error(`"${unknown}" is not known; npm run bundle [-- --images]`);
  await buildAll(signal);
  const validators = await goTool('olm-validators');
  generateBundle();
  const findings = await judgeBundle(validators);
  for (const { manifest, text } of findings) say(`${manifest}: ${text}`);
  await makeCatalog(validators);
  if (findings.length > 0) throw new Error(`OLM's validators find ${findings.length} faults in olm/bundle`);
  say('olm/bundle and build/catalog: 0 errors, 0 warnings');
  if (words.includes('--images')) {
    await packImage('bundle', bundleImage, join(olmFolder, 'bundle.Containerfile'), olmFolder);
    await packImage('catalog', catalogImage, join(olmFolder, 'catalog.Containerfile'), buildFolder, {
      BASE: 'scratch',
    });
  }
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  await interruptible('npm run bundle', (signal) => main(words, signal));
}
