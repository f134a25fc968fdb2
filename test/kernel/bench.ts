// SPDX-License-Identifier: Apache-2.0
// The bench of a file of tests: a node with the agent's own parts at work in it, and a runtime where the file wants one.
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { AgentNode, endpointOf, type NodeOptions, one, outsideDown, outsideUp } from './agent-node.ts';
import { Runtime } from './runtime.ts';

/** Both are there when the first test begins. */
export let node: AgentNode;
export let runtime: Runtime;

/** Has the file's tests find `node`, the one node of its network. */
export function useNode(options: NodeOptions = {}): void {
  beforeAll(async () => {
    await outsideUp();
    node = await AgentNode.up(one, [endpointOf(one)], options);
  });
  afterAll(async () => {
    await node?.down();
    outsideDown();
  });
}

/** Has them find `runtime` too, with fast-cni built and the socket of `node` served. */
export function useRuntime(): void {
  useNode();
  beforeAll(async () => {
    runtime = new Runtime(node);
    await runtime.start();
  }, 300_000);
  afterAll(() => runtime?.stop());
}

/** Clears up after each test, and looks whether the agent can. */
export function leaveNothing(): void {
  afterEach(async () => {
    await node.clear();
    expect(node.veths()).toEqual([]);
  });
}
