// SPDX-License-Identifier: Apache-2.0
// A container runtime in small: it runs the built fast-cni, which asks the agent's own parts in an AgentNode.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCni } from '../../scripts/build-cni.ts';
import { buildFolder } from '../../scripts/steps.ts';
import { silentLog } from '../../src/kube/log.ts';
import { Requests } from '../../src/node/requests.ts';
import { SocketServer } from '../../src/node/socket-server.ts';
import { type AgentNode, netnsPath } from './agent-node.ts';

export const program = join(buildFolder, 'fast-cni');

export interface Ended {
  /** null where a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CniFailure {
  cniVersion: string;
  code: number;
  msg: string;
  details: string;
}

/** What the runtime reads of a failure; throws where stdout is none. */
export function failureOf(ended: Ended): CniFailure {
  if (ended.code !== 1) throw new Error(`exit code ${ended.code}: ${ended.stdout}${ended.stderr}`);
  return JSON.parse(ended.stdout) as CniFailure;
}

export interface RunningPlugin {
  child: ChildProcess;
  ended: Promise<Ended>;
}

/** Starts the executable with nothing but `variables` in its environment. */
export function startPlugin(
  variables: Record<string, string>,
  stdin: string | Buffer,
  path = program,
  words: readonly string[] = [],
): RunningPlugin {
  const child = spawn(path, words, { env: variables, stdio: ['pipe', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  // It may end before it has read all.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  child.stdin.end(stdin);
  return { child, ended };
}

export interface Call {
  /** The sandbox's name, of which the container id is made; `sandbox()` of the node made it. */
  sandbox?: string;
  /** The pod's uid and name. */
  uid?: string;
  version?: string;
  /** Instead of those that a runtime sets; undefined takes one away. */
  variables?: Record<string, string | undefined>;
  /** Beside what every configuration has; undefined takes one away. */
  configuration?: Record<string, unknown>;
  /** In place of a configuration. */
  stdin?: string;
}

/** The variables of a runtime for one pod. */
export function variablesFor(command: string, sandbox: string, uid: string): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: `container-${sandbox}`,
    CNI_NETNS: netnsPath(sandbox),
    CNI_IFNAME: 'eth0',
    CNI_PATH: buildFolder,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${uid};K8S_POD_UID=${uid}`,
  };
}

export class Runtime {
  readonly #folder: string | undefined;
  readonly socket: string;
  readonly #node: AgentNode;
  #server: SocketServer | undefined;

  /** Without a socket's path it makes a folder for one. */
  constructor(node: AgentNode, socket?: string) {
    this.#node = node;
    this.#folder = socket === undefined ? mkdtempSync(join(tmpdir(), 'fagent-runtime-')) : undefined;
    this.socket = socket ?? join(this.#folder ?? '', 'agent.sock');
  }

  /** Builds fast-cni where it is not current, and has the agent's socket served. */
  async start(): Promise<void> {
    await buildCni();
    await this.serve();
  }

  async serve(): Promise<void> {
    const { attachments, unavailable } = this.#node.wiring;
    const requests = new Requests({ attachments, unavailable, log: silentLog });
    this.#server = new SocketServer({
      path: this.socket,
      handle: (request, gone) => requests.handle(request, gone),
      undelivered: (request, response) => requests.undelivered(request, response),
      log: silentLog,
    });
    await this.#server.start();
  }

  /** The agent goes away. */
  async hangUp(): Promise<void> {
    await this.#server?.stop(1000);
    this.#server = undefined;
  }

  async stop(): Promise<void> {
    await this.hangUp();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true });
  }

  begin(command: string, call: Call = {}): RunningPlugin {
    const { sandbox = 'p1', uid = sandbox, version = '1.1.0' } = call;
    const variables = { ...variablesFor(command, sandbox, uid), ...call.variables };
    const set = Object.entries(variables).filter((pair): pair is [string, string] => pair[1] !== undefined);
    const configuration = {
      cniVersion: version,
      name: 'fast',
      type: 'fast-cni',
      socket: this.socket,
      ...call.configuration,
    };
    return startPlugin(Object.fromEntries(set), call.stdin ?? JSON.stringify(configuration));
  }

  /** Runs a command to its end. */
  run(command: string, call: Call = {}): Promise<Ended> {
    return this.begin(command, call).ended;
  }

  /** Runs a command that must succeed; its result, or undefined for silence. */
  async succeed(command: string, call: Call = {}): Promise<Record<string, unknown> | undefined> {
    const { code, stdout, stderr } = await this.run(command, call);
    if (code !== 0) throw new Error(`${command}: exit code ${code}: ${stdout}${stderr}`);
    return stdout === '' ? undefined : (JSON.parse(stdout) as Record<string, unknown>);
  }
}
