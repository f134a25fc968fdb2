// SPDX-License-Identifier: Apache-2.0
// All commands of fast-ctl, how they are grouped for a person, and how their failures reach the shell.
import { Command, CommanderError, Option } from 'commander';
import { version } from '../api/names.ts';
import { withoutFlags } from './agent-pod.ts';
import { completeCommand, completionCommand, completions } from './completion.ts';
import { dropsCommand } from './drops-command.ts';
import { ipamCommand } from './ipam-command.ts';
import { linksCommand } from './links-command.ts';
import { mapsCommand } from './maps-command.ts';
import { monitorCommand } from './monitor-command.ts';
import { runOnNode } from './node-exec.ts';
import { sayRefused } from './refusal.ts';
import { atCluster } from './same-cluster.ts';
import { statusCommand } from './status-command.ts';
import { suggestionsFor } from './suggestions.ts';
import { traceCommand } from './trace-command.ts';
import { uninstallCommand } from './uninstall-command.ts';
import { sayWhere } from './unreachable.ts';
import { refuseEmpty, unknownIn } from './words.ts';
import { type ClusterChoice, Ended, stoppedExitCode, type Surroundings } from './surroundings.ts';

interface GlobalOptions extends ClusterChoice {
  readonly node?: string;
}

/** The flags that say where a command is run; the fast-ctl on a node gets the others. */
const whereFlags = ['--node', '--kubeconfig', '--context'];

const examples = `
Examples:
  fast-ctl status                                whether all is well, and what to do if not
  fast-ctl maps list local_pod_ips               the pods that this node's kernel knows
  fast-ctl ipam check                            whether records, pods and every node's maps agree
  fast-ctl maps list counters --node worker-1    the same of another machine, through its agent's pod
  fast-ctl trace default/web 10.244.10.1         which way that pod's packets take`;

function datapathCommands(s: Surroundings): Command[] {
  return [mapsCommand(s), dropsCommand(s), monitorCommand(s), linksCommand(s), traceCommand(s)];
}

/** The groups in which the help shows the commands; what looks at a kernel takes --node. */
function commandsOf(s: Surroundings): Array<{ title: string; onNode: boolean; commands: Command[] }> {
  return [
    { title: 'The install:', onNode: false, commands: [statusCommand(s), uninstallCommand(s)] },
    { title: 'Addresses:', onNode: false, commands: [ipamCommand(s)] },
    { title: "A node's datapath (--node NAME for another machine's):", onNode: true, commands: datapathCommands(s) },
    { title: 'This program:', onNode: false, commands: [completionCommand(s.print)] },
  ];
}

/** A subcommand made by itself does not inherit how its parent ends and prints. */
function adopt(command: Command, parent: Command, onNode: boolean): void {
  command.copyInheritedSettings(parent);
  if (onNode && command.commands.length === 0) command.addOption(nodeOption());
  for (const child of command.commands) adopt(child, command, onNode);
}

function nodeOption(): Option {
  return new Option('--node <name>', "look at this node, through its agent's pod, instead of at this machine");
}

export function buildProgram(s: Surroundings): Command {
  const program = new Command('fast-ctl')
    .description('Shows what Fast does, in the cluster and in the kernel of a node. Also installed as fastctl.')
    .version(version, '-V, --version', 'the version of this fast-ctl')
    .option('--kubeconfig <file>', 'the cluster; else $KUBECONFIG, then ~/.kube/config')
    .option('--context <name>', 'a context of the kubeconfig')
    .configureHelp({ showGlobalOptions: true, sortOptions: false })
    .configureOutput({
      writeOut: s.print,
      writeErr: s.printError,
      outputError: (text, write) => write(text.replace(/^error: /, 'fast-ctl: ')),
    })
    .addHelpText('after', examples)
    .showHelpAfterError('(run it with --help to see how it is used)')
    .exitOverride();
  for (const { title, onNode, commands } of commandsOf(s)) {
    for (const command of commands) {
      adopt(command, program, onNode);
      program.addCommand(command.helpGroup(title));
    }
  }
  const complete = new Command(completeCommand).argument('[words...]').allowUnknownOption();
  adopt(complete, program, false);
  program.addCommand(complete, { hidden: true });
  return program;
}

function sentenceOf(error: unknown, isPodAccount: boolean): string {
  if (!(error instanceof Error)) return String(error);
  const refused = sayRefused(error, isPodAccount);
  if (refused !== undefined) return refused;
  const isAlone = 'code' in error && error.code === 'MODULE_NOT_FOUND' && error.message.includes("'koffi'");
  return isAlone
    ? "this fast-ctl has no library beside it to read a kernel's maps; --node NAME looks through an agent's pod"
    : error.message;
}

/** commander's own `help maps set` stops at `maps`. */
function helpAsFlag(args: string[]): string[] {
  return args[0] === 'help' && args.length > 2 ? [...args.slice(1), '--help'] : args;
}

/** Runs one command line, without program and script names, and returns the exit code. */
export async function runCommandLine(args: string[], s: Surroundings): Promise<number> {
  const program = buildProgram(s);
  // Before the words are parsed: they are a line that is not finished.
  if (args[0] === completeCommand) {
    const words = await completions(program, args.slice(1), (kind, choice) => suggestionsFor(kind, s, choice));
    s.print(words.map((word) => `${word}\n`).join(''));
    return 0;
  }
  program.hook('preAction', async (_program, command) => {
    refuseEmpty(command);
    const { node, ...choice } = command.optsWithGlobals<GlobalOptions>();
    if (node === undefined) return;
    throw new Ended(await runOnNode(await s.cluster(choice), node, withoutFlags(args, whereFlags), s));
  });
  try {
    const unknown = args[0] === 'help' ? unknownIn(program, args.slice(1)) : undefined;
    if (unknown !== undefined) program.error(`error: unknown command '${unknown}'`);
    await program.parseAsync(helpAsFlag(args), { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof Ended || error instanceof CommanderError) return error.exitCode;
    const choice = program.opts<ClusterChoice>();
    // Messages of the kernel, of the API server and of the codecs carry their cure; a stack would only hide it.
    const sentence = `${sentenceOf(error, s.usesPodAccount(choice))}${await sayWhere(error, s, choice)}`;
    s.printError(`fast-ctl: ${atCluster(sentence, choice)}\n`);
    return s.stopped.aborted ? stoppedExitCode(s.stopped) : 1;
  }
}
