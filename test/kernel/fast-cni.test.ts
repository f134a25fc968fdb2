// SPDX-License-Identifier: Apache-2.0
// The executable itself, as a runtime runs it, against a real unix socket that answers well, badly, late or never.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildCni } from '../../scripts/build-cni.ts';
import { buildFolder } from '../../scripts/steps.ts';
import { parseRequest } from '../../src/protocol/request.ts';
import { attachment, configuration, podVariables } from '../pure/cni-fake-host.ts';

const program = join(buildFolder, 'fast-cni');
const folder = mkdtempSync(join(tmpdir(), 'fast-cni-'));
const socketPath = join(folder, 'agent.sock');
let server: Server | undefined;
let received: string[] = [];
const connections = new Set<Socket>();

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  tookMs: number;
}

/** Runs the executable with nothing but `variables` in its environment. */
function run(variables: Record<string, string>, stdin: string | Buffer): Promise<Ended> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], { env: variables, stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    // It may end before it has read all: a configuration of 2 MB is refused at the first.
    child.stdin.on('error', () => undefined);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, tookMs: performance.now() - startedMs }));
    child.stdin.end(stdin);
  });
}

function ask(command: string, more: Record<string, unknown> = {}): Promise<Ended> {
  const stdin = JSON.stringify(configuration({ socket: socketPath, ...more }));
  return run({ ...podVariables, CNI_COMMAND: command }, stdin);
}

interface CniFailure {
  code: number;
  msg: string;
  details: string;
}

const errorOf = (ended: Ended): CniFailure => JSON.parse(ended.stdout) as CniFailure;

/** An agent whose every connection, once the request is whole, is handled by `reply`. */
async function listen(reply: (socket: Socket, request: string) => void): Promise<void> {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('end', () => {
      received.push(text);
      reply(socket, text);
    });
  });
  await new Promise<void>((resolve) => server?.listen(socketPath, resolve));
}

beforeAll(buildCni, 300_000);

afterEach(async () => {
  received = [];
  for (const socket of connections) socket.destroy();
  connections.clear();
  const closing = server;
  server = undefined;
  if (closing !== undefined) await new Promise((resolve) => closing.close(resolve));
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('the executable', () => {
  it('is static: it asks no node for a libc', () => {
    const { stdout, stderr } = spawnSync('ldd', [program], { encoding: 'utf8' });
    expect(stdout + stderr).toMatch(/statically linked|not a dynamic executable/);
  });

  it('answers VERSION with an empty environment and an empty stdin', async () => {
    const ended = await run({ CNI_COMMAND: 'VERSION' }, '');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toEqual({
      cniVersion: '1.1.0',
      supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    });
  });

  it('says what it is without a command', async () => {
    const ended = await run({}, '');
    expect(ended).toMatchObject({ code: 0, stdout: '' });
    expect(ended.stderr).toContain('CNI protocol versions supported');
  });

  it('hands ADD to the agent and prints its result', async () => {
    await listen((socket) => socket.end(JSON.stringify({ ok: true, result: attachment })));
    const ended = await ask('ADD');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const { ips, interfaces } = JSON.parse(ended.stdout) as { ips: unknown[]; interfaces: unknown[] };
    expect(ips).toEqual([{ address: '10.244.10.0/32', gateway: '10.244.0.1', interface: 1 }]);
    expect(interfaces[1]).toMatchObject({ name: 'eth0', sandbox: '/run/netns/pod' });
    expect(parseRequest(received[0] ?? '')).toEqual({
      request: {
        protocol: 1,
        command: 'ADD',
        containerId: 'c1',
        netns: '/run/netns/pod',
        ifName: 'eth0',
        pod: { namespace: 'default', name: 'busybox', uid: 'u-1' },
        deadlineMs: 54_000,
      },
    });
  });

  it('sends requests of every command that the agent accepts', async () => {
    await listen((socket) => socket.end('{"ok":true}'));
    const more = { prevResult: { interfaces: [{ name: 'eth0' }] }, 'cni.dev/valid-attachments': [] };
    for (const command of ['DEL', 'CHECK', 'STATUS', 'GC']) {
      expect(await ask(command, more)).toMatchObject({ code: 0, stdout: '', stderr: '' });
    }
    const commands = received.map((text) => {
      const parsed = parseRequest(text);
      return 'request' in parsed ? parsed.request.command : parsed.error.msg;
    });
    expect(commands).toEqual(['DEL', 'CHECK', 'STATUS', 'GC']);
  });

  it.each([4, 6, 7])('prints error %i on stdout, with exit code 1', async (code) => {
    const variables = { ...podVariables, CNI_COMMAND: 'ADD' };
    const stdin = {
      4: JSON.stringify(configuration()),
      6: '{',
      7: JSON.stringify(configuration({ timeoutSeconds: 0 })),
    }[code];
    const ended = await run(code === 4 ? { CNI_COMMAND: 'ADD' } : variables, stdin ?? '');
    expect(ended).toMatchObject({ code: 1, stderr: '' });
    expect(errorOf(ended).code).toBe(code);
  });

  it('takes a configuration that is not UTF-8, or longer than 1 MiB, for one that cannot be decoded', async () => {
    const variables = { ...podVariables, CNI_COMMAND: 'ADD' };
    for (const stdin of [Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), ' '.repeat(2 * 1024 * 1024)]) {
      const ended = await run(variables, stdin);
      expect(ended.code).toBe(1);
      expect(errorOf(ended).code).toBe(6);
    }
  });
});

describe('the executable with the agent away', () => {
  it.each([
    ['ADD', 11],
    ['CHECK', 11],
    ['STATUS', 50],
  ])('answers %s with code %i and the cure', async (command, code) => {
    const ended = await ask(command, command === 'CHECK' ? { prevResult: {} } : {});
    expect(ended.code).toBe(1);
    expect(errorOf(ended).code).toBe(code);
    expect(errorOf(ended).msg).toContain(`${socketPath} (No such file or directory`);
    expect(errorOf(ended).details).toBe('is the fast-agent pod running on this node?');
  });

  it('lets DEL succeed, also when only the socket file is left', async () => {
    expect(await ask('DEL')).toMatchObject({ code: 0, stdout: '' });
    // A listener that was killed leaves its file; connecting is then refused.
    const script = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
    expect(() => execFileSync(process.execPath, ['-e', script])).toThrow();
    expect(errorOf(await ask('ADD')).msg).toContain('Connection refused');
    expect(await ask('DEL')).toMatchObject({ code: 0, stdout: '' });
    rmSync(socketPath);
  });
});

describe('the executable and an agent that fails', () => {
  it('hands on the code, the sentence and the details of the agent', async () => {
    const failure = { code: 11, msg: 'pool sample-ips is exhausted: 250 of 250 in use', details: 'since 10:00' };
    await listen((socket) => socket.end(JSON.stringify({ ok: false, ...failure })));
    const ended = await ask('ADD');
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toEqual({ cniVersion: '1.1.0', ...failure });
  });

  it.each([
    ['garbage', 'HTTP/1.1 400 Bad Request\r\n\r\n', 100],
    ['half an answer', '{"ok":true,"result":{"addr', 11],
    ['nothing', '', 11],
    ['an answer of another shape', '{"status":"ok"}', 100],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe]), 100],
  ])('answers an ADD that got %s', async (_what, bytes, code) => {
    await listen((socket) => socket.end(bytes));
    const ended = await ask('ADD');
    expect(ended).toMatchObject({ code: 1, stderr: '' });
    expect(errorOf(ended).code).toBe(code);
  });

  it('stops reading an answer that has no end', async () => {
    await listen((socket) => socket.end('x'.repeat(3 * 1024 * 1024)));
    const ended = await ask('ADD');
    expect(ended.code).toBe(1);
    expect(errorOf(ended).msg).toContain('more than 1048576 bytes');
  });

  it('has an ADD tried again whose agent dies while it works', async () => {
    await listen((socket) => socket.destroy());
    expect(errorOf(await ask('ADD')).code).toBe(11);
  });

  it('gives up at the limit of the configuration, even on an agent that drips', async () => {
    const timers: NodeJS.Timeout[] = [];
    await listen((socket) => timers.push(setInterval(() => socket.write(' '), 100)));
    const ended = await ask('ADD', { timeoutSeconds: 1 });
    for (const timer of timers) clearInterval(timer);
    expect(errorOf(ended)).toMatchObject({ code: 11 });
    expect(errorOf(ended).msg).toContain('gave no answer within 1 s (timeoutSeconds)');
    expect(ended.tookMs).toBeGreaterThan(1000);
    expect(ended.tookMs).toBeLessThan(3000);
  });

  it('answers 30 ADDs at once', async () => {
    await listen((socket, text) => {
      const parsed = parseRequest(text);
      const id = 'request' in parsed ? parsed.request.containerId : '';
      socket.end(JSON.stringify({ ok: true, result: { ...attachment, hostInterface: id } }));
    });
    const stdin = JSON.stringify(configuration({ socket: socketPath }));
    const ids = Array.from({ length: 30 }, (_, i) => `c${i}`);
    const variables = ids.map((id) => ({ ...podVariables, CNI_COMMAND: 'ADD', CNI_CONTAINERID: id }));
    const all = await Promise.all(variables.map((one) => run(one, stdin)));
    const names = all.map((e) => (JSON.parse(e.stdout) as { interfaces: { name: string }[] }).interfaces[0]?.name);
    expect(names).toEqual(ids);
  });
});
