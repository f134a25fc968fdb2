// SPDX-License-Identifier: Apache-2.0
// Runs every generator; `--check` only compares. The first two write modules that others are made from: those are loaded
// when they are written, or a change would take two runs.
import './generate-types.ts';
import './generate-layout.ts';

const { generateBundle } = await import('./generate-bundle.ts');
const { generateCliPage } = await import('./generate-cli-page.ts');
const { generateDashboard } = await import('./generate-dashboard.ts');
const { generateLicences } = await import('./generate-licences.ts');
const { generatePictures } = await import('./generate-pictures.ts');
const { generateReference } = await import('./generate-reference.ts');

generateBundle();
generateDashboard();
generateCliPage();
generateReference();
generatePictures();
generateLicences();
