// SPDX-License-Identifier: Apache-2.0
// Runs every generator; `--check` only compares.
import './generate-types.ts';
import './generate-layout.ts';
import { generateBundle } from './generate-bundle.ts';
import { generateCliPage } from './generate-cli-page.ts';
import { generateDashboard } from './generate-dashboard.ts';
import { generateLicences } from './generate-licences.ts';
import { generatePictures } from './generate-pictures.ts';
import { generateReference } from './generate-reference.ts';

generateBundle();
generateDashboard();
generateCliPage();
generateReference();
generatePictures();
generateLicences();
