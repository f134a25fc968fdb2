// SPDX-License-Identifier: Apache-2.0
// A process that waits aside for an answer of the kernel, until a line on stdin has it asked for one. It prints `waits`, and
// how it ended.
import { once } from 'node:events';
import { libc } from '../src/libc.ts';
import { Message, messageFlags } from '../src/netlink/message.ts';
import { RouteSocket } from '../src/netlink/socket.ts';

const RTM_SETLINK = 19;
const firstSequence = 1;

/** `lo` as it is; the kernel answers it only where it is to acknowledge. */
const change = (flags: number): Message =>
  new Message('change nothing', RTM_SETLINK, flags).u8(0, 0).u16(0).u32(1, 0, 0);

const socket = RouteSocket.open();
const waiting = socket.changeAside(change(0));
console.log('waits');
await once(process.stdin, 'data');
const asked = change(messageFlags.ack).finish(firstSequence);
libc.send(socket.fd, asked, asked.length, 0);
const outcome = await waiting.then(
  () => 'answered',
  (error: unknown) => String(error),
);
console.log(outcome);
process.exit();
