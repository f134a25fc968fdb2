// SPDX-License-Identifier: Apache-2.0
// All commands of fast-ctl, and how its failures reach the shell.
import { Command, CommanderError } from 'commander';
import { mapsCommand } from './maps-command.ts';
import type { ReadMap } from './pinned-maps.ts';

/** What a command may touch; tests pass their own. */
export interface Surroundings {
  openMaps: (folder: string) => ReadMap;
  print: (text: string) => void;
  printError: (text: string) => void;
}

/** A subcommand made by itself does not inherit how its parent ends and prints. */
function adopt(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) adopt(child, command);
}

/** Runs one command line, without program and script names, and returns the exit code. */
export async function runCommandLine(args: string[], { openMaps, print, printError }: Surroundings): Promise<number> {
  const program = new Command('fast-ctl')
    .description('Shows what Fast does on this node. Also installed as fastctl.')
    .configureOutput({
      writeOut: print,
      writeErr: printError,
      outputError: (text, write) => write(text.replace(/^error: /, 'fast-ctl: ')),
    })
    .showHelpAfterError('(run it with --help to see how it is used)')
    .exitOverride();
  const maps = mapsCommand(openMaps, print);
  adopt(maps, program);
  program.addCommand(maps);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    // Messages of the kernel and of the codecs carry their cure; a stack would only hide it.
    printError(`fast-ctl: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
