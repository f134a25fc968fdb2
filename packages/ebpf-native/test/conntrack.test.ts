// SPDX-License-Identifier: Apache-2.0
// Flows of one address go, those of others stay, whatever side of the flow the address stands on.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { libc } from '../src/libc.ts';
import { countFlows, deleteFlows, NetlinkError, Netns, RouteSocket, startThreadPool } from '../src/index.ts';

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

it('deletes the flows of one address on either side and answers how many', async () => {
  flow('10.0.0.1', '10.0.0.9');
  flow('10.0.0.1', '10.0.0.8');
  flow('10.0.0.2', '10.96.0.1', '10.0.0.1');
  flow('10.0.0.2', '10.0.0.9');
  expect(await deleteFlows(socket, ['10.0.0.1'])).toBe(3);
  expect(flows()).toEqual(['10.0.0.2 10.0.0.9']);
  expect(await deleteFlows(socket, ['10.0.0.1'])).toBe(0);
  expect(await deleteFlows(socket, [])).toBe(0);
  expect(flows()).toEqual(['10.0.0.2 10.0.0.9']);
});

/** The table says that it has so many flows: header, nfgenmsg, and CTA_STATS_GLOBAL_ENTRIES as the first attribute. */
function pretend(count: number): void {
  const get = socket.get.bind(socket);
  vi.spyOn(socket, 'get').mockImplementation((message, absent) => {
    const answer = get(message, absent);
    answer?.writeUInt32BE(count, 24);
    return answer;
  });
}

it('walks through the table once for many addresses, unless the table holds many more flows', async () => {
  const asked = vi.spyOn(socket, 'dumpAside');
  for (const source of ['10.0.0.3', '10.0.0.4', '10.0.0.5']) flow(source, '10.0.0.9');
  expect(await deleteFlows(socket, ['10.0.0.3', '10.0.0.4'])).toBe(2);
  expect(asked).toHaveBeenCalledTimes(1);
  pretend(1_000_000);
  expect(countFlows(socket)).toBe(1_000_000);
  expect(await deleteFlows(socket, ['10.0.0.5', '10.0.0.6'])).toBe(1);
  expect(asked).toHaveBeenCalledTimes(5);
  vi.restoreAllMocks();
  expect(flows()).toEqual(['10.0.0.2 10.0.0.9']);
});

it('walks through a full table once for ten addresses, which took twenty walks of 55 ms', async () => {
  pretend(200_000);
  const asked = vi.spyOn(socket, 'dumpAside');
  await deleteFlows(
    socket,
    Array.from({ length: 10 }, (_, at) => `10.0.1.${at}`),
  );
  expect(asked).toHaveBeenCalledTimes(1);
  vi.restoreAllMocks();
});

it('keeps of a list of all flows those alone that it deletes: a table may hold millions', async () => {
  const asked = vi.spyOn(socket, 'dumpAside');
  for (const source of ['10.0.0.3', '10.0.0.4']) flow(source, '10.0.0.9');
  expect(await deleteFlows(socket, ['10.0.0.3', '10.0.0.4'])).toBe(2);
  expect(await asked.mock.results[0]?.value).toHaveLength(2);
  vi.restoreAllMocks();
  expect(flows()).toEqual(['10.0.0.2 10.0.0.9']);
});

it('deletes all others where the kernel gives one flow not up, and tells of that one', async () => {
  for (const source of ['10.0.0.3', '10.0.0.4', '10.0.0.5']) flow(source, '10.0.0.9');
  vi.spyOn(socket, 'change').mockImplementationOnce(() => {
    throw new NetlinkError('delete a flow', 16, 'it is offloaded');
  });
  await expect(deleteFlows(socket, ['10.0.0.3', '10.0.0.4', '10.0.0.5'])).rejects.toThrow('EBUSY');
  vi.restoreAllMocks();
  expect(flows()).toHaveLength(2);
  expect(await deleteFlows(socket, ['10.0.0.3', '10.0.0.4', '10.0.0.5'])).toBe(1);
});

it('leaves an address alone that is in use again when its flows are found', async () => {
  for (const source of ['10.0.0.3', '10.0.0.4']) flow(source, '10.0.0.9');
  expect(await deleteFlows(socket, ['10.0.0.3', '10.0.0.4'], (address) => address !== '10.0.0.3')).toBe(1);
  expect(flows()).toEqual(['10.0.0.2 10.0.0.9', '10.0.0.3 10.0.0.9']);
  expect(await deleteFlows(socket, ['10.0.0.3'])).toBe(1);
});

it('counts flows, and finds none where nothing was ever tracked', () => {
  expect(countFlows(socket)).toBe(1);
  const fresh = `${name}-fresh`;
  execFileSync('ip', ['netns', 'add', fresh]);
  const netns = Netns.open(`/run/netns/${fresh}`);
  const other = RouteSocket.open(netns, 'netfilter');
  netns.close();
  expect(countFlows(other)).toBe(0);
  other.close();
  execFileSync('ip', ['netns', 'del', fresh]);
});

/** Datagrams from one address to as many others: each is a flow of its own. */
const flood = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.bind(0, '10.0.0.77', () => {
    let left = Number(process.argv[1]);
    const next = () => (left-- > 0 ? socket.send('x', 9, '127.1.' + (left >> 8) + '.' + (left & 255), next) : socket.close());
    next();
  });`;

function spinFor(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

it('lets others have their turns while it deletes many flows, however slow the kernel is', async () => {
  for (let at = 1; at <= 60; at += 1) flow('10.0.0.3', `10.0.3.${at}`);
  const change = socket.change.bind(socket);
  let [inTurn, most, isDone] = [0, 0, false];
  const slow = vi.spyOn(socket, 'change').mockImplementation((message) => {
    inTurn += 1;
    spinFor(1);
    change(message);
  });
  const turn = (): void => {
    most = Math.max(most, inTurn);
    inTurn = 0;
    if (!isDone) setImmediate(turn);
  };
  turn();
  expect(await deleteFlows(socket, ['10.0.0.3'])).toBe(60);
  isDone = true;
  turn();
  slow.mockRestore();
  expect(most).toBeLessThanOrEqual(3);
});

it('lets others have their turns while the kernel searches on behind the first part of its answer', async () => {
  const inside = (...words: string[]): string =>
    execFileSync('ip', ['netns', 'exec', name, ...words], { encoding: 'utf8' });
  inside('ip', 'link', 'set', 'lo', 'up');
  inside('ip', 'addr', 'add', '10.0.0.77/32', 'dev', 'lo');
  inside(
    'nft',
    'add table ip t; add chain ip t c { type filter hook output priority 0; }; add rule ip t c ct state new',
  );
  inside(process.execPath, '-e', flood, '3000');
  // A pod with more flows than one part holds: the walk to the next of them is a walk through the rest of the table.
  const { recv } = libc;
  const here = vi.spyOn(libc, 'recv');
  Object.assign(libc.recv, { async: recv.async });
  expect(await deleteFlows(socket, ['10.0.0.77'], () => false)).toBe(0);
  const asked = here.mock.calls.length;
  here.mockRestore();
  // Those that count the flows.
  expect(asked).toBeLessThanOrEqual(2);
  expect(await deleteFlows(socket, ['10.0.0.77'])).toBe(3000);
});
