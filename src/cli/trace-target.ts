// SPDX-License-Identifier: Apache-2.0
// What a trace says of a Service: that kube-proxy rewrites its address, to which backends, and which one is followed.
import { isAddress, parseAddress } from '../ip/address.ts';
import {
  type Backend,
  backendsOf,
  clusterAddressOf,
  nameOf,
  protocolOf,
  type Service,
  serviceByAddress,
} from './backends.ts';
import { servicesIn } from './services.ts';
import type { Cluster } from './surroundings.ts';
import type { Rewritten, Step } from './trace-steps.ts';

type Reader = Pick<Cluster, 'list' | 'find'>;

/** Names beyond these are counted, not listed. */
const maxNamed = 5;

export interface Target {
  readonly address: string;
  readonly port: number;
  /** What is followed where the address is a Service's. */
  readonly backend?: Rewritten;
  /** What there is to say of the Service, in place of the stack's own step. */
  readonly said: readonly Step[];
  /** Nothing is known of the way behind kube-proxy. */
  readonly isEnd: boolean;
  /** Whether the address is a Service's nobody could say. */
  readonly isDoubtful?: boolean;
}

export interface Wish {
  readonly protocol: string;
  /** As the person gave it. */
  readonly port?: number;
  /** ADDRESS, ADDRESS:PORT, or a pod as NAMESPACE/NAME. */
  readonly backend?: string;
  /** The sender's. */
  readonly node?: string;
}

export const defaultPort = 80;
const where = 'kube-proxy';
const service = (what: string, more: Partial<Step> = {}): Step => ({ kind: 'service', where, what, ...more });

/** Of an address that no pod's record led to. Who may not ask is told so, and the trace goes on. */
export async function targetAt(address: string, wish: Wish, cluster: () => Promise<Reader>): Promise<Target> {
  const plain = { address, port: wish.port ?? defaultPort, said: [], isEnd: false };
  const followed = wish.backend === undefined ? undefined : rewrittenTo(wish.backend, plain.port);
  try {
    const reader = await cluster();
    const found = await serviceByAddress(reader, address);
    if (found !== undefined) return await targetOf(found, wish, reader);
    if (wish.backend !== undefined && followed === undefined) {
      const cure = 'write ADDRESS or ADDRESS:PORT, or leave it out';
      throw new WrongBackend(`--backend is "${wish.backend}", and ${address} is no Service's; ${cure}`);
    }
    if (followed === undefined && (await isNobodys(address, reader))) {
      const what = `${address} is an address for Services, and no Service has it: nothing rewrites it, and nobody answers; kubectl get services -A`;
      return { ...plain, said: [service(what)], isEnd: true };
    }
    return { ...plain, ...(followed === undefined ? {} : { backend: followed }) };
  } catch (error) {
    if (error instanceof WrongBackend) throw error;
    if (followed !== undefined) return { ...plain, backend: followed };
    const why = error instanceof Error ? error.message : String(error);
    if (wish.backend !== undefined) {
      throw new WrongBackend(
        `--backend is "${wish.backend}", which is no ADDRESS or ADDRESS:PORT, and what it names was not to be asked: ${why}`,
      );
    }
    const cure = 'name the pod as NAMESPACE/NAME where a kubeconfig may read services, or give --backend';
    const said = [service(`whether ${address} is a Service's was not to be asked: ${why}; ${cure}`)];
    return { ...plain, said, isDoubtful: true };
  }
}

/** Whether it is in the Services' range; of one that holds no Service this is asked. */
async function isNobodys(address: string, reader: Reader): Promise<boolean> {
  const { addresses } = await servicesIn(reader);
  return addresses.contains(parseAddress(address));
}

/** What was asked of a Service does not fit it. */
export class WrongBackend extends Error {}

/** A name in DNS for another name: kube-proxy has nothing to do with it, and no packet is sent to it. */
function sayExternal(name: string, host: string): string {
  const [, service = '', namespace] = /^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.|$)/.exec(host) ?? [];
  const next =
    namespace === undefined ? `one of ${host}'s addresses: getent hosts ${host}` : `${namespace}/svc/${service}`;
  return `Service ${name} is of type ExternalName: a name in DNS for ${host}, without an address of its own; trace to ${next}`;
}

function rewrittenTo(text: string, port: number): Rewritten | undefined {
  const [address = '', given = `${port}`] = text.split(':');
  const to = /^\d{1,5}$/.test(given) ? Number(given) : 0;
  return isAddress(address) && to >= 1 && to <= 65_535 ? { address, port: to } : undefined;
}

/** @throws Error where the Service has no address of its own, or not that backend */
export async function targetOf(found: Service, wish: Wish, reader: Reader): Promise<Target> {
  const name = nameOf(found);
  if (found.spec.type === 'ExternalName') throw new WrongBackend(sayExternal(name, found.spec.externalName ?? ''));
  const address = clusterAddressOf(found);
  if (address === undefined) {
    const look = `kubectl get endpointslices -n ${found.metadata.namespace} -l kubernetes.io/service-name=${found.metadata.name}`;
    throw new WrongBackend(`Service ${name} has no address of its own; trace to one of its pods: ${look}`);
  }
  const protocol = wish.protocol.toUpperCase();
  const ports = found.spec.ports ?? [];
  const port = ports.find((one) => protocolOf(one) === protocol && (wish.port ?? one.port) === one.port);
  const { namespace, name: own } = found.metadata;
  if (port === undefined) {
    const has = ports.map((one) => `${one.port}/${protocolOf(one)}`).join(', ');
    const asked = wish.port === undefined ? protocol : `${wish.port}/${protocol}`;
    const what = `${address} is Service ${name}, which has no ${asked}: nothing is rewritten; its ports are ${has}`;
    const said = [service(what, { service: { namespace, name: own } })];
    return { address, port: wish.port ?? defaultPort, said, isEnd: false };
  }
  const known = { address, port: port.port };
  const fact = { service: { namespace, name: own, port: port.port } };
  const head = `${address}:${port.port}/${protocol} is Service ${name}: rewritten to`;
  let backends: Backend[];
  try {
    backends = await backendsOf(reader, found, port, wish.node);
  } catch (error) {
    return unseen(`${head} one of its backends`, error, wish, known, fact);
  }
  const backend = chosen(backends, wish.backend, name);
  if (backend === undefined) {
    const none = service(`${head} nothing: no backend is ready${near(found)}; kube-proxy refuses the flow`, {
      ...fact,
      backends,
    });
    return { ...known, said: [none], isEnd: true };
  }
  const count = backends.length === 1 ? 'its one ready backend' : `one of ${backends.length} ready backends`;
  const said = [service(`${head} ${count}${near(found)}: ${listOf(backends)}`, { ...fact, backends })];
  const other = backends.find((one) => one.address !== backend.address);
  if (other !== undefined) {
    const flag = `--backend ${other.address}:${other.port}`;
    said.push(service(`followed from here on: ${textOf(backend)}; for another run it again with ${flag}`));
  }
  return { ...known, backend: { address: backend.address, port: backend.port }, said, isEnd: false };
}

function unseen(head: string, error: unknown, wish: Wish, known: Rewritten, fact: Partial<Step>): Target {
  const why = error instanceof Error ? error.message : String(error);
  const backend = wish.backend === undefined ? undefined : rewrittenTo(wish.backend, known.port);
  const said = [service(`${head}, which were not to be seen: ${why}`, fact)];
  if (backend !== undefined) return { ...known, backend, said, isEnd: false };
  said.push(service('the way from there on: run it again with --backend ADDRESS:PORT'));
  return { ...known, said, isEnd: true };
}

function chosen(backends: readonly Backend[], wanted: string | undefined, name: string): Backend | undefined {
  if (wanted === undefined) return backends[0];
  const found = backends.find((one) => [one.address, `${one.address}:${one.port}`, one.pod].includes(wanted));
  if (found !== undefined) return found;
  const there = backends.length === 0 ? 'it has none' : `they are ${listOf(backends)}`;
  throw new WrongBackend(`--backend is "${wanted}", which is no ready backend of Service ${name}; ${there}`);
}

function near({ spec }: Service): string {
  return spec.internalTrafficPolicy === 'Local' ? ' on its own node (internalTrafficPolicy Local)' : '';
}

function textOf({ address, port, pod, node }: Backend): string {
  const whose = [pod === undefined ? '' : `pod ${pod}`, node === undefined ? '' : `on ${node}`]
    .filter(Boolean)
    .join(' ');
  return `${address}:${port}${whose === '' ? '' : ` (${whose})`}`;
}

function listOf(backends: readonly Backend[]): string {
  const named = backends.slice(0, maxNamed).map(textOf).join(', ');
  return backends.length > maxNamed ? `${named} and ${backends.length - maxNamed} more` : named;
}

/** The steps of the node with what is known of the Service behind its netfilter step. */
export function withService(
  steps: readonly Step[],
  { said, isEnd, isDoubtful }: Pick<Target, 'said' | 'isEnd' | 'isDoubtful'>,
): Step[] {
  // What the fast-ctl there could not know is known here.
  const own = steps.filter(({ kind }) => kind !== 'service' && kind !== 'node');
  const at = own.findIndex(({ kind }) => kind === 'netfilter');
  // Only what leaves the overlay can have been on its way to a Service.
  const isInside = isDoubtful === true && !own.some(({ kind }) => kind === 'masquerade');
  if (at < 0 || isInside) return own;
  if (!isEnd) return [...own.slice(0, at + 1), ...said, ...own.slice(at + 1)];
  const end = said.at(-1)?.what ?? '';
  return [...own.slice(0, at + 1), ...said.slice(0, -1), { ...said.at(-1), kind: 'end', where, what: end }];
}
