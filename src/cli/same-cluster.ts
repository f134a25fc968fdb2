// SPDX-License-Identifier: Apache-2.0
// Commands that a person is told to run are about the cluster that was looked at: the flags that named it go along.
import type { Check } from './health-check.ts';
import type { ClusterChoice } from './surroundings.ts';

/** Where a command begins, behind which `flags` may stand; `fast-ctl` by itself is only a name. */
const commandBegin = (flags: string): string =>
  String.raw`\b(kubectl${flags}(?= [a-z])|fast-ctl${flags}(?= (?:drops|ipam|links|maps|monitor|status|trace|uninstall)\b))`;
const commands = new RegExp(commandBegin(''), 'g');
/** Of a text in which the flags may stand already. */
export const commandStart = commandBegin(String.raw`(?: --(?:kubeconfig|context) (?:'[^']*'|\S+))*`);

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The text with the flags in each command of it; as it is where the person gave none. */
export function atCluster(text: string, { kubeconfig, context }: ClusterChoice): string {
  const flags = [
    kubeconfig === undefined ? '' : ` --kubeconfig ${quoted(kubeconfig)}`,
    context === undefined ? '' : ` --context ${quoted(context)}`,
  ].join('');
  return flags === '' ? text : text.replaceAll(commands, (name) => `${name}${flags}`);
}

/** The same of all cures. */
export function checksAt(checks: readonly Check[], choice: ClusterChoice): Check[] {
  const cureOf = ({ cure }: { readonly cure?: string }): { cure?: string } =>
    cure === undefined ? {} : { cure: atCluster(cure, choice) };
  return checks.map((check) => ({
    ...check,
    ...cureOf(check),
    ...(check.findings === undefined ? {} : { findings: check.findings.map((one) => ({ ...one, ...cureOf(one) })) }),
  }));
}
