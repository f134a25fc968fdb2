// SPDX-License-Identifier: Apache-2.0
// Runs fast-ctl in the pod of a node's agent. The API server dials the node's kubelet for it, for up to half a minute where
// nobody answers; and it takes the connection before it dials, so that only words from there show that somebody does.
import { installNamespace } from '../api/names.ts';
import { KubeError } from '../kube/errors.ts';
import type { ExecStreams, ExecTarget } from '../kube/exec.ts';
import { agentPodOf } from './agent-pod.ts';
import { type Cluster, stoppedExitCode, type Surroundings } from './surroundings.ts';

/** A node that has said nothing for this long is asked for a sign of life: what it was asked may take its time. */
const quietMs = 3_000;
/** How long that sign may take: a program starts, on a machine that may be busy. */
const signMs = 5_000;

/** Nobody answers at the node. */
export class NodeSilent extends Error {
  constructor(node: string, because: string, cause?: unknown) {
    super(
      `the kubelet of node ${node} does not answer (${because}): is the machine on, and can the API server reach it? ` +
        `kubectl describe node ${node}; on the machine itself fast-ctl needs no kubelet, run as root`,
      { cause },
    );
  }
}

/** What the API server says when it gets no connection to a kubelet; undefined for all other errors. */
function whyNotDialled(error: unknown): string | undefined {
  if (!(error instanceof KubeError)) return undefined;
  // That there is a wrong certificate is a kubelet's answer too; and a webhook that nobody reaches is another machine.
  if (/x509|tls: |failed calling webhook/.test(error.message)) return undefined;
  const [, because] = /dial tcp:? (.+)/.exec(error.message) ?? /error dialing backend: (.+)/.exec(error.message) ?? [];
  return because?.replace(/^(\S+:\d+): (?:connect: )?/, '$1: ');
}

interface Asking {
  /** Called once where the node says nothing for a while. */
  readonly onQuiet?: () => void;
}

/**
 * The exit code of the fast-ctl there. What it has begun to say may take as long as it takes.
 * @throws NodeSilent, or Error that says why no agent can be asked
 */
export async function execOnNode(
  cluster: Pick<Cluster, 'list' | 'exec'>,
  node: string,
  args: readonly string[],
  { stdout, stderr, signal }: ExecStreams & { readonly signal: AbortSignal },
  { onQuiet = () => undefined }: Asking = {},
): Promise<number> {
  const target = { namespace: installNamespace, pod: await agentPodOf(cluster, node), container: 'agent' };
  const ended = new AbortController();
  const silent = new AbortController();
  let isHeard = false;
  const heard = (write: (text: string) => void) => (text: string) => {
    // The API server opens a stream with an empty message of its own.
    isHeard ||= text !== '';
    write(text);
  };
  const listen = async (): Promise<void> => {
    if (!(await passes(quietMs, ended.signal)) || isHeard) return;
    onQuiet();
    if (!(await givesSign(cluster, target, ended.signal)) && !isHeard) silent.abort();
  };
  void listen();
  try {
    const streams = { stdout: heard(stdout), stderr: heard(stderr), signal: AbortSignal.any([signal, silent.signal]) };
    const code = await cluster.exec(target, ['fast-ctl', ...args], streams);
    if (silent.signal.aborted) throw new NodeSilent(node, `nothing within ${(quietMs + signMs) / 1000} s`);
    return code;
  } catch (error) {
    const because = whyNotDialled(error);
    throw because === undefined ? error : new NodeSilent(node, because, error);
  } finally {
    ended.abort();
  }
}

/** For a person who looks at this node: what is said there is said here. */
export async function runOnNode(
  cluster: Pick<Cluster, 'list' | 'exec'>,
  node: string,
  args: readonly string[],
  { print, printError, stopped }: Pick<Surroundings, 'print' | 'printError' | 'stopped'>,
): Promise<number> {
  const code = await execOnNode(cluster, node, args, { stdout: print, stderr: printError, signal: stopped });
  return stopped.aborted ? stoppedExitCode(stopped) : code;
}

/** Whether a program runs there at all. */
async function givesSign(cluster: Pick<Cluster, 'exec'>, target: ExecTarget, ended: AbortSignal): Promise<boolean> {
  const answered = new AbortController();
  const late = new AbortController();
  const signal = AbortSignal.any([ended, late.signal]);
  const none = (): void => undefined;
  const asked = cluster.exec(target, ['fast-ctl', '--version'], { stdout: none, stderr: none, signal });
  void passes(signMs, answered.signal).then((isLate) => isLate && late.abort());
  try {
    await asked;
    return !late.signal.aborted;
  } catch (error) {
    return whyNotDialled(error) === undefined;
  } finally {
    answered.abort();
  }
}

/** Whether the time has passed before the signal came. */
function passes(delayMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), delayMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}
