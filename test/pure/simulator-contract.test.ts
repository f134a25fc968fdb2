// SPDX-License-Identifier: Apache-2.0
// The contract of the API server in memory, told to it; test/api/contract.test.ts tells the same to a real one.
import { expect, it } from 'vitest';
import type { KubeObject } from '../../src/kube/object.ts';
import type { WatchEvent, WatchOptions } from '../../src/kube/watch.ts';
import { nodeKind } from '../../src/operator/kinds.ts';
import { ApiServer } from '../simulator/api-server.ts';
import { type ContractServer, type Story, Told } from '../simulator/contract.ts';
import { ruleStories } from '../simulator/contract-rules.ts';
import { watchStories } from '../simulator/contract-watches.ts';
import { writeStories } from '../simulator/contract-writes.ts';
import type { WatchCursor } from '../simulator/history.ts';
import { MemoryClient, type Network } from '../simulator/memory-client.ts';

/** No network at all: every call arrives at once, and so does its answer. */
const direct: Network = {
  call: async (_attempt, run) => run(),
  stream: (_attempt, open, options) => follow(open, options),
};

async function* follow(open: () => WatchCursor, { signal }: WatchOptions): AsyncGenerator<WatchEvent<KubeObject>> {
  const cursor = open();
  for (;;) {
    const event = cursor.next();
    if (signal?.aborted === true) return;
    if (event !== undefined) yield event;
    else await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function start(): ContractServer {
  const server = new ApiServer(() => Date.UTC(2026, 0, 1));
  const admin = { is: 'admin' } as const;
  server.create(nodeKind, { metadata: { name: 'node-a' } }, admin);
  return {
    admin: new MemoryClient(server, direct, admin),
    controller: new MemoryClient(server, direct, { is: 'controller', name: 'one' }),
    agent: new MemoryClient(server, direct, { is: 'agent', node: 'node-a' }),
    forgetHistory: async () => server.forgetHistory(),
  };
}

it.concurrent.each([...writeStories, ...ruleStories, ...watchStories])('$title', async ({ tell, expected }: Story) => {
  const told = new Told();
  await tell(told, start());
  expect(told.lines).toEqual(expected);
});
