// SPDX-License-Identifier: Apache-2.0
// The offloads of a device in a namespace, by the ioctl behind `ethtool -K`, which CI's machines do not have.
import koffi from 'koffi';
import { Netns } from 'ebpf-native';
import { namespaceOf } from './two-nodes.ts';

const SIOCETHTOOL = 0x8946;
const AF_INET = 2;
const SOCK_DGRAM = 2;
/** ETHTOOL_S* of linux/ethtool.h, in an order in which none needs a later one. */
const settings = {
  receiveChecksum: 0x15,
  transmitChecksum: 0x17,
  scatterGather: 0x19,
  tso: 0x1f,
  gso: 0x24,
  gro: 0x2c,
};
const [nameBytes, valueBytes] = [16, 8];

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const close = libc.func('int close(int)');
const ioctl = libc.func('int ioctl(int, unsigned long, void *)');

function set(fd: number, device: string, command: number, on: boolean): void {
  const value = Buffer.alloc(valueBytes);
  value.writeUInt32LE(command, 0);
  value.writeUInt32LE(on ? 1 : 0, 4);
  const request = Buffer.alloc(40);
  request.write(device, 0, nameBytes - 1);
  request.writeBigUInt64LE(koffi.address(value), nameBytes);
  if (ioctl(fd, SIOCETHTOOL, request) !== 0) throw new Error(`${device} refuses the offload ${command}`);
}

/** Switches all offloads of the device on or off. */
export function setOffloads(namespace: string, device: string, on: boolean): void {
  const netns = Netns.open(`/run/netns/${namespaceOf(namespace)}`);
  const fd = netns.run(() => socket(AF_INET, SOCK_DGRAM, 0) as number);
  const commands = Object.values(settings);
  for (const command of on ? commands : commands.toReversed()) netns.run(() => set(fd, device, command, on));
  close(fd);
  netns.close();
}
