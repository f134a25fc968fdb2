// SPDX-License-Identifier: Apache-2.0
// `exec` without a cluster: a server that speaks as much WebSocket as one exit code needs, and a proxy in front of it.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Access } from '../../src/kube/auth.ts';
import { execInPod } from '../../src/kube/exec.ts';
import { createAuthorities, sign } from '../cluster/certificates.ts';

const target = { namespace: 'fast-system', pod: 'fast-agent-a', container: 'agent' };
/** Of RFC 6455, section 1.3. */
const websocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const offMessage = 'error dialing backend: dial tcp 10.0.0.2:10250: i/o timeout';

const folder = mkdtempSync(join(tmpdir(), 'fast-exec-'));
const read = (name: string): Buffer => readFileSync(join(folder, name));
let server: Server;
let proxy: Server;
let handshakes: string[] = [];
let tunnels: string[] = [];
/** Requests that ask for no upgrade: why one was refused. */
let asked = 0;

/** A binary message on one of the channels. Servers do not mask, and all of ours are short. */
function frame(channel: number, text: string): Buffer {
  const payload = Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
  return Buffer.concat([Buffer.from([0x82, payload.length]), payload]);
}

const portOf = (of: Server): number => (of.address() as AddressInfo).port;

beforeAll(async () => {
  await createAuthorities(folder);
  await sign(folder, { file: 'server', commonName: 'server', alternativeNames: ['IP:127.0.0.1', 'DNS:kube.example'] });
  server = createTlsServer({ cert: read('server.crt'), key: read('server.key') });
  const message = 'pods "fast-agent-a" is forbidden: User "jane" cannot create resource "pods/exec"';
  server.on('request', (_request, response) => {
    asked += 1;
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', code: 403, reason: 'Forbidden', message }));
  });
  server.on('upgrade', (request, socket) => {
    handshakes.push(request.url ?? '');
    if (request.url?.includes('refused') === true) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const key = `${request.headers['sec-websocket-key']}${websocketGuid}`;
    const accept = createHash('sha1').update(key).digest('base64');
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    head.push(`Sec-WebSocket-Accept: ${accept}`, 'Sec-WebSocket-Protocol: v5.channel.k8s.io', '', '');
    socket.write(head.join('\r\n'));
    socket.on('error', () => undefined);
    if (request.url?.includes('sleep') === true) return;
    if (request.url?.includes('off') === true) {
      socket.write(frame(3, JSON.stringify({ status: 'Failure', message: offMessage })));
      return;
    }
    socket.write(frame(1, 'hello'));
    const causes = [{ reason: 'ExitCode', message: '7' }];
    socket.write(frame(3, JSON.stringify({ status: 'Failure', details: { causes } })));
  });
  proxy = createServer();
  proxy.on('connect', (request, socket) => {
    tunnels.push(request.url ?? '');
    const far = connectTcp(portOf(server), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    far.pipe(socket).pipe(far);
    for (const end of [far, socket]) end.on('error', () => undefined);
  });
  for (const each of [server, proxy]) await once(each.listen(0, '127.0.0.1'), 'listening');
});
beforeEach(() => {
  handshakes = [];
  tunnels = [];
  asked = 0;
});
afterAll(() => {
  for (const each of [server, proxy]) each.close();
  rmSync(folder, { recursive: true });
});

const access = (more: Partial<Access> = {}): (() => Promise<Access>) => {
  const origin = `https://127.0.0.1:${portOf(server)}`;
  const tls = { ca: read('ca.crt') };
  return () => Promise.resolve({ origin, prefix: '', headers: {}, tls, proxyUrl: undefined, fingerprint: '', ...more });
};
const run = async (accessOf: () => Promise<Access>, command: string[], signal?: AbortSignal) => {
  let stdout = '';
  const streams = { stdout: (text: string) => void (stdout += text), stderr: () => undefined };
  const code = await execInPod(accessOf, target, command, { ...streams, ...(signal === undefined ? {} : { signal }) });
  return { code, stdout };
};

describe('exec', () => {
  it('answers what the program said and its exit code', async () => {
    expect(await run(access(), ['fast-ctl', 'maps'])).toEqual({ code: 7, stdout: 'hello' });
    expect(handshakes).toEqual([
      '/api/v1/namespaces/fast-system/pods/fast-agent-a/exec?container=agent&stdout=true&stderr=true&command=fast-ctl&command=maps',
    ]);
  });

  it('goes through the proxy of the kubeconfig, as every other request does', async () => {
    const origin = 'https://kube.example:6443';
    const proxyUrl = `http://127.0.0.1:${portOf(proxy)}`;
    expect(await run(access({ origin, proxyUrl }), ['true'])).toEqual({ code: 7, stdout: 'hello' });
    expect(tunnels).toEqual(['kube.example:6443']);
  });

  it('that is refused fails with the reason and the API server’s own words', async () => {
    await expect(run(access(), ['refused'])).rejects.toMatchObject({
      reason: 'forbidden',
      message: expect.stringContaining('User "jane" cannot create resource "pods/exec"'),
    });
  });

  it('to a node that is off fails with the API server’s words, and does not ask it for others', async () => {
    await expect(run(access(), ['off'])).rejects.toThrow(offMessage);
    expect(asked).toBe(0);
  });

  it('begins nothing after Ctrl-C, and ends at once what was begun', async () => {
    expect(await run(access(), ['true'], AbortSignal.abort())).toEqual({ code: 130, stdout: '' });
    expect(handshakes).toEqual([]);
    const stop = new AbortController();
    const running = run(access(), ['sleep'], stop.signal);
    while (handshakes.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort();
    expect((await running).code).toBe(130);
  });
});
