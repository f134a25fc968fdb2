// SPDX-License-Identifier: Apache-2.0
// An agent as a process of its own, which kills itself by SIGKILL right before or right after the step of an ADD or DEL
// that it was told. `node mortal-agent.ts ORDER`; it says "ready" and what it reports of records to its parent.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { AgentNode, endpointOf, one } from './agent-node.ts';
import { Runtime } from './runtime.ts';

export interface Order {
  readonly pinFolder: string;
  readonly socket: string;
  readonly records: IpAllocation[];
  /** Counted from the first step that it takes. */
  readonly dieAt?: { readonly step: number; readonly when: 'before' | 'after' };
}

export type Word = 'ready' | { readonly released: string };

const say = (word: Word): void => void process.send?.(word);

async function main({ pinFolder, socket, records, dieAt }: Order): Promise<void> {
  const node = await AgentNode.adopt(one, [endpointOf(one)], pinFolder, records);
  node.records.on(({ object }) => {
    const released = object.status?.released?.owner.uid;
    if (released !== undefined) say({ released });
  });
  let [begun, ended] = [0, 0];
  const die = (): void => void process.kill(process.pid, 'SIGKILL');
  node.observe({
    begins: () => {
      if (dieAt?.when === 'before' && begun === dieAt.step) die();
      begun += 1;
    },
    ended: () => {
      if (dieAt?.when === 'after' && ended === dieAt.step) die();
      ended += 1;
    },
  });
  await new Runtime(node, socket).serve();
  say('ready');
}

// No agent outlives the test.
process.on('disconnect', () => process.exit(0));
await main(JSON.parse(process.argv[2] ?? '{}') as Order);
