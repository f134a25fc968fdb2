// SPDX-License-Identifier: Apache-2.0
// The result of ADD in the shape of each version: CNI 1.1.0, section 5, "ADD Success", and its predecessors.
import type { Attachment, AttachmentRoute } from '../protocol/messages.ts';
import { isAtLeast } from './versions.ts';
import type { SpecVersion } from './versions.ts';

/** RT_SCOPE_LINK of rtnetlink(7): the destination is on the link. */
const scopeLink = 253;

function formatRoute(route: AttachmentRoute, version: SpecVersion): object {
  if (route.gateway !== undefined) return { dst: route.destination, gw: route.gateway };
  return { dst: route.destination, ...(isAtLeast(version, '1.1.0') ? { scope: scopeLink } : {}) };
}

/** The text for stdout: both ends of the wire, the pod's second, since `ips[].interface` counts from 0. */
export function formatResult(version: SpecVersion, attachment: Attachment): string {
  const mtu = isAtLeast(version, '1.1.0') ? { mtu: attachment.mtu } : {};
  const family = attachment.address.includes(':') ? '6' : '4';
  const result = {
    cniVersion: version,
    interfaces: [
      { name: attachment.hostInterface, mac: attachment.hostMac, ...mtu },
      { name: attachment.podInterface, mac: attachment.podMac, ...mtu, sandbox: attachment.sandbox },
    ],
    ips: [
      {
        ...(isAtLeast(version, '1.0.0') ? {} : { version: family }),
        address: `${attachment.address}/${attachment.prefixLength}`,
        gateway: attachment.gateway,
        interface: 1,
      },
    ],
    routes: attachment.routes.map((route) => formatRoute(route, version)),
    dns: {},
  };
  return `${JSON.stringify(result)}\n`;
}
