// SPDX-License-Identifier: Apache-2.0
// A socket to the kernel's routing tables of one namespace. Requests are synchronous: the kernel has done its work before
// `send` returns, so that the answer is there already.
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { NetlinkError, SysError } from '../errors.ts';
import { checked, libc } from '../libc.ts';
import { Netns } from '../netns.ts';
import { Attributes, type Message, headerSize, messageFlags } from './message.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const SIOCGSKNS = 0x894c;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
/** The kernel never gives more than 32 KiB at once. */
const receiveSize = 65_536;
const receiveTimeoutSeconds = 5;
/** A table that changes while it is read is read again, this often. */
const mostReads = 10;
/** 32 KiB each: a table of some millions of entries. */
const mostParts = 100_000;
/** EAGAIN: SO_RCVTIMEO is over. */
const timedOut = 11;
/**
 * EINTR: with SO_RCVTIMEO no handler of a signal is asked whether to go on, and SIGSTOP with SIGCONT interrupts too
 * (signal(7)). The answer comes all the same.
 */
const interrupted = 4;
/** A debugger that stops the process interrupts once for each stop. */
const mostInterruptions = 100;

type Outcome = 'more' | 'done';

/** NETLINK_ROUTE and NETLINK_NETFILTER. */
export const netlinkFamilies = { route: 0, netfilter: 12 } as const;
export type NetlinkFamily = keyof typeof netlinkFamilies;

export class RouteSocket {
  readonly fd: number;
  readonly #received = Buffer.alloc(receiveSize);
  #sequence = 0;
  #tableChanged = false;

  private constructor(family: NetlinkFamily) {
    this.fd = checked('socket AF_NETLINK', libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, netlinkFamilies[family]));
    try {
      for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
        const on = Buffer.from([1, 0, 0, 0]);
        checked(`setsockopt SOL_NETLINK ${option}`, libc.setsockopt(this.fd, SOL_NETLINK, option, on, on.length));
      }
      const timeout = Buffer.alloc(16);
      timeout.writeBigInt64LE(BigInt(receiveTimeoutSeconds), 0);
      checked('setsockopt SO_RCVTIMEO', libc.setsockopt(this.fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length));
      const address = Buffer.alloc(12);
      address.writeUInt16LE(AF_NETLINK, 0);
      checked('bind AF_NETLINK', libc.bind(this.fd, address, address.length));
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  /** A socket of that namespace, or of the present one. It stays there wherever it is used. */
  static open(netns?: Netns, family: NetlinkFamily = 'route'): RouteSocket {
    return netns === undefined ? new RouteSocket(family) : netns.run(() => new RouteSocket(family));
  }

  /** Another socket of the same namespace. */
  clone(): RouteSocket {
    const fd = checked('ioctl SIOCGSKNS', libc.ioctl(this.fd, SIOCGSKNS, 0));
    const netns = Netns.open(`/proc/self/fd/${fd}`);
    try {
      return RouteSocket.open(netns);
    } finally {
      netns.close();
      closeSync(fd);
    }
  }

  /** Changes something. Throws NetlinkError with the kernel's own sentence. */
  change(message: Message): void {
    const sequence = this.#send(message);
    for (let part = 0; part < mostParts; part++) {
      if (this.#receive(message, sequence, () => undefined) === 'done') return;
    }
    throw this.#endless(message);
  }

  /** Reads one thing; undefined when the kernel answers with one of these codes. */
  get(message: Message, absent: readonly string[]): Buffer | undefined {
    const found: Buffer[] = [];
    const sequence = this.#send(message);
    try {
      for (let part = 0; part < mostParts && found.length === 0; part++) {
        this.#receive(message, sequence, (bytes) => found.push(Buffer.from(bytes)));
      }
      return found[0];
    } catch (error) {
      if (error instanceof NetlinkError && absent.includes(error.code)) return undefined;
      throw error;
    }
  }

  /** Reads a whole table, again from the start when it changed meanwhile. */
  dump(make: () => Message): Buffer[] {
    for (let read = 0; read < mostReads; read++) {
      this.#tableChanged = false;
      const found = this.#dumpOnce(make());
      if (!this.#tableChanged) return found;
    }
    throw new SysError(make().purpose, 4, `the table changed during each of ${mostReads} reads`, 'try again later');
  }

  /** As `change`, with the calling thread free meanwhile: for what waits on the kernel's grace periods. One at a time. */
  async changeAside(message: Message): Promise<void> {
    await this.#aside(message, () => undefined);
  }

  /**
   * As `dump`, once, with the calling thread free while the kernel walks its table, and between any two parts of the answer.
   * Only what `isWanted` is kept: a table may be of a size that no memory is for. One at a time.
   */
  async dumpAside(message: Message, isWanted: (bytes: Buffer) => boolean): Promise<Buffer[]> {
    const found: Buffer[] = [];
    await this.#aside(message, (bytes) => {
      if (isWanted(bytes)) found.push(Buffer.from(bytes));
    });
    return found;
  }

  async #aside(message: Message, take: (bytes: Buffer) => unknown): Promise<void> {
    const sequence = ++this.#sequence;
    const bytes = message.finish(sequence);
    const sent = await elsewhere(libc.send.async, this.fd, bytes, bytes.length);
    // It refuses a message only by its answer, unless it lacks memory.
    if (sent < 0) throw new SysError(message.purpose, -sent, 'the kernel took no message', 'try again later');
    for (let part = 1; part <= mostParts; part++) {
      // Each part of a list is made when it is asked for, and the walk to the next match may be a long one.
      const length = await this.#datagramAside();
      if (length < 0) throw this.#silence(message, -length);
      if (this.#read(message, sequence, length, take) === 'done') return;
    }
    throw this.#endless(message);
  }

  close(): void {
    closeSync(this.fd);
  }

  #dumpOnce(message: Message): Buffer[] {
    const found: Buffer[] = [];
    const sequence = this.#send(message);
    for (let part = 0; part < mostParts; part++) {
      if (this.#receive(message, sequence, (bytes) => found.push(Buffer.from(bytes))) === 'done') return found;
    }
    throw this.#endless(message);
  }

  #send(message: Message): number {
    const sequence = ++this.#sequence;
    const bytes = message.finish(sequence);
    checked(message.purpose, Number(libc.send(this.fd, bytes, bytes.length, 0)));
    return sequence;
  }

  #receive(message: Message, sequence: number, take: (bytes: Buffer) => unknown): Outcome {
    const length = this.#datagram();
    if (length < 0) throw this.#silence(message, -length);
    return this.#read(message, sequence, length, take);
  }

  /** The length of the next datagram, or the error as a negative number. */
  #datagram(): number {
    for (let turn = 0; turn < mostInterruptions; turn++) {
      const length = Number(libc.recv(this.fd, this.#received, this.#received.length, 0));
      if (length >= 0) return length;
      const errno = koffi.errno();
      if (errno !== interrupted) return -errno;
    }
    return -interrupted;
  }

  async #datagramAside(): Promise<number> {
    for (let turn = 0; turn < mostInterruptions; turn++) {
      const length = await elsewhere(libc.recv.async, this.fd, this.#received, this.#received.length);
      if (length !== -interrupted) return length;
    }
    return -interrupted;
  }

  /** Takes one datagram, which holds one or many messages. What is taken lasts until the next one comes. */
  #read(message: Message, sequence: number, length: number, take: (bytes: Buffer) => unknown): Outcome {
    const datagram = this.#received.subarray(0, length);
    for (let at = 0; at + headerSize <= length; ) {
      const size = datagram.readUInt32LE(at);
      if (size < headerSize || at + size > length) throw new SysError(message.purpose, 74, 'a broken answer');
      const one = datagram.subarray(at, at + size);
      at += (size + 3) & ~3;
      // An answer to a request that was given up.
      if (one.readUInt32LE(8) !== sequence) continue;
      if ((one.readUInt16LE(6) & messageFlags.interrupted) !== 0) this.#tableChanged = true;
      const type = one.readUInt16LE(4);
      if (type !== NLMSG_ERROR && type !== NLMSG_DONE) take(one);
      else {
        refuse(message, one);
        return 'done';
      }
    }
    return 'more';
  }

  #silence(message: Message, errno: number): SysError {
    const detail = errno === timedOut ? `no answer within ${receiveTimeoutSeconds} s` : 'no answer';
    return new SysError(message.purpose, errno, detail, 'read the state again before you try again');
  }

  #endless(message: Message): SysError {
    return new SysError(message.purpose, 74, `more than ${mostParts} parts of an answer`);
  }
}

type BytesCall = typeof libc.recv.async;

/** A call on a thread of the pool; its result, or the error as a negative number. */
async function elsewhere(call: BytesCall, fd: number, bytes: Buffer, length: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    call(fd, bytes, length, 0, (error: Error | null, result: number) => {
      if (error) reject(error);
      else resolve(result < 0 ? -koffi.errno() : result);
    });
  });
}

/** Throws when an acknowledgement, or the end of a dump, carries an error. */
function refuse(message: Message, answer: Buffer): void {
  const errno = answer.length >= headerSize + 4 ? -answer.readInt32LE(headerSize) : 0;
  if (errno <= 0) return;
  // With NETLINK_CAP_ACK only the header of the request comes back, in front of the attributes; a dump's end has none.
  const from = answer.readUInt16LE(4) === NLMSG_ERROR ? headerSize + 4 + headerSize : headerSize + 4;
  throw new NetlinkError(message.purpose, errno, new Attributes(answer, from).text(NLMSGERR_ATTR_MSG));
}
