// SPDX-License-Identifier: Apache-2.0
// kube-proxy's mode, changed on a running cluster as an administrator does it: another configuration and a restart. A
// kube-proxy that starts removes the rules of the mode that it is not in.
import { readFileSync, writeFileSync } from 'node:fs';
import { execOnNode } from './cluster.ts';
import type { ProxyMode } from './daemons.ts';
import { apiServiceAddress, configurationFile, kubeProxyConfiguration } from './daemons.ts';
import { endProcesses, markedProcesses } from './marked-processes.ts';
import { waitFor } from './run.ts';
import type { MachinePlan } from './state.ts';
import { readState } from './state.ts';

/** What lists the rules of a mode on a machine. */
const listings: Record<ProxyMode, string[]> = {
  nftables: ['nft', 'list', 'table', 'ip', 'kube-proxy'],
  iptables: ['iptables-save', '-t', 'nat'],
};

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // It has ended since.
  }
}

async function hasRules(machine: string, mode: ProxyMode): Promise<boolean> {
  const { stdout } = await execOnNode(machine, listings[mode]);
  return stdout.includes(`${apiServiceAddress} `) || stdout.includes(`${apiServiceAddress}/32`);
}

async function change(machine: MachinePlan, mode: ProxyMode): Promise<void> {
  const file = configurationFile(machine.name, 'kube-proxy.json');
  writeFileSync(file, JSON.stringify(kubeProxyConfiguration(machine, mode), undefined, 2));
  const running = markedProcesses().filter((one) => commandLine(one.pid).includes(`--config=${file}\0`));
  await endProcesses(running);
  const other = mode === 'nftables' ? 'iptables' : 'nftables';
  await waitFor(`kube-proxy of ${machine.name} in mode ${mode}`, 60_000, async () => {
    const [isThere, isLeft] = await Promise.all([hasRules(machine.name, mode), hasRules(machine.name, other)]);
    return isThere && !isLeft ? true : undefined;
  });
}

/** Restarts every kube-proxy in `mode` and waits until its rules stand and the other mode's are gone. */
export async function setProxyMode(mode: ProxyMode): Promise<void> {
  await Promise.all((readState()?.machines ?? []).map((machine) => change(machine, mode)));
}
