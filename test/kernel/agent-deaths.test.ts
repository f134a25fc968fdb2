// SPDX-License-Identifier: Apache-2.0
// The agent dies by SIGKILL right before and right after every step of ADD and DEL; so does fast-cni. The runtime does
// what a kubelet has it do: after a failed ADD it sends DEL and makes a new sandbox, a failed DEL it sends again. Then the
// pod runs, or everything is gone.
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { inside, one, ping, runVariable, testRun } from './agent-node.ts';
import { node, runtime, useRuntime } from './bench.ts';
import { record } from './memory-records.ts';
import type { Order, Word } from './mortal-agent.ts';
import type { RunningPlugin } from './runtime.ts';
import { tracesOf } from './traces.ts';

const address = '10.244.10.0';
const bound = record(address, 'p1');
const releasing = record(address, 'p1', { state: 'Releasing' });
const patienceMs = 10_000;
/** As attach-steps.ts and wire-remover.ts have them; a test below compares. */
const addSteps = 8;
const delSteps = 4;
const moments = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => from + at).flatMap((step) => [
    { step, when: 'before' as const },
    { step, when: 'after' as const },
  ]);

useRuntime();

async function comesTrue(what: string, isTrue: () => boolean): Promise<void> {
  const endMs = performance.now() + patienceMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`${what} did not come true: ${traces().join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const traces = (): string[] => tracesOf(node, address);

async function expectNothingLeft(): Promise<void> {
  await comesTrue('a node without traces', () => traces().length === 0);
  expect(inside('p1', 'ip', '-o', 'link')).not.toContain('eth0');
}

/** A pod that starts at once: its first packet is answered, and the first one to it. */
async function expectRunning(sandbox: string): Promise<void> {
  expect(ping(sandbox, one.nodeAddress, 1).received).toBe(1);
  expect(ping('one', address, 1).received).toBe(1);
  await comesTrue('one wire', () => node.veths().length === 1);
}

describe('the steps', () => {
  it('are as many as are tried here', async () => {
    const begun: string[] = [];
    const stop = node.observe({ begins: (step) => void begun.push(step) });
    node.sandbox('p1');
    node.records.put(bound);
    await node.add('p1', 'p1');
    expect(begun).toHaveLength(addSteps);
    await node.del('p1', 'p1');
    stop();
    expect(begun).toHaveLength(addSteps + delSteps);
    await node.clear();
  });
});

describe('fast-cni that is killed', () => {
  afterEach(() => node.clear());

  /** Kills the plugin at a moment of the agent's work for it. */
  async function killedAt(command: string, sandbox: string, moment: { step: number; when: string }): Promise<void> {
    let [begun, ended] = [0, 0];
    let plugin: RunningPlugin | undefined;
    const kill = (): void => void plugin?.child.kill('SIGKILL');
    const stop = node.observe({
      begins: () => {
        if (moment.when === 'before' && begun === moment.step) kill();
        begun += 1;
      },
      ended: () => {
        if (moment.when === 'after' && ended === moment.step) kill();
        ended += 1;
      },
    });
    plugin = runtime.begin(command, { sandbox, uid: 'p1' });
    await plugin.ended;
    stop();
  }

  it.each(moments(0, addSteps))('$when step $step of its ADD leaves a pod that starts anew', async (moment) => {
    node.sandbox('p1');
    node.sandbox('p1-again');
    node.records.put(bound);
    await killedAt('ADD', 'p1', moment);
    await runtime.succeed('DEL', { sandbox: 'p1', uid: 'p1' });
    await runtime.succeed('ADD', { sandbox: 'p1-again', uid: 'p1' });
    await expectRunning('p1-again');
    await runtime.succeed('DEL', { sandbox: 'p1-again', uid: 'p1' });
    await expectNothingLeft();
  });

  it.each(moments(0, delSteps))('$when step $step of its DEL leaves nothing', async (moment) => {
    node.sandbox('p1');
    node.records.put(bound);
    await runtime.succeed('ADD', { sandbox: 'p1' });
    await killedAt('DEL', 'p1', moment);
    await runtime.succeed('DEL', { sandbox: 'p1' });
    await expectNothingLeft();
  });

  it('while its answer lies there unread leaves what the next DEL takes', async () => {
    node.sandbox('p1');
    node.records.put(bound);
    let plugin: RunningPlugin | undefined;
    const stop = node.observe({ begins: () => void plugin?.child.kill('SIGSTOP') });
    plugin = runtime.begin('ADD', { sandbox: 'p1' });
    await comesTrue('the wire', () => node.wiring.book.list().length === 1);
    stop();
    plugin.child.kill('SIGKILL');
    await plugin.ended;
    await runtime.succeed('DEL', { sandbox: 'p1' });
    await expectNothingLeft();
  });
});

describe('an agent that is killed', () => {
  const running = new Set<ChildProcess>();
  let released: string[] = [];

  // Its own process has the node from here on.
  beforeAll(async () => {
    await runtime.hangUp();
    await node.stop();
  });

  afterEach(async () => {
    for (const child of running) await ended(child);
    released = [];
    node.removeSandboxes();
  });

  afterAll(async () => {
    await node.start();
    await runtime.serve();
  });

  async function start(order: Pick<Order, 'records' | 'dieAt'>): Promise<ChildProcess> {
    const whole: Order = { ...order, pinFolder: node.pinFolder, socket: runtime.socket };
    const env = { ...process.env, [runVariable]: testRun };
    const file = new URL('mortal-agent.ts', import.meta.url).pathname;
    const child = fork(file, [JSON.stringify(whole)], {
      env,
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    running.add(child);
    await new Promise<void>((resolve, reject) => {
      child.on('message', (word: Word) => {
        if (word === 'ready') resolve();
        else released.push(word.released);
      });
      child.once('exit', (code, signal) => {
        running.delete(child);
        reject(new Error(`an agent ended with ${signal ?? code}`));
      });
    });
    return child;
  }

  async function ended(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** Its last words are none: the socket's file is still there. */
  async function died(child: ChildProcess): Promise<void> {
    await comesTrue('the death of the agent', () => child.signalCode === 'SIGKILL');
    expect(existsSync(runtime.socket)).toBe(true);
  }

  /** A pod that goes: the controller says so, and the agent reports the release when nothing is left. */
  async function expectReleased(child: ChildProcess): Promise<void> {
    await ended(child);
    await start({ records: [releasing] });
    await comesTrue('the report of the release', () => released.includes('p1'));
    expect(traces()).toEqual([]);
  }

  it.each(moments(0, addSteps))('$when step $step of ADD wires the pod when it is back', async (dieAt) => {
    node.sandbox('p1');
    node.sandbox('p1-again');
    const mortal = await start({ records: [bound], dieAt });
    const { code } = await runtime.run('ADD', { sandbox: 'p1' });
    await died(mortal);
    // After the last step the answer may be on its way already.
    if (code !== 0) await runtime.succeed('DEL', { sandbox: 'p1' });
    const next = await start({ records: [bound] });
    await runtime.succeed('DEL', { sandbox: 'p1' });
    await runtime.succeed('ADD', { sandbox: 'p1-again', uid: 'p1' });
    await expectRunning('p1-again');
    await runtime.succeed('DEL', { sandbox: 'p1-again', uid: 'p1' });
    await expectNothingLeft();
    await expectReleased(next);
  });

  it.each(moments(addSteps, addSteps + delSteps))('$when step $step (of DEL) leaves nothing', async (dieAt) => {
    node.sandbox('p1');
    const mortal = await start({ records: [bound], dieAt });
    await runtime.succeed('ADD', { sandbox: 'p1' });
    const { code } = await runtime.run('DEL', { sandbox: 'p1' });
    await died(mortal);
    const next = await start({ records: [bound] });
    // A DEL that was answered does not come again.
    if (code !== 0) await runtime.succeed('DEL', { sandbox: 'p1' });
    await expectNothingLeft();
    await expectReleased(next);
  });
});
