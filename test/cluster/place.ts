// SPDX-License-Identifier: Apache-2.0
// A place that traffic comes from: the network of a pod, of a machine, or of a host that is no part of the cluster.
// What is run there is an ordinary program of this host in that network.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execOnNode } from './cluster.ts';
import { kube } from './fast.ts';
import { bridge, insideMachine, onSwitch } from './machine.ts';
import { firstProcess, markedProcesses } from './marked-processes.ts';
import { stateFolder } from './paths.ts';
import type { RunResult } from './run.ts';
import { markedEnvironment, must, run, startDetached, waitFor } from './run.ts';
import type { Answer, Order } from './traffic.ts';

const program = join(import.meta.dirname, 'traffic.ts');

export interface Pinging {
  stop: () => Promise<{ sent: number; lost: number }>;
}

/** What became of the pings. The last one may be on its way when the program is stopped: that is no loss. */
function fatesOf(printed: string): { sent: number; lost: number } {
  const received = new Set([...printed.matchAll(/ seq=(\d+) /g)].map((match) => Number(match[1])));
  const sent = Number(/(\d+) packets transmitted/.exec(printed)?.[1] ?? 0);
  const expected = received.has(sent - 1) ? sent : sent - 1;
  return { sent, lost: expected - received.size };
}

export class Place {
  readonly name: string;
  /** The machine that it is on, or its own name. */
  readonly machine: string;
  /** By these its traffic may be seen where nothing translates it; the first is the one to reach it by. */
  readonly addresses: readonly string[];
  /** What comes before a command that is to run there. */
  readonly #prefix: readonly string[];
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #child: ChildProcess | undefined;
  #orders = 0;

  constructor(name: string, machine: string, addresses: readonly string[], prefix: readonly string[]) {
    this.name = name;
    this.machine = machine;
    this.addresses = addresses;
    this.#prefix = prefix;
  }

  get address(): string {
    return this.addresses[0] ?? '';
  }

  run(argv: readonly string[], timeoutMs = 60_000): Promise<RunResult> {
    return run([...this.#prefix, ...argv], { env: markedEnvironment(this.machine), timeoutMs });
  }

  /** Has one order carried out there. Orders may overlap. */
  ask(order: Order): Promise<Answer> {
    const child = this.#traffic();
    const id = (this.#orders += 1);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      child.stdin?.write(`${JSON.stringify({ id, ...order })}\n`);
    });
  }

  /** Starts a server there, which the end of the cluster ends. */
  serve(): Promise<void> {
    const argv = [...this.#prefix, process.execPath, program, 'serve'];
    return startDetached(this.machine, argv, join(stateFolder, `traffic-${this.name}.log`));
  }

  /** Pings a hundred times a second until it is told to stop. */
  startPings(host: string): Pinging {
    const script = 'busybox ping -i 0.01 "$0" & read -r _; kill -INT $!; wait';
    const [first, ...rest] = [...this.#prefix, 'sh', '-c', script, host];
    const child = spawn(first, rest, { env: markedEnvironment(this.machine), stdio: ['pipe', 'pipe', 'inherit'] });
    let printed = '';
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    const ended = once(child, 'close');
    return {
      stop: async () => {
        child.stdin.end();
        await ended;
        return fatesOf(printed);
      },
    };
  }

  close(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
  }

  #traffic(): ChildProcess {
    if (this.#child !== undefined) return this.#child;
    const [first, ...rest] = [...this.#prefix, process.execPath, program, 'ask'];
    const env = markedEnvironment(this.machine);
    const child = spawn(first, rest, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as Answer & { id: number };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    this.#child = child;
    return child;
  }
}

interface PodView {
  metadata: { uid: string };
  spec: { nodeName: string };
  status: { podIP: string; containerStatuses: Array<{ containerID: string }> };
}

/** A running pod's network, found by its first container's process. */
export async function podPlace(name: string): Promise<Place> {
  const pod = JSON.parse(await kube(['get', 'pod', name, '-o', 'json'])) as PodView;
  const { nodeName } = pod.spec;
  const container = (pod.status.containerStatuses[0]?.containerID ?? '').replace(/^containerd:\/\//, '');
  const { stdout } = await execOnNode(nodeName, ['ctr', '--namespace', 'k8s.io', 'tasks', 'list']);
  const line = stdout.split('\n').find((one) => one.startsWith(container)) ?? '';
  const pid = line.split(/\s+/)[1];
  if (pid === undefined) throw new Error(`pod ${name}: containerd on ${nodeName} knows no task ${container}`);
  const prefix = insideMachine(nodeName, ['nsenter', `--net=/proc/${pid}/ns/net`, '--']);
  return new Place(name, nodeName, [pod.status.podIP], prefix);
}

/** A machine's own network. */
export function machinePlace(machine: string, addresses: readonly string[]): Place {
  return new Place(machine, machine, addresses, insideMachine(machine, []));
}

/** A host on the machines' switch that no Node stands for, made unless it is there. It ends with the cluster. */
export async function strangerPlace(name: string, address: string): Promise<Place> {
  const found = (): number | undefined => markedProcesses().find((one) => one.machine === name)?.pid;
  if (found() === undefined) {
    await startDetached(name, ['unshare', '--net', '--', 'sleep', 'infinity'], join(stateFolder, `${name}.log`));
    const pid = await waitFor(`the process of ${name}`, 5000, found);
    const master = firstProcess('york-master')?.pid ?? 0;
    await waitFor(`the network of ${name}`, 5000, async () => {
      const links = await Promise.all([pid, master].map((one) => must(['readlink', `/proc/${one}/ns/net`])));
      const own = await must(['readlink', '/proc/self/ns/net']);
      return links[0] === own || links[0] === links[1] ? undefined : true;
    });
    await onSwitch(['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid)]);
    await onSwitch(['ip', 'link', 'set', name, 'master', bridge, 'up']);
    const inside = ['nsenter', `--net=/proc/${pid}/ns/net`, '--', 'ip'];
    await must([...inside, 'link', 'set', 'lo', 'up']);
    await must([...inside, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
    await must([...inside, 'link', 'set', 'eth0', 'up']);
  }
  return new Place(name, name, [address], ['nsenter', `--net=/proc/${found() ?? 0}/ns/net`, '--']);
}
