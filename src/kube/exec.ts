// SPDX-License-Identifier: Apache-2.0
// Runs a program in a container, as `kubectl exec` does: a WebSocket whose messages begin with the number of their
// channel (k8s.io/kubelet/pkg/cri/streaming/remotecommand/websocket.go). The last one is a Status with the exit code.
import { type Dispatcher, request, WebSocket } from 'undici';
import type { Access } from './auth.ts';
import { type Attempt, errorOfAnswer, KubeError, type Status } from './errors.ts';
import { dispatcherOf } from './transport.ts';

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export interface ExecStreams {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Ends the connection; the program in the container sees its output closed. */
  readonly signal?: AbortSignal;
}

const channels = { stdout: 1, stderr: 2, status: 3 } as const;
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
/** What a shell says of a program that was ended by SIGINT. */
const interruptedExitCode = 130;

/** The one that runs the program, and one to ask why it was refused. */
const CONNECTIONS = 2;

/**
 * The exit code of the program. `accessOf` is a client's own: a plugin that gives credentials is run once for all.
 * @throws KubeError when it could not be run
 */
export async function execInPod(
  accessOf: () => Promise<Access>,
  target: ExecTarget,
  command: readonly string[],
  streams: ExecStreams,
): Promise<number> {
  const attempt = { verb: 'exec in', target: `pod ${target.namespace}/${target.pod}` };
  const access = await accessOf();
  // The event has been told to others, and comes no second time.
  if (streams.signal?.aborted) return interruptedExitCode;
  const dispatcher = dispatcherOf(access, CONNECTIONS);
  const url = `${access.origin}${access.prefix}${pathOf(target, command)}`;
  const socket = new WebSocket(url.replace(/^http/, 'ws'), { protocols, headers: { ...access.headers }, dispatcher });
  socket.binaryType = 'arraybuffer';
  let isGranted = false;
  socket.addEventListener('open', () => (isGranted = true));
  try {
    return await exitCode(socket, streams);
  } catch (error) {
    // What comes later has its own words; and to ask for more of a node that is off takes its time.
    const refused = isGranted
      ? undefined
      : await refusal(attempt, url, access.headers, dispatcher).catch(() => undefined);
    const because = error instanceof Error ? error.message : String(error);
    throw refused ?? new KubeError('unknown', attempt, because, { cause: error });
  } finally {
    await dispatcher.destroy();
  }
}

function pathOf({ namespace, pod, container }: ExecTarget, command: readonly string[]): string {
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' });
  for (const word of command) query.append('command', word);
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec?${query}`;
}

function exitCode(socket: WebSocket, { stdout, stderr, signal }: ExecStreams): Promise<number> {
  const out = { [channels.stdout]: reader(stdout), [channels.stderr]: reader(stderr) };
  return new Promise((resolve, reject) => {
    signal?.addEventListener('abort', () => {
      // One that is only being made is an error when it is closed.
      resolve(interruptedExitCode);
      socket.close();
    });
    socket.addEventListener('message', ({ data }) => {
      const bytes = new Uint8Array(data as ArrayBuffer);
      const channel = bytes[0] ?? 0;
      if (channel === channels.status) settle(new TextDecoder().decode(bytes.subarray(1)), resolve, reject);
      else out[channel as 1 | 2]?.(bytes.subarray(1));
    });
    socket.addEventListener('error', (event) => reject(new Error(whyNot(event.error, event.message))));
    socket.addEventListener('close', ({ reason }) => reject(new Error(reason || 'the connection ended early')));
  });
}

/** A character may be cut by the end of a message. */
function reader(write: (text: string) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder();
  return (bytes) => write(decoder.decode(bytes, { stream: true }));
}

function settle(text: string, resolve: (code: number) => void, reject: (error: Error) => void): void {
  const status = JSON.parse(text) as Status & { status?: string };
  const code = status.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  if (status.status === 'Success') resolve(0);
  else if (code !== undefined) resolve(Number(code));
  else reject(new Error(status.message ?? text));
}

/**
 * WebSocket tells of a refused handshake only that it failed. The same question without the wish to upgrade is refused for
 * the same reason, in words; where it would have been granted those words are about the upgrade.
 */
async function refusal(
  attempt: Attempt,
  url: string,
  headers: Record<string, string>,
  dispatcher: Dispatcher,
): Promise<KubeError | undefined> {
  const { statusCode, body } = await request(url, { headers, dispatcher, headersTimeout: 5000 });
  const said = (await body.json()) as Status;
  const isGranted = statusCode === 400 && said.message?.includes('pgrade') === true;
  return isGranted || said.message === undefined ? undefined : errorOfAnswer(attempt, statusCode, said);
}

function whyNot(error: unknown, message: string): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${message || 'the connection failed'}${cause}`;
}
