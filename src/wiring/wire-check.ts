// SPDX-License-Identifier: Apache-2.0
// CHECK: what the kernel has of a wire against what ADD made and what the runtime was told of it. CNI 1.1.0, section 2,
// "CHECK": a plugin of the list may have changed what it gave back, so of the pod's routes only those count that
// `prevResult` still has.
import type { IpAllocationSpec } from '../api/generated/ip-allocation.ts';
import { podMacOf, type Wire } from './wire.ts';

export interface WantedWire {
  readonly wire: Wire;
  /** CNI_NETNS. */
  readonly sandbox: string;
  /** Bytes. */
  readonly mtu: number;
  /** Source of what the host itself sends to the pod. */
  readonly nodeAddress: string;
  /** The MAC of every host veth, which is the gateway's for a pod. */
  readonly hostMac: string;
  /** Absent once the record is gone. */
  readonly record: Pick<IpAllocationSpec, 'gateway' | 'prefixLength'> | undefined;
}

export interface SeenRoute {
  readonly destination: string;
  readonly prefixLength: number;
  readonly gateway?: string;
  readonly source?: string;
}

interface SeenLink {
  readonly up: boolean;
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
}

interface SeenNeighbour {
  readonly address: string;
  readonly mac: string;
  readonly state: string;
}

/** What the kernel shows of a wire. Without a link there is nothing else on that side. */
export interface SeenWire {
  readonly host?: {
    readonly link: SeenLink;
    readonly hasProgram: boolean;
    readonly routes: readonly SeenRoute[];
    readonly neighbours: readonly SeenNeighbour[];
  };
  readonly pod?: {
    readonly link: SeenLink;
    readonly addresses: ReadonlyArray<{ readonly address: string; readonly prefixLength: number }>;
    readonly routes: readonly SeenRoute[];
    readonly neighbours: readonly SeenNeighbour[];
  };
  /** The interface that the address has in the map `local_pod_ips`. */
  readonly mappedIfindex: number | undefined;
}

/** The part of a CNI result that concerns a wire. */
export interface ToldWire {
  readonly interfaces?: ReadonlyArray<{ readonly name: string; readonly sandbox?: string }>;
  readonly ips?: ReadonlyArray<{ readonly address: string; readonly interface?: number }>;
  readonly routes?: ReadonlyArray<{ readonly dst: string; readonly gw?: string }>;
}

/** /var/run is /run (FHS 3.0, 5.13), and a runtime may name a sandbox by either. */
function isSamePath(a: string, b: string): boolean {
  return a.replace(/^\/var\/run\//, '/run/') === b.replace(/^\/var\/run\//, '/run/');
}

function toldProblems({ wire, sandbox }: WantedWire, told: ToldWire): string[] {
  const index = (told.interfaces ?? []).findIndex(
    (one) => one.name === wire.podInterface && isSamePath(one.sandbox ?? '', sandbox),
  );
  if (index < 0) return [`prevResult lists no interface ${wire.podInterface} in ${sandbox}`];
  const addresses = (told.ips ?? []).filter((one) => one.interface === undefined || one.interface === index);
  if (addresses.some((one) => one.address.split('/')[0] === wire.address)) return [];
  const others = addresses.map((one) => one.address).join(', ') || 'none';
  return [`prevResult has not the address ${wire.address} for ${wire.podInterface} but ${others}`];
}

function linkProblems(name: string, link: SeenLink, mac: string, mtu: number): string[] {
  const problems: string[] = [];
  if (!link.up) problems.push(`the interface ${name} is down`);
  if (link.mac !== mac) problems.push(`the interface ${name} has the MAC ${link.mac}, not ${mac}`);
  if (link.mtu > mtu) problems.push(`the interface ${name} has the MTU ${link.mtu}, above ${mtu}`);
  return problems;
}

function neighbourProblems(where: string, seen: readonly SeenNeighbour[], address: string, mac: string): string[] {
  const found = seen.find((one) => one.address === address);
  if (found === undefined) return [`the neighbour ${address} ${where} is missing`];
  if (found.mac === mac && found.state === 'permanent') return [];
  return [`the neighbour ${address} ${where} is ${found.mac || 'unknown'} (${found.state}), not ${mac} (permanent)`];
}

function hostProblems({ wire, mtu, nodeAddress, hostMac }: WantedWire, seen: SeenWire): string[] {
  const { interface: name, address } = wire;
  const { host } = seen;
  if (host === undefined) return [`the interface ${name} is missing on the node`];
  const problems = linkProblems(name, host.link, hostMac, mtu);
  if (!host.hasProgram) problems.push(`the program from_pod is missing on ${name}`);
  const route = host.routes.find((one) => one.destination === address && one.prefixLength === 32);
  if (route === undefined) problems.push(`the route ${address}/32 to ${name} is missing on the node`);
  else if (route.source !== nodeAddress) {
    problems.push(`the route ${address}/32 to ${name} has the source ${route.source ?? 'none'}, not ${nodeAddress}`);
  }
  return [...problems, ...neighbourProblems(`on ${name}`, host.neighbours, address, podMacOf(address))];
}

function entryProblems({ wire }: WantedWire, { mappedIfindex }: SeenWire): string[] {
  if (mappedIfindex === wire.ifindex) return [];
  const what = mappedIfindex === undefined ? 'is missing' : `names interface ${mappedIfindex}, not ${wire.ifindex}`;
  return [`the entry of ${wire.address} in the map local_pod_ips ${what}`];
}

function podProblems({ wire, sandbox, mtu, hostMac, record }: WantedWire, seen: SeenWire, told: ToldWire): string[] {
  const { podInterface: name, address } = wire;
  const { pod } = seen;
  if (pod === undefined) return [`the interface ${name} is missing in ${sandbox}`];
  const problems = linkProblems(name, pod.link, podMacOf(address), mtu);
  const own = pod.addresses.find((one) => one.address === address);
  if (own === undefined) problems.push(`the address ${address} is missing on ${name}`);
  if (record === undefined) return problems;
  const { gateway, prefixLength } = record;
  if (own !== undefined && own.prefixLength !== prefixLength) {
    problems.push(`the address ${address} on ${name} has the prefix length ${own.prefixLength}, not ${prefixLength}`);
  }
  const made: SeenRoute[] = [
    { destination: gateway, prefixLength: 32 },
    { destination: '0.0.0.0', prefixLength: 0, gateway },
  ];
  for (const route of made) {
    const dst = `${route.destination}/${route.prefixLength}`;
    const isTold = (told.routes ?? []).some((one) => one.dst === dst && (one.gw ?? gateway) === gateway);
    const isThere = pod.routes.some(
      (one) =>
        one.destination === route.destination &&
        one.prefixLength === route.prefixLength &&
        one.gateway === route.gateway,
    );
    if (isTold && !isThere) {
      const by = route.gateway === undefined ? '' : ` by ${route.gateway}`;
      problems.push(`the route ${dst}${by} is missing on ${name}`);
    }
  }
  return [...problems, ...neighbourProblems(`on ${name}`, pod.neighbours, gateway, hostMac)];
}

/** All that is wrong with a wire, one sentence each; none where all is right. */
export function wireProblems(wanted: WantedWire, seen: SeenWire, told: ToldWire): string[] {
  return [
    ...toldProblems(wanted, told),
    ...hostProblems(wanted, seen),
    ...entryProblems(wanted, seen),
    ...podProblems(wanted, seen, told),
  ];
}
