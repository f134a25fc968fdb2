// SPDX-License-Identifier: Apache-2.0
// Ten thousand inputs that are nearly right through the executable and through the agent's socket: no crash, no hang, an
// error of the table each. CI runs a share of them (test/share.ts).
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCni } from '../../scripts/build-cni.ts';
import { silentLog } from '../../src/kube/log.ts';
import { SocketServer } from '../../src/node/socket-server.ts';
import { attachment, configuration, podVariables } from '../pure/cni-fake-host.ts';
import { changedJson, changedVariables, numbers } from '../pure/cni-mutations.ts';
import { rounds } from '../share.ts';
import { type Ended, startPlugin } from './runtime.ts';

const minuteMs = 60_000;
const atOnce = 4;
const folder = mkdtempSync(join(tmpdir(), 'fast-cni-fuzz-'));
const socket = join(folder, 'agent.sock');

/** Works through all rounds, a few at once. */
async function forRounds(full: number, work: () => Promise<void>): Promise<void> {
  let left = rounds(full);
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

function judge({ code, stdout, stderr }: Ended, what: string): void {
  try {
    // Without a command it says on stderr what it is.
    if (code === 0) return void (stdout === '' ? undefined : JSON.parse(stdout));
    const failure = JSON.parse(stdout) as { code: number; msg: string };
    if (code !== 1 || failure.code === 101 || !(failure.code >= 1) || failure.msg === '')
      throw new Error('no error of the table');
  } catch (error) {
    expect.fail(`${what}: exit code ${code}, ${stdout}${stderr}: ${String(error)}`);
  }
}

beforeAll(buildCni, 300_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe('the executable', () => {
  let agent: Server;
  const answers = numbers(3);

  beforeAll(async () => {
    agent = createServer({ allowHalfOpen: true }, (connection) => {
      connection.on('error', () => undefined);
      connection.resume();
      connection.on('end', () => connection.end(changedJson({ ok: true, result: attachment }, answers)));
    });
    await new Promise<void>((resolve) => agent.listen(socket, resolve));
  });

  afterAll(() => void agent.close());

  it(
    'answers whatever it is given, and whatever the agent says',
    async () => {
      const random = numbers(11);
      const commands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'];
      await forRounds(10_000, async () => {
        const command = commands[random(commands.length)] ?? '';
        const variables = changedVariables({ ...podVariables, CNI_COMMAND: command }, random);
        // The kernel takes no such variable.
        const set = Object.fromEntries(
          Object.entries(variables).map(([name, value]) => [name, value.replaceAll('\0', '')]),
        );
        const good = configuration({ socket, timeoutSeconds: 5, prevResult: {}, 'cni.dev/valid-attachments': [] });
        const stdin = random(3) === 0 ? JSON.stringify(good) : changedJson(good, random);
        const { child, ended } = startPlugin(set, stdin);
        const hang = setTimeout(() => child.kill('SIGABRT'), minuteMs);
        judge(await ended, JSON.stringify({ set, stdin }));
        clearTimeout(hang);
      });
    },
    10 * minuteMs,
  );
});

describe("the agent's socket", () => {
  const path = join(folder, 'server.sock');
  const server = new SocketServer({
    path,
    handle: () => Promise.resolve({ ok: true }),
    undelivered: () => Promise.resolve(),
    log: silentLog,
  });

  beforeAll(() => server.start());
  afterAll(() => server.stop(1000));

  it(
    'answers whatever it is sent, and serves on',
    async () => {
      const random = numbers(13);
      const request = {
        protocol: 1,
        command: 'STATUS',
        containerId: '',
        netns: '',
        ifName: '',
        pod: { namespace: '', name: '', uid: '' },
      };
      await forRounds(10_000, async () => {
        const bytes = Buffer.from(changedJson(request, random));
        if (bytes.length > 0 && random(5) === 0) bytes[random(bytes.length)] = random(256);
        const connection = createConnection(path);
        let answer = '';
        connection.setEncoding('utf8').on('data', (part: string) => (answer += part));
        connection.end(bytes);
        await once(connection, 'close');
        const said = JSON.parse(answer) as { ok: boolean; code?: number };
        if (!said.ok && ![6, 100].includes(said.code ?? 0)) expect.fail(`${bytes.toString()}: ${answer}`);
      });
    },
    10 * minuteMs,
  );
});
