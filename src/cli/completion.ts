// SPDX-License-Identifier: Apache-2.0
// `fast-ctl completion`: what a shell offers after Tab. The shells ask fast-ctl itself, so they never offer what it lacks.
import { Argument, Command, type Option } from 'commander';
import type { Kind } from './suggestions.ts';
import type { ClusterChoice } from './surroundings.ts';

/** The hidden command that the shells run, with the words of the line up to the cursor. */
export const completeCommand = '__complete';

const bash = `# fast-ctl completion for bash: source <(fast-ctl completion bash)
_fast_ctl() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" ${completeCommand} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _fast_ctl fast-ctl fastctl
`;

const zsh = `#compdef fast-ctl fastctl
# fast-ctl completion for zsh: source <(fast-ctl completion zsh)
_fast_ctl() {
  local -a words_offered
  words_offered=(\${(f)"$("\${words[1]}" ${completeCommand} "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#words_offered )); then compadd -- $words_offered; else _files; fi
}
compdef _fast_ctl fast-ctl fastctl
`;

/** What takes a value that only the cluster or the kubeconfig knows. */
const kindOfOption: Readonly<Record<string, Kind>> = {
  '--context': 'contexts',
  '--node': 'nodes',
  '--without': 'nodes',
};
const kindOfArgument: Readonly<Record<string, Kind>> = { pool: 'pools', pod: 'pods', destination: 'pods' };

export type Suggest = (kind: Kind, choice: ClusterChoice) => Promise<string[]>;

/** @param words of the line after the program's name; the last one is what stands before the cursor, maybe empty */
export async function completions(program: Command, words: readonly string[], suggest: Suggest): Promise<string[]> {
  const started = words.at(-1) ?? '';
  const { command, positional, choice, open } = walk(program, words.slice(0, -1));
  const ask = async (kind: Kind | undefined): Promise<string[]> => (kind === undefined ? [] : suggest(kind, choice));
  const offer = async (): Promise<readonly string[]> => {
    if (open !== undefined) return open.argChoices ?? ask(kindOfOption[open.long ?? '']);
    if (started.startsWith('-')) return flagsOf(command, program);
    const argument = command.registeredArguments[positional];
    return [...visible(command), ...(argument?.argChoices ?? (await ask(kindOfArgument[argument?.name() ?? ''])))];
  };
  return [...new Set(await offer())].filter((word) => word.startsWith(started)).toSorted();
}

interface Walked {
  readonly command: Command;
  /** How many of its own arguments stand there already. */
  readonly positional: number;
  readonly choice: ClusterChoice;
  /** The option whose value comes next. */
  readonly open?: Option;
}

/** Where the words lead. */
function walk(program: Command, words: readonly string[]): Walked {
  let command = program;
  let positional = 0;
  let open: Option | undefined;
  const choice: { kubeconfig?: string; context?: string } = {};
  const choose = (long: string | undefined, value: string): void => {
    if (long === '--kubeconfig') choice.kubeconfig = value;
    if (long === '--context') choice.context = value;
  };
  for (const word of words) {
    if (word.startsWith('-')) {
      const [flag = '', ...value] = word.split('=');
      const option = [...command.options, ...program.options].find(
        ({ long, short }) => flag === long || flag === short,
      );
      open = value.length === 0 && (option?.required === true || option?.optional === true) ? option : undefined;
      if (value.length > 0) choose(flag, value.join('='));
      continue;
    }
    if (open !== undefined) {
      choose(open.long, word);
      if (!open.variadic) open = undefined;
      continue;
    }
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) positional += 1;
    else command = next;
  }
  return { command, positional, choice, ...(open === undefined ? {} : { open }) };
}

const isShown = (command: Command): boolean => !command.name().startsWith('__');

function visible(command: Command): string[] {
  return command.commands.filter(isShown).map((one) => one.name());
}

function flagsOf(command: Command, program: Command): string[] {
  const all = [...command.options, ...program.options].flatMap(({ long }) => long ?? []);
  return [...new Set([...all, '--help'])];
}

export function completionCommand(print: (text: string) => void): Command {
  return new Command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'the shell that reads it').choices(['bash', 'zsh']))
    .addHelpText('after', '\nFor this shell:   source <(fast-ctl completion bash)')
    .action((shell: string) => print(shell === 'bash' ? bash : zsh));
}
