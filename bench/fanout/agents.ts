// SPDX-License-Identifier: Apache-2.0
// Some agents' informers in one process, with what they hear and receive counted. Several such processes make the fifty
// agents, so that none of them is the bottleneck of what it measures.
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { Informer } from '../../src/kube/informer.ts';
import { silentLog } from '../../src/kube/log.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { agentInformers } from '../../src/node/informers.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { serve } from '../hollow/child.ts';

/** What an agent watches: `own` as Fast's agent does, `all` every record of the cluster. */
export type Way = 'own' | 'all';

/** Summed over the agents of this process, since its start. */
export interface Heard {
  readonly events: number;
  /** Bytes of HTTP as they come out of TLS. */
  readonly bytes: number;
}

type Reads = Pick<KubeClient, 'pages' | 'watch'>;
type AnyInformer = Pick<Informer<KubeObject>, 'start' | 'stop' | 'synced' | 'size'>;

const syncTimeoutMs = 120_000;

let events = 0;
let closedBytes = 0;
const sockets = new Set<Socket>();

subscribe('undici:client:connected', (message) => {
  const { socket } = message as { socket: Socket };
  sockets.add(socket);
  socket.once('close', () => {
    sockets.delete(socket);
    closedBytes += socket.bytesRead;
  });
});

function receivedBytes(): number {
  return closedBytes + [...sockets].reduce((sum, socket) => sum + socket.bytesRead, 0);
}

/** The client with every event of a watch counted. Bookmarks are the watch's own and no change of anything. */
function counted(client: KubeClient): Reads {
  return {
    pages: (...words) => client.pages(...words),
    async *watch(...words) {
      for await (const event of client.watch(...words)) {
        if (event.type !== 'BOOKMARK') events += 1;
        yield event;
      }
    },
  };
}

/** For events alone: a list of 30,000 records per agent would tell nothing more of them. */
function withoutList(reads: Reads, resourceVersion: string): Reads {
  return {
    async *pages() {
      yield { items: [], resourceVersion };
    },
    async *watch(r, options) {
      if (options.resourceVersion === undefined) {
        throw new KubeError('invalid', { verb: 'list', target: r.plural }, 'no list is streamed here');
      }
      yield* reads.watch(r, options);
    },
  };
}

/** An agent that watches every record. What it would watch besides is left out, in its favour. */
function allRecords(client: Reads): AnyInformer {
  return new Informer({ client, resource: recordKind });
}

const clients: KubeClient[] = [];
const running: AnyInformer[] = [];

function newClient(kubeconfig: string): KubeClient {
  const client = connect({ fieldManager: 'fast-agent', kubeconfig });
  clients.push(client);
  return client;
}

async function startAll(informers: readonly AnyInformer[]): Promise<void> {
  running.push(...informers);
  for (const informer of informers) informer.start();
  await Promise.all(informers.map((informer) => informer.synced(syncTimeoutMs)));
}

async function stop(): Promise<void> {
  await Promise.all(running.splice(0).map((informer) => informer.stop()));
  await Promise.all(clients.splice(0).map((client) => client.close()));
}

/** One agent per node of `nodes`, each with connections of its own, as on machines of their own. */
async function start({
  kubeconfig,
  way,
  nodes,
  from,
}: {
  kubeconfig: string;
  way: Way;
  nodes: readonly string[];
  from: string;
}): Promise<void> {
  for (const node of nodes) {
    const reads = counted(newClient(kubeconfig));
    if (way === 'own') await startAll(Object.values(agentInformers(reads, node, silentLog)) as AnyInformer[]);
    else await startAll([allRecords(withoutList(reads, from))]);
  }
}

function usedHeapMb(): number {
  // Twice: what the first leaves to finalizers the second takes.
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
}

/** What one agent lists at its start: bytes, and the heap that its informers keep. */
async function listOnce({
  kubeconfig,
  way,
  node,
}: {
  kubeconfig: string;
  way: Way;
  node: string;
}): Promise<{ bytes: number; heapMb: number; objects: number }> {
  const client = newClient(kubeconfig);
  // The connection, the code that parses, the first growth of the heap: none of them is the lists'.
  await client.list(recordKind, { fieldSelector: `spec.nodeName=${node}` });
  const before = { bytes: receivedBytes(), heapMb: usedHeapMb() };
  const informers =
    way === 'own' ? (Object.values(agentInformers(client, node, silentLog)) as AnyInformer[]) : [allRecords(client)];
  await startAll(informers);
  const bytes = receivedBytes() - before.bytes;
  const heapMb = usedHeapMb() - before.heapMb;
  const objects = informers.reduce((sum, informer) => sum + informer.size, 0);
  await stop();
  return { bytes, heapMb, objects };
}

const methods = {
  start,
  stop,
  listOnce,
  heard: async (): Promise<Heard> => ({ events, bytes: receivedBytes() }),
};

export type AgentMethods = typeof methods;

serve(methods);
