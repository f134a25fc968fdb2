// SPDX-License-Identifier: Apache-2.0
// The result of ADD in the shape of each version: CNI 1.1.0, section 5, "ADD Success", and its predecessors.
import type { Attachment, AttachmentRoute, PreviousResult, ResultInterface } from '../protocol/messages.ts';
import { isAtLeast } from './versions.ts';
import type { SpecVersion } from './versions.ts';

/** A result as it stands in JSON. Its lists may be null, and it may hold what only others know. */
export interface RawResult {
  interfaces?: ResultInterface[] | null;
  ips?: { address: string; gateway?: string; interface?: number | null }[] | null;
  routes?: { dst: string; gw?: string }[] | null;
  dns?: object | null;
  [key: string]: unknown;
}

/** RT_SCOPE_LINK of rtnetlink(7): the destination is on the link. */
const scopeLink = 253;

function formatRoute(route: AttachmentRoute, version: SpecVersion): { dst: string; gw?: string } {
  if (route.gateway !== undefined) return { dst: route.destination, gw: route.gateway };
  return { dst: route.destination, ...(isAtLeast(version, '1.1.0') ? { scope: scopeLink } : {}) };
}

/** The first that says anything. */
function dnsOf(...candidates: (object | null | undefined)[]): object {
  return candidates.find((dns) => dns && Object.keys(dns).length > 0) ?? {};
}

/**
 * The result: both ends of the wire, the pod's second, behind what the plugins before in the list made
 * (`previous`). `ips[].interface` counts from 0 in the whole list of interfaces.
 */
export function resultOf(
  version: SpecVersion,
  attachment: Attachment,
  previous: RawResult = {},
  dns?: object,
): RawResult {
  const mtu = isAtLeast(version, '1.1.0') ? { mtu: attachment.mtu } : {};
  const family = attachment.address.includes(':') ? '6' : '4';
  const before = previous.interfaces ?? [];
  return {
    ...previous,
    cniVersion: version,
    interfaces: [
      ...before,
      { name: attachment.hostInterface, mac: attachment.hostMac, ...mtu },
      { name: attachment.podInterface, mac: attachment.podMac, ...mtu, sandbox: attachment.sandbox },
    ],
    ips: [
      ...(previous.ips ?? []),
      {
        ...(isAtLeast(version, '1.0.0') ? {} : { version: family }),
        address: `${attachment.address}/${attachment.prefixLength}`,
        gateway: attachment.gateway,
        interface: before.length + 1,
      },
    ],
    routes: [...(previous.routes ?? []), ...attachment.routes.map((route) => formatRoute(route, version))],
    dns: dnsOf(previous.dns, dns),
  };
}

/** What the agent compares with: the parts of a result that it can have made, without those of others. */
export function knownPart(result: RawResult): PreviousResult {
  const interfaces = (result.interfaces ?? []).map(({ name, mac, sandbox }) => ({
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(sandbox === undefined ? {} : { sandbox }),
  }));
  const ips = (result.ips ?? []).map(({ address, gateway, interface: index }) => ({
    address,
    ...(gateway === undefined ? {} : { gateway }),
    ...(typeof index === 'number' ? { interface: index } : {}),
  }));
  const routes = (result.routes ?? []).map(({ dst, gw }) => ({ dst, ...(gw === undefined ? {} : { gw }) }));
  return { interfaces, ips, routes };
}
