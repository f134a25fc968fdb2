// SPDX-License-Identifier: Apache-2.0
// Which layouts of the maps are pinned on the nodes: after an upgrade the new one alone.
import { execOnNode } from './cluster.ts';

async function layoutsOn(node: string): Promise<string[]> {
  const { stdout } = await execOnNode(node, ['ls', '/sys/fs/bpf/fast']);
  return stdout.split('\n').filter((name) => /^v\d+$/.test(name));
}

/** Whether every one of the nodes has this layout and no other. */
export async function haveLayoutAlone(nodes: readonly string[], version: number): Promise<true | string> {
  for (const node of nodes) {
    const layouts = await layoutsOn(node);
    if (layouts.join() !== `v${version}`) return `${node} has ${layouts.join(', ')}`;
  }
  return true;
}
