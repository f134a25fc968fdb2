// SPDX-License-Identifier: Apache-2.0
// The lines of kubectl that pages and cures tell a person to type, held against kubectl's own help.
import { beforeAll, expect, it } from 'vitest';
import { agentLogs, controllerLogs, deleteAgent, describeAgent } from '../../src/cli/kubectl-lines.ts';
import { ensureKubernetes } from '../cluster/kubernetes.ts';
import { programPath } from '../cluster/paths.ts';
import { run } from '../cluster/run.ts';
import { linesFor, linesOf, type PageLine } from '../pure/page-lines.ts';

const cures = [agentLogs('NODE'), controllerLogs, deleteAgent('NODE'), describeAgent('NODE')];
/** Commands that have commands of their own. */
const groups = ['auth', 'rollout'];
const help = new Map<string, string>();

beforeAll(() => ensureKubernetes(() => undefined));

/** Of the verb, with the flags that all verbs have. */
async function helpOf(verb: string): Promise<string> {
  const known = help.get(verb);
  if (known !== undefined) return known;
  const kubectl = programPath('kubectl');
  const { code, stdout } = await run([kubectl, ...verb.split(' '), '--help']);
  const text = code === 0 ? `${stdout}${(await run([kubectl, 'options'])).stdout}` : '';
  help.set(verb, text);
  return text;
}

async function problemOf({ page, words }: PageLine): Promise<string | undefined> {
  const [, first = '', second = ''] = words;
  const text = await helpOf(groups.includes(first) ? `${first} ${second}` : first);
  // `kubectl --help` lists all verbs, and has no usage of one.
  if (!text.includes(`kubectl ${first}`)) return `${page}: kubectl has no ${first}`;
  const flags = words.slice(1).flatMap((word) => /^--?[a-z][a-z-]*/.exec(word) ?? []);
  const strange = flags.find((flag) => !new RegExp(`(?:^|[\\s,])${flag}[,=\\s]`, 'm').test(text));
  return strange === undefined ? undefined : `${page}: kubectl ${first} has no ${strange} (${words.join(' ')})`;
}

it('every line of kubectl is one that kubectl takes', async () => {
  const lines = [...linesFor('kubectl'), ...cures.flatMap(linesOf).map((words) => ({ page: 'a cure', words }))];
  // A bare `kubectl` is spoken of, not typed.
  const typed = lines.filter(({ words }) => words.length > 1);
  expect(typed.length).toBeGreaterThan(50);
  const problems: string[] = [];
  for (const line of typed) problems.push(...[(await problemOf(line)) ?? []].flat());
  expect(problems).toEqual([]);
});

it('whether an account may exec is asked of the subresource, not of a pod that is called exec', async () => {
  const { stdout } = await run([programPath('kubectl'), 'auth', 'can-i', '--help']);
  expect(stdout).toContain('--subresource');
  const asked = linesFor('kubectl').filter(({ words }) => words.includes('can-i'));
  expect(asked.map(({ words }) => words.includes('--subresource=exec'))).toEqual([true]);
});
