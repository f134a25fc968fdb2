// SPDX-License-Identifier: Apache-2.0
// `fast-ctl completion`: what a shell offers after Tab. The shells ask fast-ctl itself, so they never offer what it lacks.
import { Argument, Command } from 'commander';

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
  words_offered=("\${(@f)$("\${words[1]}" ${completeCommand} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- $words_offered
}
compdef _fast_ctl fast-ctl fastctl
`;

/** @param words of the line after the program's name; the last one is what stands before the cursor, maybe empty */
export function completions(program: Command, words: readonly string[]): string[] {
  const before = words.slice(0, -1);
  const started = words.at(-1) ?? '';
  const { command, positional } = walk(program, before);
  const option = command.options.concat(program.options).find(({ long, short }) => flagOf(before) === (long ?? short));
  const shorter = command.options.find(({ short }) => short !== undefined && short === flagOf(before));
  const asked = option ?? shorter;
  const offered =
    asked !== undefined && (asked.required || asked.optional)
      ? (asked.argChoices ?? [])
      : started.startsWith('-')
        ? flagsOf(command, program)
        : [...visible(command), ...(command.registeredArguments[positional]?.argChoices ?? [])];
  return offered.filter((word) => word.startsWith(started)).toSorted();
}

function flagOf(words: readonly string[]): string | undefined {
  const last = words.at(-1);
  return last?.startsWith('-') === true ? last : undefined;
}

/** The command that the words lead to, and how many of its own arguments stand there already. */
function walk(program: Command, words: readonly string[]): { command: Command; positional: number } {
  let command = program;
  let positional = 0;
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word);
    if (next !== undefined) command = next;
    else if (!word.startsWith('-')) positional += 1;
  }
  return { command, positional };
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
