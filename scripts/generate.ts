// SPDX-License-Identifier: Apache-2.0
// Runs every generator; `--check` only compares.
import './generate-types.ts';
import './generate-layout.ts';
import { generateBundle } from './generate-bundle.ts';
import { generateCliPage } from './generate-cli-page.ts';
import { generateDashboard } from './generate-dashboard.ts';

generateBundle();
generateDashboard();
generateCliPage();
