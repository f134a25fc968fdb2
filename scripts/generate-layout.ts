// SPDX-License-Identifier: Apache-2.0
// Writes src/datapath/generated/layout.ts from bpf/*.h, so that the programs and what fills their maps read one text.
// `--check` compares instead of writing.
import { fileURLToPath } from 'node:url';
import { writeOrCompare } from './generated-files.ts';
import { layoutModule } from './layout-module.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

writeOrCompare(`${root}src/datapath/generated/layout.ts`, layoutModule(`${root}bpf`));
