// SPDX-License-Identifier: Apache-2.0
// fast-ctl as a process, against maps that are really pinned.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BpfMap } from 'ebpf-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';
import { encodeClusterPod, encodeLocalDev, encodeLocalPod } from '../../src/datapath/codecs.ts';
import { maps } from '../../src/datapath/generated/layout.ts';
import { mapPins } from '../../src/datapath/pins.ts';

const bpffs = mkdtempSync(join(tmpdir(), 'fast-ctl-'));
const folder = join(bpffs, 'fast');

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function fastCtl(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, 'src/cli/main.ts'), ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

beforeAll(() => {
  execFileSync('mount', ['-t', 'bpf', 'bpf', bpffs]);
  const pins = mapPins(folder);
  const types = {
    local_pod_ips: 'hash',
    cluster_pod_ips: 'hash',
    local_dev: 'array',
    counters: 'percpu_array',
    drops: 'array',
    drops_told: 'percpu_array',
    drops_written: 'array',
  } as const;
  for (const blueprint of Object.values(maps)) {
    const map = BpfMap.create({ ...blueprint, type: types[blueprint.name], flags: 0 });
    const hostMac = '02:fa:57:00:00:01';
    if (map.name === 'local_pod_ips') {
      const pod = { ifindex: 7, podMac: '02:fa:57:0a:f4:0a', hostMac, stackOnly: false };
      for (const address of ['10.244.10.10', '10.244.10.9']) map.update(...encodeLocalPod({ ...pod, address }));
    }
    if (map.name === 'cluster_pod_ips') {
      // More than one chunk of a batched walk.
      const entries = Array.from({ length: 5000 }, (_, i) =>
        encodeClusterPod({
          address: `10.1.${i >> 8}.${i & 255}`,
          nodeAddress: '10.29.15.49',
          direct: false,
          adjacent: true,
        }),
      );
      map.updateBatch(entries);
    }
    if (map.name === 'local_dev') {
      const dev = { vxlanIfindex: 4, uplinkIfindex: 2, overlayAddress: '10.244.224.0' };
      map.update(...encodeLocalDev({ ...dev, overlayMtu: 1450, uplinkMtu: 1500, fastPath: true }));
    }
    map.pin(pins[blueprint.name] ?? '');
    map.close();
  }
});

afterAll(() => {
  execFileSync('umount', [bpffs]);
  rmdirSync(bpffs);
});

describe('fast-ctl on a node', () => {
  it('reads the pinned maps', async () => {
    const ended = await fastCtl('maps', 'list', '-o', 'json', '--pin-folder', folder);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const all = JSON.parse(ended.stdout) as Record<string, Record<string, unknown>[]>;
    expect(all['local_pod_ips']?.map((entry) => entry['address'])).toEqual(['10.244.10.9', '10.244.10.10']);
    expect(all['cluster_pod_ips']).toHaveLength(5000);
    expect(all['cluster_pod_ips']?.[4999]).toMatchObject({ address: '10.1.19.135', nodeAddress: '10.29.15.49' });
    expect(all['local_dev']).toMatchObject([{ vxlanIfindex: 4, overlayMtu: 1450, uplinkMtu: 1500, fastPath: true }]);
    expect(all['counters']?.[0]).toMatchObject({ name: 'from_pod_local', packets: 0 });
  });

  it('prints a table', async () => {
    const ended = await fastCtl('maps', 'list', 'local_pod_ips', '--pin-folder', folder);
    expect(ended.code).toBe(0);
    expect(ended.stdout.split('\n')[1]).toMatch(/^10\.244\.10\.9 +7 +02:fa:57:0a:f4:0a/);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('that looks until it is ended is ended by %s, and says so by its exit code', async (signal, wanted) => {
    const line = ['monitor', '--interval', '100ms', '--pin-folder', folder];
    const child = spawn(process.execPath, [join(root, 'src/cli/main.ts'), ...line]);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.once('data', () => child.kill(signal));
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, stderr }).toEqual({ code: wanted, stderr: '' });
  });

  it('asks for the agent when nothing is pinned', async () => {
    const ended = await fastCtl('maps', 'list', 'counters', '--pin-folder', `${folder}-none`);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toBe(
      `fast-ctl: there is no map counters at ${folder}-none/v2/counters; is the fast-agent running on this node? From another machine: --node NODE\n`,
    );
  });
});
