// SPDX-License-Identifier: Apache-2.0
// What the runtime meets on a node: the socket and the installed fast-cni.
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/kube/log.ts';
import { installCni, removeCni, type Verified } from '../../src/node/cni-install.ts';
import { type Handler, SocketServer } from '../../src/node/socket-server.ts';
import { eventually } from './eventually.ts';

let folder: string;
let server: SocketServer | undefined;
let undelivered: string[] = [];
const path = (): string => join(folder, 'run/agent.sock');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fagent-socket-'));
});

afterEach(async () => {
  await server?.stop(1000);
  server = undefined;
  undelivered = [];
  rmSync(folder, { recursive: true });
});

async function serve(handle: Handler): Promise<void> {
  server = new SocketServer({
    path: path(),
    handle,
    undelivered: (request) => {
      undelivered.push(request.command);
      return Promise.resolve();
    },
    log: silentLog,
  });
  await server.start();
}

async function ask(text: string): Promise<unknown> {
  const socket = createConnection(path());
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    answer += part;
  });
  socket.end(text);
  await once(socket, 'close');
  return JSON.parse(answer);
}

const status = JSON.stringify({
  protocol: 1,
  command: 'STATUS',
  containerId: '',
  netns: '',
  ifName: '',
  pod: { namespace: '', name: '', uid: '' },
});

describe('the socket', () => {
  it("is the owner's alone, answers a request, and leaves no name behind", async () => {
    await serve(() => Promise.resolve({ ok: true }));
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, 'run'))).toEqual(['agent.sock']);
    expect(await ask(status)).toEqual({ ok: true });
    await server?.stop(1000);
    expect(existsSync(path())).toBe(false);
  });

  it('ends with the connections of those that wait on, so that nothing is done for them behind its end', async () => {
    let seen: AbortSignal | undefined;
    await serve((_request, gone) => {
      seen = gone;
      return new Promise(() => undefined);
    });
    const socket = createConnection(path()).resume();
    const closed = once(socket, 'close');
    socket.end(status);
    const gone = await eventually(() => seen);
    await server?.stop(50);
    await closed;
    await eventually(() => gone.aborted || undefined);
  });

  it('takes the place of one that a killed agent left', async () => {
    await serve(() => Promise.resolve({ ok: true }));
    writeFileSync(`${path()}.new`, '');
    await serve(() => Promise.resolve({ ok: false, code: 50, msg: 'the new one' }));
    expect(await ask(status)).toEqual({ ok: false, code: 50, msg: 'the new one' });
  });

  it('answers what is no request with the reason', async () => {
    await serve(() => Promise.resolve({ ok: true }));
    expect(await ask('{')).toMatchObject({ ok: false, code: 6 });
    expect(await ask('{"protocol":2}')).toMatchObject({ ok: false, code: 100 });
  });

  it('refuses a request that is too long in words that reach its sender', async () => {
    await serve(() => Promise.resolve({ ok: true }));
    const long = JSON.stringify({ ...JSON.parse(status), more: 'x'.repeat(1024 * 1024) });
    expect(await ask(long)).toMatchObject({ code: 100, msg: expect.stringContaining('more than 1048576') });
  });

  it('answers a fault of the agent as an error and serves on', async () => {
    await serve(() => Promise.reject(new Error('a fault')));
    expect(await ask(status)).toEqual({ ok: false, code: 101, msg: 'STATUS failed in the agent: a fault' });
    expect(await ask(status)).toMatchObject({ code: 101 });
  });
});

describe('a caller that gives up', () => {
  /** A request that is answered when the test says so; the caller hangs up before. */
  async function hangUp(): Promise<{ gone: AbortSignal; answer: () => void }> {
    let seen: AbortSignal | undefined;
    let answer = (): void => undefined;
    await serve((_request, gone) => {
      seen = gone;
      return new Promise((resolve) => {
        answer = () => resolve({ ok: true });
      });
    });
    const socket = createConnection(path());
    socket.end(status);
    const gone = await eventually(() => seen);
    socket.destroy();
    return { gone, answer: () => answer() };
  }

  it('is noticed while the request is at work', async () => {
    const { gone } = await hangUp();
    await eventually(() => (gone.aborted ? true : undefined));
  });

  it('is noticed by the answer that it does not take, which is told', async () => {
    const { answer } = await hangUp();
    answer();
    expect(await eventually(() => undelivered[0])).toBe('STATUS');
  });

  it('is not seen in one that waits', async () => {
    let isAborted: boolean | undefined;
    await serve(async (_request, gone) => {
      // Longer than the agent takes to notice.
      await new Promise((resolve) => {
        setTimeout(resolve, 1200);
      });
      isAborted = gone.aborted;
      return { ok: true };
    });
    expect(await ask(status)).toEqual({ ok: true });
    expect([isAborted, undelivered]).toEqual([false, []]);
  });
});

describe('the installation', () => {
  const programs = ['fast-bandwidth', 'fast-cni', 'fast-portmap'];
  const install = (): number => {
    mkdirSync(join(folder, 'source'), { recursive: true });
    for (const name of ['fast-cni', 'portmap', 'bandwidth'])
      writeFileSync(join(folder, 'source', name), `I am ${name}`);
    return again();
  };
  const again = (verified?: Verified): number => {
    const [source, binFolder, confFolder] = ['source', 'bin', 'conf'].map((name) => join(folder, name));
    const paths = { source: source ?? '', binFolder: binFolder ?? '', confFolder: confFolder ?? '' };
    return installCni({ ...paths, socket: '/run/fast/agent.sock' }, verified);
  };

  it('puts three executables and a configuration that names them in their order, and nothing else', () => {
    expect(install()).toBe(4);
    expect(readdirSync(join(folder, 'bin'))).toEqual(programs);
    for (const name of programs) expect(statSync(join(folder, 'bin', name)).mode & 0o777).toBe(0o755);
    expect(readdirSync(join(folder, 'conf'))).toEqual(['10-fast.conflist']);
    expect(JSON.parse(readFileSync(join(folder, 'conf/10-fast.conflist'), 'utf8'))).toEqual({
      cniVersion: '1.0.0',
      name: 'fast',
      plugins: [
        {
          type: 'fast-cni',
          socket: '/run/fast/agent.sock',
          capabilities: { portMappings: true, bandwidth: true },
          delegates: { portMappings: 'fast-portmap', bandwidth: 'fast-bandwidth' },
        },
      ],
    });
  });

  it('writes nothing the second time, and what somebody changed again', () => {
    install();
    expect(install()).toBe(0);
    writeFileSync(join(folder, 'bin/fast-portmap'), 'a virus!!');
    rmSync(join(folder, 'conf/10-fast.conflist'));
    expect(install()).toBe(2);
  });

  it('sees a change that keeps the size and the time of a file that it has compared before', () => {
    install();
    const verified: Verified = new Map();
    expect([again(verified), again(verified)]).toEqual([0, 0]);
    const path = join(folder, 'bin/fast-portmap');
    // Whole seconds: a time that is set has no nanoseconds.
    const date = new Date(1_700_000_000_000);
    utimesSync(path, date, date);
    expect([again(verified), again(verified)]).toEqual([0, 0]);
    writeFileSync(path, 'I am a virus');
    utimesSync(path, date, date);
    expect([again(verified), again(verified)]).toEqual([1, 0]);
    expect(readFileSync(path, 'utf8')).toBe('I am portmap');
    writeFileSync(join(folder, 'source/portmap'), 'I am the new');
    expect([again(verified), again(verified)]).toEqual([1, 0]);
    expect(readFileSync(path, 'utf8')).toBe('I am the new');
  });

  it.each(['644', '4755', '777'])(
    'leaves no program that no runtime can run, or everybody can change: chmod %s',
    (mode) => {
      install();
      const verified: Verified = new Map();
      expect(again(verified)).toBe(0);
      const path = join(folder, 'bin/fast-cni');
      chmodSync(path, Number.parseInt(mode, 8));
      expect([again(verified), again(verified)]).toEqual([1, 0]);
      expect(statSync(path).mode & 0o7777).toBe(0o755);
      expect(readFileSync(path, 'utf8')).toBe('I am fast-cni');
    },
  );

  it('takes all of its own away again', () => {
    install();
    removeCni({ binFolder: join(folder, 'bin'), confFolder: join(folder, 'conf') });
    expect([readdirSync(join(folder, 'bin')), readdirSync(join(folder, 'conf'))]).toEqual([[], []]);
  });

  it('leaves the portmap of a distribution as it is', () => {
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'bin/portmap'), "the distribution's");
    install();
    expect(readFileSync(join(folder, 'bin/portmap'), 'utf8')).toBe("the distribution's");
  });
});
