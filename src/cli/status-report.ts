// SPDX-License-Identifier: Apache-2.0
// The lines of `fast-ctl status` as a person reads them: what is amiss by name, few of each kind, with a command for each.
import type { Check, Finding } from './health-check.ts';
import type { Paint } from './tones.ts';

const marks = { good: 'ok', doubtful: '??', bad: '!!' } as const;

/** Of each kind, unless all are asked for. */
const shownAtMost = 3;
/** Characters of a message that a row shows. */
const messageAtMost = 200;
/** Shows what the table leaves out. */
const all = 'fast-ctl status -o wide';

interface Group {
  readonly says: string;
  readonly findings: Finding[];
}

/** Those of whom the same is to be said share a row. */
function groupsOf(findings: readonly Finding[]): Group[] {
  const groups = new Map<string, Group>();
  for (const finding of findings) {
    const { says } = finding;
    const group = groups.get(says);
    if (group === undefined) groups.set(says, { says, findings: [finding] });
    else group.findings.push(finding);
  }
  return [...groups.values()];
}

interface Cure {
  readonly command: string;
  /** What the command ends with, where that is the name of what it is for. */
  readonly name?: string;
}

function curesOf({ findings }: Group, limit: number): Cure[] {
  return findings.slice(0, limit).flatMap(({ name: whole, cure: command }): Cure[] => {
    if (command === undefined) return [];
    const name = whole.split('/').at(-1) ?? '';
    return [command.endsWith(` ${name}`) ? { command, name } : { command }];
  });
}

/** One command of `To do`, with the lines that it is for. */
class Command {
  readonly whats = new Set<string>();
  readonly #names = new Set<string>();
  readonly #head: string;

  constructor(head: string) {
    this.#head = head;
  }

  add(what: string, name: string | undefined): void {
    this.whats.add(what);
    if (name !== undefined) this.#names.add(name);
  }

  toString(): string {
    return [this.#head, ...this.#names].join(' ');
  }
}

/** kubectl takes several names of one namespace at once, where the command ends with one: no name is in two commands alike. */
function toDoOf(cures: ReadonlyArray<Cure & { readonly what: string }>): Command[] {
  const commands = new Map<string, Command>();
  for (const { what, command, name } of cures) {
    const head = name === undefined ? command : command.slice(0, -name.length - 1);
    const key = name === undefined ? command : `${head} …`;
    const known = commands.get(key) ?? new Command(head);
    known.add(what, name);
    commands.set(key, known);
  }
  return [...commands.values()];
}

interface Shown {
  readonly rows: readonly string[];
  readonly cures: readonly Cure[];
}

function shownOf({ findings = [], cure }: Check, isWide: boolean): Shown {
  const limit = isWide ? Infinity : shownAtMost;
  const groups = groupsOf(findings).slice(0, limit);
  const rows = groups.map(({ findings: own, says }) => {
    const named = own
      .slice(0, limit)
      .map(({ name }) => name)
      .join(', ');
    const more = own.length > limit ? ` and ${own.length - limit} more` : '';
    return `${named}${more}: ${isWide || says.length <= messageAtMost ? says : `${says.slice(0, messageAtMost)}…`}`;
  });
  const told = groups.reduce((count, group) => count + group.findings.length, 0);
  const named = groups.reduce((count, group) => count + Math.min(group.findings.length, limit), 0);
  if (told < findings.length) rows.push(`and ${findings.length - told} more: ${all}`);
  else if (named < told) rows.push(`each by name: ${all}`);
  const ofAll = cure === undefined ? [] : [{ command: cure }];
  return { rows, cures: [...ofAll, ...groups.flatMap((group) => curesOf(group, limit))] };
}

function headlineOf(checks: readonly Check[], paint: Paint): string {
  const amiss = checks.filter(({ state }) => state !== 'good');
  const bad = amiss.filter(({ state }) => state === 'bad').length;
  return amiss.length === 0
    ? paint('good', 'Fast is well.')
    : paint(bad > 0 ? 'bad' : 'doubtful', `Fast needs a look: ${bad} wrong, ${amiss.length - bad} doubtful.`);
}

export function formatChecks(checks: readonly Check[], isWide: boolean, paint: Paint): string {
  const width = Math.max(...checks.map(({ what }) => what.length));
  const cures: Array<Cure & { what: string }> = [];
  const lines = checks.flatMap((check) => {
    const { what, state, text } = check;
    const shown = shownOf(check, isWide);
    cures.push(...shown.cures.map((cure) => ({ ...cure, what })));
    const rows = shown.rows.map((row) => `${' '.repeat(width + 6)}${row}`);
    return [`${paint(state, marks[state])}  ${what.padEnd(width)}  ${text}`, ...rows];
  });
  const toDo = toDoOf(cures).map((command) => `    ${[...command.whats].join(', ')}: ${command}`);
  return `${[headlineOf(checks, paint), ...lines, ...(toDo.length === 0 ? [] : ['To do:', ...toDo])].join('\n')}\n`;
}
