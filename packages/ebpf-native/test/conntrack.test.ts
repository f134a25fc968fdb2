// SPDX-License-Identifier: Apache-2.0
// Flows of one address go, those of others stay, whatever side of the flow the address stands on.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deleteFlows, Netns, RouteSocket, startThreadPool } from '../src/index.ts';

const name = `febpf-flows-${process.pid}`;
let socket: RouteSocket;

function conntrack(...words: string[]): string {
  return execFileSync('ip', ['netns', 'exec', name, 'conntrack', ...words], { encoding: 'utf8', stdio: 'pipe' });
}

/** A UDP flow as it stands in the table; `to` is who answers. */
function flow(source: string, destination: string, to = destination): void {
  const tuples = ['-s', source, '-d', destination, '-r', to, '-q', source, '-p', 'udp'];
  const ports = ['--sport', '4000', '--dport', '53', '--reply-port-src', '53', '--reply-port-dst', '4000'];
  conntrack('-I', ...tuples, ...ports, '-t', '60');
}

/** Original source and reply source of all flows. */
function flows(): string[] {
  const lines = conntrack('-L')
    .split('\n')
    .filter((line) => line.startsWith('udp'));
  return lines.map((line) => [...line.matchAll(/src=(\S+)/g)].map((match) => match[1]).join(' ')).sort();
}

beforeAll(async () => {
  await startThreadPool();
  execFileSync('ip', ['netns', 'add', name]);
  const netns = Netns.open(`/run/netns/${name}`);
  socket = RouteSocket.open(netns, 'netfilter');
  netns.close();
});

afterAll(() => {
  socket?.close();
  execFileSync('ip', ['netns', 'del', name]);
});

it('deletes the flows of one address and answers how many', async () => {
  flow('10.0.0.1', '10.0.0.9');
  flow('10.0.0.1', '10.0.0.8');
  flow('10.0.0.2', '10.96.0.1', '10.0.0.1');
  flow('10.0.0.2', '10.0.0.9');
  expect(await deleteFlows(socket, 'original', '10.0.0.1')).toBe(2);
  expect(flows()).toEqual(['10.0.0.2 10.0.0.1', '10.0.0.2 10.0.0.9']);
  expect(await deleteFlows(socket, 'reply', '10.0.0.1')).toBe(1);
  expect(flows()).toEqual(['10.0.0.2 10.0.0.9']);
  expect(await deleteFlows(socket, 'original', '10.0.0.1')).toBe(0);
});
