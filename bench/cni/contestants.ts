// SPDX-License-Identifier: Apache-2.0
// The three ways to give a pod its interface, each as a runtime calls it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildFolder } from '../../scripts/steps.ts';
import type { AgentMachine, Sandbox } from '../../test/api/agent-machine.ts';
import type { PluginCall } from './plugin.ts';

/** Where Debian's containernetworking-plugins are. */
const debian = '/usr/lib/cni';

export const contestantNames = ['fast', 'ptp', 'bridge'] as const;
export type ContestantName = (typeof contestantNames)[number];

/** One pod's sandbox in one of its lives: a runtime never uses a container id twice. */
export interface Life {
  readonly sandbox: Sandbox;
  readonly life: number;
}

export interface Contestant {
  readonly name: ContestantName;
  readonly call: (command: 'ADD' | 'DEL' | 'VERSION', life: Life) => PluginCall;
}

function ipam(folder: string, subnet: string): object {
  return {
    type: 'host-local',
    dataDir: join(folder, 'leases'),
    ranges: [[{ subnet }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
}

function configurations(machine: AgentMachine): Record<ContestantName, object> {
  const common = { cniVersion: '1.0.0' };
  const { folder, socket } = machine;
  const mtu = 1450;
  return {
    fast: { ...common, name: 'fast', type: 'fast-cni', socket },
    ptp: { ...common, name: 'bench-ptp', type: 'ptp', mtu, ipam: ipam(folder, '10.98.0.0/16') },
    bridge: {
      ...common,
      name: 'bench-bridge',
      type: 'bridge',
      bridge: 'bench0',
      isGateway: true,
      mtu,
      ipam: ipam(folder, '10.99.0.0/16'),
    },
  };
}

export function contestants(machine: AgentMachine): Contestant[] {
  const folder = join(machine.folder, 'calls');
  mkdirSync(folder);
  return contestantNames.map((name) => {
    const stdin = join(folder, `${name}.json`);
    writeFileSync(stdin, JSON.stringify(configurations(machine)[name]));
    const path = name === 'fast' ? join(buildFolder, 'fast-cni') : join(debian, name);
    const call: Contestant['call'] = (command, { sandbox, life }) => ({
      path,
      stdin,
      stdout: join(folder, `${name}-${sandbox.name}.out`),
      variables: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: `${name}-${sandbox.name}-${life}`,
        CNI_NETNS: sandbox.netns,
        CNI_IFNAME: 'eth0',
        CNI_PATH: debian,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${sandbox.name};K8S_POD_UID=${sandbox.name}`,
      },
    });
    return { name, call };
  });
}
