// SPDX-License-Identifier: Apache-2.0
// What the agent tells the host's own programs, and that it takes it back.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { ensureHostFiles, removeHostFiles } from '../../src/node/host-files.ts';

const run = mkdtempSync(join(tmpdir(), 'fast-run-'));
const link = join(run, 'systemd/network/10-fast.link');

afterAll(() => {
  rmSync(run, { recursive: true });
});

it('keeps udev, networkd and NetworkManager off our devices, and mends what somebody changed', () => {
  expect(ensureHostFiles(run)).toBe(3);
  expect(readFileSync(link, 'utf8')).toContain('OriginalName=fast*\n\n[Link]\nMACAddressPolicy=none\n');
  expect(readFileSync(join(run, 'systemd/network/10-fast.network'), 'utf8')).toContain('Unmanaged=yes');
  expect(readFileSync(join(run, 'NetworkManager/conf.d/10-fast.conf'), 'utf8')).toContain('interface-name:fast*');
  expect(ensureHostFiles(run)).toBe(0);
  writeFileSync(link, 'something else');
  expect(ensureHostFiles(run)).toBe(1);
});

it('takes away its own files and nothing else', () => {
  ensureHostFiles(run);
  writeFileSync(join(run, 'systemd/network/20-other.network'), '');
  removeHostFiles(run);
  expect(existsSync(link)).toBe(false);
  expect(readdirSync(join(run, 'systemd/network'))).toEqual(['20-other.network']);
});
