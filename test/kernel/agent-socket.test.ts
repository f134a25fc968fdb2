// SPDX-License-Identifier: Apache-2.0
// What the runtime meets on a node: the socket, the installed fast-cni, and the way from one to the other.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildCni } from '../../scripts/build-cni.ts';
import { buildFolder } from '../../scripts/steps.ts';
import { silentLog } from '../../src/kube/log.ts';
import { installCni } from '../../src/node/cni-install.ts';
import { type Handler, SocketServer } from '../../src/node/socket-server.ts';
import { AgentNode, endpointOf, netnsPath, one, outsideDown, outsideUp, record } from './agent-node.ts';

let folder: string;
let server: SocketServer | undefined;
const path = (): string => join(folder, 'run/agent.sock');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fagent-socket-'));
});

afterEach(async () => {
  await server?.stop(1000);
  server = undefined;
  rmSync(folder, { recursive: true });
});

async function serve(handle: Handler): Promise<void> {
  server = new SocketServer({ path: path(), handle, log: silentLog });
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

  it('answers a fault of the agent as an error and serves on', async () => {
    await serve(() => Promise.reject(new Error('a fault')));
    expect(await ask(status)).toEqual({ ok: false, code: 101, msg: 'STATUS failed in the agent: a fault' });
    expect(await ask(status)).toMatchObject({ code: 101 });
  });
});

describe('the installation', () => {
  const install = (): number => {
    writeFileSync(join(folder, 'source'), 'a program');
    return installCni({
      source: join(folder, 'source'),
      binFolder: join(folder, 'bin'),
      confFolder: join(folder, 'conf'),
      socket: '/run/fast/agent.sock',
    });
  };

  it('puts an executable and a configuration, and nothing else', () => {
    expect(install()).toBe(2);
    expect(readdirSync(join(folder, 'bin'))).toEqual(['fast-cni']);
    expect(statSync(join(folder, 'bin/fast-cni')).mode & 0o777).toBe(0o755);
    expect(readdirSync(join(folder, 'conf'))).toEqual(['10-fast.conflist']);
    expect(JSON.parse(readFileSync(join(folder, 'conf/10-fast.conflist'), 'utf8'))).toEqual({
      cniVersion: '1.0.0',
      name: 'fast',
      plugins: [{ type: 'fast-cni', socket: '/run/fast/agent.sock' }],
    });
  });

  it('writes nothing the second time, and what somebody changed again', () => {
    install();
    expect(install()).toBe(0);
    writeFileSync(join(folder, 'bin/fast-cni'), 'a virus!!');
    rmSync(join(folder, 'conf/10-fast.conflist'));
    expect(install()).toBe(2);
  });
});

describe('fast-cni', () => {
  it('wires a pod by the agent, checks it and unwires it', async () => {
    await buildCni();
    await outsideUp();
    const node = await AgentNode.up(one, [endpointOf(one)]);
    try {
      const { attachments } = node.wiring;
      await serve((request) =>
        request.command === 'ADD'
          ? attachments.add(request)
          : request.command === 'DEL'
            ? attachments.del(request)
            : attachments.check(request),
      );
      node.sandbox('p1');
      node.records.put(record('10.244.10.0', 'p1'));
      const added = await cni('ADD');
      expect(added).toMatchObject({ ips: [{ address: '10.244.10.0/32', gateway: '10.244.0.1' }] });
      expect(await cni('CHECK', { prevResult: added })).toBe('');
      expect(await cni('DEL')).toBe('');
      expect(node.wiring.book.list()).toEqual([]);
    } finally {
      await node.down();
      outsideDown();
    }
  });
});

/** Runs the built fast-cni as a runtime does; answers its JSON, or '' for silence. */
async function cni(command: string, more: object = {}): Promise<unknown> {
  const child = spawn(join(buildFolder, 'fast-cni'), {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'container-p1',
      CNI_NETNS: netnsPath('p1'),
      CNI_IFNAME: 'eth0',
      CNI_PATH: buildFolder,
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p1;K8S_POD_UID=p1',
    },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  child.stdin.end(JSON.stringify({ cniVersion: '1.0.0', name: 'fast', type: 'fast-cni', socket: path(), ...more }));
  await once(child, 'close');
  return text === '' ? '' : JSON.parse(text);
}
