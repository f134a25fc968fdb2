// SPDX-License-Identifier: Apache-2.0
// The numbers by which one network namespace knows others, as a veth's `netnsId` tells them.
import type { Netns } from '../netns.ts';
import { Attributes, Message } from './message.ts';
import type { RouteSocket } from './socket.ts';

const RTM_GETNSID = 90;
const NETNSA = { nsid: 1, fd: 3 } as const;
/** The header and struct rtgenmsg, padded. */
const fixedSize = 20;

/** What the socket's namespace calls the other one; -1 where it never met it, or the file is no namespace any more. */
export function namespaceId(socket: RouteSocket, netns: Netns): number {
  const message = new Message(`number of namespace ${netns.path}`, RTM_GETNSID, 0).u8(0, 0, 0, 0);
  const found = socket.get(message.attribute(NETNSA.fd, netns.fd), ['EINVAL', 'EBADF']);
  return found === undefined ? -1 : new Attributes(found, fixedSize).u32(NETNSA.nsid) | 0;
}
