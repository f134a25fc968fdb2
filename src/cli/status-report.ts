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
  readonly cure?: string | undefined;
  readonly names: string[];
}

/** Those of whom the same is to be said share a row. */
function groupsOf(findings: readonly Finding[]): Group[] {
  const groups = new Map<string, Group>();
  for (const { name, says, cure } of findings) {
    const group = groups.get(says);
    if (group === undefined) groups.set(says, { says, cure, names: [name] });
    else group.names.push(name);
  }
  return [...groups.values()];
}

/** kubectl takes several names at once, where the command ends with one. */
function cureOf({ cure, names }: Group, limit: number): string | undefined {
  return cure?.endsWith(` ${names[0]}`) === true ? [cure, ...names.slice(1, limit)].join(' ') : cure;
}

interface Shown {
  readonly rows: readonly string[];
  readonly cures: readonly string[];
}

function shownOf({ findings = [], cure }: Check, isWide: boolean): Shown {
  const limit = isWide ? Infinity : shownAtMost;
  const groups = groupsOf(findings).slice(0, limit);
  const rows = groups.map(({ names, says }) => {
    const named = names.slice(0, limit).join(', ');
    const more = names.length > limit ? ` and ${names.length - limit} more` : '';
    return `${named}${more}: ${isWide || says.length <= messageAtMost ? says : `${says.slice(0, messageAtMost)}…`}`;
  });
  const told = groups.reduce((count, { names }) => count + names.length, 0);
  const named = groups.reduce((count, { names }) => count + Math.min(names.length, limit), 0);
  if (told < findings.length) rows.push(`and ${findings.length - told} more: ${all}`);
  else if (named < told) rows.push(`each by name: ${all}`);
  const cures = [cure, ...groups.map((group) => cureOf(group, limit))].filter((one) => one !== undefined);
  return { rows, cures: [...new Set(cures)] };
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
  // By the cure, since one may be for several rows.
  const cures = new Map<string, string[]>();
  const lines = checks.flatMap((check) => {
    const { what, state, text } = check;
    const shown = shownOf(check, isWide);
    for (const cure of shown.cures) cures.set(cure, [...(cures.get(cure) ?? []), what]);
    const rows = shown.rows.map((row) => `${' '.repeat(width + 6)}${row}`);
    return [`${paint(state, marks[state])}  ${what.padEnd(width)}  ${text}`, ...rows];
  });
  const toDo = [...cures].map(([cure, whats]) => `    ${whats.join(', ')}: ${cure}`);
  return `${[headlineOf(checks, paint), ...lines, ...(toDo.length === 0 ? [] : ['To do:', ...toDo])].join('\n')}\n`;
}
