// SPDX-License-Identifier: Apache-2.0
// The way from the host to the API server without an address of the cluster's on the host. A unix socket is a file and
// belongs to no network namespace, so two small processes meet there: `outside` listens on 127.0.0.1 of the host,
// `inside` runs on the control plane's machine and connects to the API server.
// Usage: relay.ts outside PORT SOCKET | relay.ts inside SOCKET PORT
import { rmSync } from 'node:fs';
import type { NetConnectOpts, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { basename, dirname } from 'node:path';

function join(near: Socket, target: NetConnectOpts): void {
  const far = connect(target);
  near.setNoDelay(true);
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}

const [mode, first, second] = process.argv.slice(2);
if (first === undefined || second === undefined || (mode !== 'outside' && mode !== 'inside')) {
  console.error('usage: relay.ts outside PORT SOCKET | relay.ts inside SOCKET PORT');
  process.exit(2);
}
// A socket's path may have 107 bytes only (unix(7)): its name alone, seen from its folder, always fits.
const socketPath = mode === 'outside' ? second : first;
process.chdir(dirname(socketPath));
const path = basename(socketPath);
if (mode === 'outside') {
  createServer({ allowHalfOpen: true }, (near) => join(near, { path, allowHalfOpen: true })).listen(
    Number(first),
    '127.0.0.1',
  );
} else {
  rmSync(path, { force: true });
  const target = { host: '127.0.0.1', port: Number(second), allowHalfOpen: true };
  createServer({ allowHalfOpen: true }, (near) => join(near, target)).listen(path);
}
