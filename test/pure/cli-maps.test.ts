// SPDX-License-Identifier: Apache-2.0
// What fast-ctl prints about maps whose bytes are known, and what it says to a command line that is wrong.
import { describe, expect, it } from 'vitest';
import { encodeClusterPod, encodeLocalDev, encodeLocalPod } from '../../src/datapath/codecs.ts';
import type { RawEntry } from '../../src/datapath/codecs.ts';
import { fastCtl as shell, type Shown } from './cli-shell.ts';

const hostMac = '02:fa:57:00:00:01';

function counter(number: number, ...perCpu: bigint[]): RawEntry {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, number, true);
  const value = new Uint8Array(8 * perCpu.length);
  for (const [cpu, packets] of perCpu.entries()) new DataView(value.buffer).setBigUint64(8 * cpu, packets, true);
  return [key, value];
}

const node: Record<string, RawEntry[]> = {
  local_pod_ips: [
    encodeLocalPod({ address: '10.244.10.10', ifindex: 12, podMac: '02:fa:57:0a:f4:0b', hostMac, stackOnly: true }),
    encodeLocalPod({ address: '10.244.10.9', ifindex: 7, podMac: '02:fa:57:0a:f4:0a', hostMac, stackOnly: false }),
  ],
  cluster_pod_ips: [
    encodeClusterPod({ address: '200.0.0.1', nodeAddress: '10.29.15.50', direct: true, adjacent: true }),
    encodeClusterPod({ address: '10.244.10.1', nodeAddress: '10.29.15.49', direct: false, adjacent: true }),
  ],
  local_dev: [
    encodeLocalDev({
      vxlanIfindex: 4,
      uplinkIfindex: 2,
      overlayAddress: '10.244.224.0',
      overlayMtu: 1450,
      uplinkMtu: 1500,
      fastPath: true,
    }),
  ],
  counters: [counter(0, 40n, 2n), counter(1, 0n, 0n)],
};

async function fastCtl(line: string, maps = node): Promise<Shown & { folders: string[] }> {
  const folders: string[] = [];
  const openMaps = (folder: string) => {
    folders.push(folder);
    return (name: string) => {
      const entries = maps[name];
      return entries === undefined ? Promise.reject(new Error(`there is no map ${name}`)) : Promise.resolve(entries);
    };
  };
  return { ...(await shell(line, { openMaps })), folders };
}

describe('fast-ctl maps list', () => {
  it('shows the pods of the node in the order of their addresses', async () => {
    const { code, stdout, stderr } = await fastCtl('maps list local_pod_ips');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(
      [
        'ADDRESS        IFINDEX   POD-MAC             HOST-MAC            STACK-ONLY',
        '10.244.10.9    7         02:fa:57:0a:f4:0a   02:fa:57:00:00:01   false',
        '10.244.10.10   12        02:fa:57:0a:f4:0b   02:fa:57:00:00:01   true',
        '',
      ].join('\n'),
    );
  });

  it('shows the pods of other nodes, also above 128.0.0.0, in order', async () => {
    expect((await fastCtl('maps list cluster_pod_ips')).stdout).toBe(
      [
        'ADDRESS       NODE-ADDRESS   DIRECT   ADJACENT',
        '10.244.10.1   10.29.15.49    false    true',
        '200.0.0.1     10.29.15.50    true     true',
        '',
      ].join('\n'),
    );
  });

  it('shows the facts of the node', async () => {
    const { stdout } = await fastCtl('maps list local_dev');
    expect(stdout.split('\n')[1]).toBe(
      '10.244.224.0      1450          1500         4               2                true',
    );
  });

  it('sums a counter over the CPUs, and shows those at nought', async () => {
    const lines = (await fastCtl('maps list counters')).stdout.split('\n');
    expect(lines[0]).toMatch(/^COUNTER +PACKETS +DROP +MEANING$/);
    expect(lines[1]).toMatch(/^from_pod_local +42 +false +to a pod of this node/);
    expect(lines[2]).toMatch(/^from_pod_tunnel +0 +false /);
  });

  it('prints one map as a JSON list', async () => {
    expect(JSON.parse((await fastCtl('maps list cluster_pod_ips -o json')).stdout)).toEqual([
      { address: '10.244.10.1', nodeAddress: '10.29.15.49', direct: false, adjacent: true },
      { address: '200.0.0.1', nodeAddress: '10.29.15.50', direct: true, adjacent: true },
    ]);
    const counters = JSON.parse((await fastCtl('maps list counters -o json')).stdout) as { packets: number }[];
    expect(counters[0]).toMatchObject({ number: 0, name: 'from_pod_local', program: 'from_pod', packets: 42 });
  });

  it('prints all maps as one JSON object by name', async () => {
    const all = JSON.parse((await fastCtl('maps list --output json')).stdout) as Record<string, unknown[]>;
    expect(Object.keys(all)).toEqual(['local_pod_ips', 'cluster_pod_ips', 'local_dev', 'counters']);
    expect(all['local_pod_ips']).toHaveLength(2);
  });

  it('shows all maps, each under its name, and says which are empty', async () => {
    const { stdout } = await fastCtl('maps list', { ...node, local_pod_ips: [] });
    expect(stdout).toContain('local_pod_ips\nno entries\n\ncluster_pod_ips\nADDRESS');
    expect((await fastCtl('maps list local_pod_ips -o json', { local_pod_ips: [] })).stdout).toBe('[]\n');
  });

  it("looks under the agent's pins unless it is told otherwise", async () => {
    expect((await fastCtl('maps list')).folders).toEqual(['/sys/fs/bpf/fast']);
    expect((await fastCtl('maps list --pin-folder /sys/fs/bpf/other')).folders).toEqual(['/sys/fs/bpf/other']);
  });

  it('says what failed in one line, and prints nothing else', async () => {
    const shown = await fastCtl('maps list counters', {});
    expect(shown).toMatchObject({ code: 1, stdout: '', stderr: 'fast-ctl: there is no map counters\n' });
  });

  it('says whose map it is when the bytes are not of this build', async () => {
    const shown = await fastCtl('maps list local_dev', { local_dev: [[new Uint8Array(4), new Uint8Array(3)]] });
    expect(shown.code).toBe(1);
    expect(shown.stderr).toContain("the map is another build's");
  });
});

describe('a wrong command line', () => {
  it.each([
    ['maps list nope', "'nope' is invalid for argument 'name'. Allowed choices are local_pod_ips, cluster_pod_ips"],
    ['maps list -o xml', "argument 'xml' is invalid. Allowed choices are table, wide, json, yaml."],
    ['maps list counters local_dev', 'too many arguments'],
    ['maps list --colour', "unknown option '--colour'"],
    ['map list', "unknown command 'map'\n(Did you mean maps?)"],
  ])('%s is answered by what there is', async (line, sentence) => {
    const shown = await fastCtl(line);
    expect(shown).toMatchObject({ code: 1, stdout: '', folders: [] });
    expect(shown.stderr).toContain(sentence);
    expect(shown.stderr).toMatch(/^fast-ctl: /);
  });

  it.each(['--help', 'maps --help', 'maps list --help', 'help maps'])('%s succeeds', async (line) => {
    const shown = await fastCtl(line);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^Usage: fast-ctl /);
  });
});

it.each(['maps set', 'maps diff', 'ipam show', 'status'])(
  'fast-ctl help %s is the help of that command',
  async (line) => {
    const shown = await fastCtl(`help ${line}`);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(new RegExp(`^Usage: fast-ctl ${line} `));
  },
);

describe('fast-ctl maps set', () => {
  const known =
    'the fields of local_dev are vxlanIfindex, uplinkIfindex, overlayAddress, overlayMtu, uplinkMtu, fastPath';

  it.each([
    ['nosuch=1', 'local_dev has no field "nosuch"'],
    ['toString=1', 'local_dev has no field "toString"'],
    ['fastPath', '"fastPath" is not FIELD=VALUE'],
  ])('says what is wrong with %s, and the fields', async (word, sentence) => {
    const { code, stderr } = await shell(`maps set local_dev ${word}`);
    expect({ code, stderr }).toEqual({ code: 1, stderr: `fast-ctl: ${sentence}; ${known}\n` });
  });
});

describe('fast-ctl maps get', () => {
  const openKernel = () =>
    Promise.resolve({
      lookup: (name: string) => node[name]?.[0]?.[1],
      close: () => undefined,
    } as never);

  it('shows the one entry of a map without a key', async () => {
    const { stdout } = await shell('maps get local_dev -o json', { openKernel });
    expect(JSON.parse(stdout)).toMatchObject({ overlayAddress: '10.244.224.0' });
  });

  it('refuses a key where the map has none, instead of showing an entry that nobody asked for', async () => {
    expect(await shell('maps get local_dev 10.244.10.9', { openKernel })).toEqual({
      code: 1,
      stdout: '',
      stderr: 'fast-ctl: the key is "10.244.10.9"; local_dev has one entry and no key: leave it out\n',
    });
  });

  it('asks for a key where the map has one', async () => {
    const { stderr } = await shell('maps get cluster_pod_ips', { openKernel });
    expect(stderr).toBe('fast-ctl: cluster_pod_ips has an entry for each address; name one\n');
  });
});
