// SPDX-License-Identifier: Apache-2.0
// A UDP socket of this process in another namespace: between an answer and its first packet no program has to start.
import { createSocket, type Socket } from 'node:dgram';
import { Netns } from 'ebpf-native';
import { netnsPath } from './agent-node.ts';

type Found = (error: null, address: string, family: number) => void;

/** Opens a socket in the namespace of the node or of a pod. */
export function udpSocketIn(name: string, port: number): Socket {
  // Addresses are looked up at once: only synchronous work is done inside a namespace.
  const lookup = (address: string, _family: unknown, found: Found): void => found(null, address, 4);
  const socket = createSocket({ type: 'udp4', lookup });
  const netns = Netns.open(netnsPath(name));
  netns.run(() => {
    socket.bind(port, '0.0.0.0');
  });
  netns.close();
  return socket;
}
