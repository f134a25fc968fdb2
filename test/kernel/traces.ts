// SPDX-License-Identifier: Apache-2.0
// What of a pod is left on the node `one`: host veths, entries of `local_pod_ips`, routes and neighbours.
import { BpfMap } from 'ebpf-native';
import { mapPins } from '../../src/datapath/pins.ts';
import { type AgentNode, inside } from './agent-node.ts';

export function tracesOf(node: AgentNode, address: string): string[] {
  const map = BpfMap.openPinned(mapPins(node.pinFolder)['local_pod_ips'] ?? '');
  const entries = map.entries().map(([key]) => `entry ${[...key].join('.')}`);
  map.close();
  const lines = ['route', 'neigh'].flatMap((what) => inside('one', 'ip', what).split('\n'));
  return [...node.veths(), ...entries, ...lines.filter((line) => line.startsWith(`${address} `))];
}
