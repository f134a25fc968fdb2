// SPDX-License-Identifier: Apache-2.0
// The commands that pages and cures tell a person to type at night: each is there, and reaches the pod that is meant.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { manifestsOf, ofKind } from '../../scripts/manifests.ts';
import { root } from '../../scripts/steps.ts';
import { agentLogs, agentSelector, controllerLogs, describeAgent } from '../../src/cli/kubectl-lines.ts';
import { buildProgram } from '../../src/cli/program.ts';
import type { Surroundings } from '../../src/cli/surroundings.ts';
import { agentDaemonSet } from '../../src/operator/agent-daemonset.ts';
import { linesFor, linesOf, type PageLine, pages } from './page-lines.ts';

const program = buildProgram({ print: () => undefined, printError: () => undefined } as unknown as Surroundings);

function optionOf(command: Command, flag: string): { takesValue: boolean } | undefined {
  const found = command.options.find(({ short, long }) => flag === short || flag === long);
  if (found !== undefined) return { takesValue: found.required || found.optional };
  if (flag === '--help' || flag === '-h') return { takesValue: false };
  return command.parent === null ? undefined : optionOf(command.parent, flag);
}

/** What fast-ctl would have against the words; words in capitals are for the reader to fill in. */
function problemOf(words: readonly string[]): string | undefined {
  let command = program;
  const values: string[] = [];
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const [flag = ''] = word.split('=');
    const child = command.commands.find((one) => one.name() === word);
    // "`fast-ctl … --node NODE`" is about any command.
    if (word === '…') return undefined;
    if (flag.startsWith('-')) {
      const option = optionOf(command, flag);
      if (option === undefined) return `has no ${flag}`;
      if (option.takesValue && flag === word) at += 1;
    } else if (child !== undefined && values.length === 0) command = child;
    else values.push(word);
  }
  const taken = command.registeredArguments;
  const isMany = taken.at(-1)?.variadic === true;
  if (values.length > taken.length && !isMany) return `takes no "${values[taken.length]}"`;
  const wrong = values.find((value, at) => {
    const { argChoices } = taken[Math.min(at, taken.length - 1)] ?? {};
    return argChoices !== undefined && !argChoices.includes(value) && !/^[A-Z]+$/.test(value);
  });
  return wrong === undefined ? undefined : `knows no "${wrong}"`;
}

const textOf = ({ page, words }: PageLine): string => `${page}: ${words.join(' ')}`;
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `src/${file}`);

describe('a command that a person is told to type', () => {
  it('of fast-ctl is there, with its flags and arguments', () => {
    const lines = linesFor('fast-ctl');
    expect(lines.length).toBeGreaterThan(30);
    const wrong = lines.flatMap((line) => {
      const problem = problemOf(line.words);
      return problem === undefined ? [] : [`${textOf(line)} ← fast-ctl ${problem}`];
    });
    expect(wrong).toEqual([]);
  });

  it('never reads or enters the first pod that comes, which is neither the leader nor the right node', () => {
    const anyPod = /(?:logs|exec)\s[^`'"\n]*\b(?:deploy|deployments?|ds|daemonsets?)\/fast-[a-z-]*/g;
    const texts = [...pages, ...sources, 'scripts/generate-cli-page.ts', 'config/watching/rules.yaml'];
    const wrong = texts.flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(anyPod)].map(([found]) => `${file}: ${found}`),
    );
    expect(wrong).toEqual([]);
  });

  it('gives a field selector only to those commands of kubectl that take one', () => {
    const cures = [agentLogs('NODE'), describeAgent('NODE')].flatMap(linesOf);
    const lines = [...linesFor('kubectl').map(({ words }) => words), ...cures];
    const selecting = lines.filter((words) => words.includes('--field-selector'));
    expect(selecting.length).toBeGreaterThan(2);
    expect(selecting.filter((words) => !['get', 'delete'].includes(words[1] ?? ''))).toEqual([]);
  });

  it('selects pods by the labels that they have', () => {
    const [deployment] = ofKind(manifestsOf('config/controller'), 'Deployment');
    const controller = deployment?.['spec'] as { template: { metadata: { labels: object } } } | undefined;
    const agents = agentDaemonSet({ image: '', args: [], namespace: 'fast-system' }).spec;
    const labels = [controller?.template.metadata.labels ?? {}, agents?.template.metadata?.labels ?? {}]
      .flatMap((each) => Object.entries(each))
      .map((pair) => pair.join('='));
    const lines = [...linesFor('kubectl').map(({ words }) => words), ...linesOf(controllerLogs)];
    const named = [...lines, agentSelector.split(' ')].flatMap((words) => words[words.indexOf('-l') + 1] ?? []);
    const ours = named.filter((selector) => selector.includes('fast-'));
    expect(new Set(ours)).toEqual(new Set(labels));
  });
});
