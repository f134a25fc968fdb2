// SPDX-License-Identifier: Apache-2.0
// The program fast-ctl.
import { pinnedMaps } from './pinned-maps.ts';
import { runCommandLine } from './program.ts';

// `fast-ctl maps list | head` closes our stdout before all is written, which is no failure.
process.stdout.on('error', () => process.exit(0));

process.exitCode = await runCommandLine(process.argv.slice(2), {
  openMaps: pinnedMaps,
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
});
