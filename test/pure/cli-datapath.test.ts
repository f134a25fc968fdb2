// SPDX-License-Identifier: Apache-2.0
// What fast-ctl makes of a kernel whose bytes and answers are known: drops, rates, links, differences.
import { describe, expect, it } from 'vitest';
import { linkRows } from '../../src/cli/links-command.ts';
import type { Attached, Device } from '../../src/cli/node-kernel.ts';
import type { Surroundings } from '../../src/cli/surroundings.ts';
import { encodeClusterPod, encodeLocalDev, encodeLocalPod, type RawEntry } from '../../src/datapath/codecs.ts';
import { counters, maps, structs } from '../../src/datapath/generated/layout.ts';
import { fastCtl } from './cli-shell.ts';

const spoofed = counters.find(({ program, reason }) => program === 'from_pod' && reason === 'spoofed')?.number ?? 0;
const local = counters.find(({ name }) => name === 'from_pod_local')?.number ?? 0;
/** The kernel's clock while the commands look. */
const nowNs = 100_000_000_000n;

function counterEntry(number: number, packets: number): RawEntry {
  const [key, value] = [new DataView(new ArrayBuffer(4)), new DataView(new ArrayBuffer(8))];
  key.setUint32(0, number, true);
  value.setBigUint64(0, BigInt(packets), true);
  return [new Uint8Array(key.buffer), new Uint8Array(value.buffer)];
}

function dropEntry(sequence: number, atNs: bigint, source = 0x0a_09_09_09): RawEntry {
  const view = new DataView(new ArrayBuffer(maps.drops.valueSize));
  const at = structs.dropRecord;
  view.setBigUint64(at.atNs.offset, atNs, true);
  view.setBigUint64(at.sequence.offset, BigInt(sequence), true);
  view.setUint32(at.counter.offset, spoofed, true);
  view.setUint32(at.ifindex.offset, 7, true);
  view.setUint32(at.bytes.offset, 74, true);
  view.setUint32(at.source.offset, source);
  view.setUint32(at.destination.offset, 0x0a_f4_0a_01);
  view.setUint16(at.ethertype.offset, source === 0 ? 0x8100 : 0x0800);
  view.setUint16(at.sourcePort.offset, 40_000);
  view.setUint16(at.destinationPort.offset, 80);
  view.setUint8(at.protocol.offset, 6);
  return [new Uint8Array(4), new Uint8Array(view.buffer)];
}

/** A node whose maps are these, at each look the next ones; Ctrl-C comes when there are no more. */
function node(...looks: Record<string, RawEntry[]>[]): Partial<Surroundings> {
  const stop = new AbortController();
  let look = 0;
  return {
    openMaps: () => (name) => Promise.resolve(looks[look]?.[name] ?? []),
    deviceName: (ifindex) => (ifindex === 7 ? 'fast0123456789' : undefined),
    monotonicNs: () => nowNs + BigInt(look) * 2_000_000_000n,
    stopped: stop.signal,
    sleep: () => {
      look += 1;
      if (look >= looks.length - 1) stop.abort();
      return Promise.resolve();
    },
  };
}

describe('fast-ctl drops', () => {
  const given = node({
    counters: [counterEntry(spoofed, 12), counterEntry(local, 99)],
    drops: [dropEntry(2, nowNs - 3_000_000_000n), dropEntry(1, nowNs - 90_000_000_000n, 0)],
  });

  it('says which reasons there are, where it is asked for one that there is not', async () => {
    const shown = await fastCtl('drops --reason spoofd', { openMaps: () => async () => [] });
    expect(shown.code).toBe(1);
    expect(shown.stdout).toBe('');
    expect(shown.stderr).toMatch(/argument 'spoofd' is invalid\. Allowed choices are .*\bspoofed\b/);
  });

  it('sums up by reason, with the last packet of each', async () => {
    const { stdout } = await fastCtl('drops', given);
    const [head = '', line = '', ...rest] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^PROGRAM +REASON +PACKETS +LAST +PACKET +MEANING$/);
    expect(line).toMatch(/^from_pod +spoofed +12 +3 s +10\.9\.9\.9:40000 → 10\.244\.10\.1:80 TCP +a source address/);
    expect(rest).toEqual([]);
  });

  it('shows the last packets with their time, and what was not read of them', async () => {
    const { stdout } = await fastCtl('drops --last 10', given);
    const [, first = '', second = ''] = stdout.split('\n');
    expect(first).toMatch(/^2026-11-25T11:58:30\.000Z +from_pod +spoofed +fast0123456789 +ethertype 0x8100 +74$/);
    expect(second).toMatch(/^2026-11-25T11:59:57\.000Z .*10\.9\.9\.9:40000/);
    expect((await fastCtl('drops --last 0', given)).stderr).toContain('from 1 to 1024, which is all that is kept');
  });

  it('follows: each record once, and the head once', async () => {
    const old = dropEntry(1, nowNs);
    const looks = [[old], [old], [old, dropEntry(2, nowNs)], [old, dropEntry(2, nowNs), dropEntry(3, nowNs)], []];
    const { stdout, ...ended } = await fastCtl('drops -f', node(...looks.map((drops) => ({ drops }))));
    expect(ended, 'by Ctrl-C, as a shell counts it').toEqual({ code: 130, stderr: '' });
    expect(stdout.match(/^AT /gm)).toHaveLength(1);
    expect(stdout.match(/spoofed/g)).toHaveLength(2);
    const lines = (await fastCtl('drops -f -o json', node(...looks.map((drops) => ({ drops }))))).stdout;
    const sequences = lines
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { sequence: number }).sequence);
    expect(sequences).toEqual([2, 3]);
    const yaml = (await fastCtl('drops -f -o yaml', node(...looks.map((drops) => ({ drops }))))).stdout;
    expect(yaml.match(/^- at: /gm)).toHaveLength(2);
  });

  it('follows after the last ones, where these are asked for', async () => {
    const old = [1, 2, 3].map((sequence) => dropEntry(sequence, nowNs));
    const looks = [{ drops: old }, { drops: old }, { drops: [...old, dropEntry(4, nowNs)] }, {}];
    const shown = async (line: string): Promise<number> =>
      (await fastCtl(line, node(...looks))).stdout.match(/spoofed/g)?.length ?? 0;
    expect([await shown('drops -f'), await shown('drops -f --last 2'), await shown('drops -f --last 9')]).toEqual([
      1, 3, 4,
    ]);
  });

  it('gives numbers and words to programs, and the sentences for people beside them', async () => {
    const [summed] = JSON.parse((await fastCtl('drops -o json', given)).stdout) as Array<Record<string, unknown>>;
    const packet = {
      source: '10.9.9.9',
      sourcePort: 40_000,
      destination: '10.244.10.1',
      destinationPort: 80,
      protocol: 6,
      protocolName: 'TCP',
      etherType: 0x08_00,
      etherTypeName: 'IPv4',
    };
    const last = { at: '2026-11-25T11:59:57.000Z', device: 'fast0123456789', ifindex: 7, bytes: 74, ...packet };
    expect(summed).toMatchObject({
      program: 'from_pod',
      reason: 'spoofed',
      packets: 12,
      last: '3 s',
      lastAgeSeconds: 3,
      lastPacket: last,
    });
  });

  it('leaves out what was not read of a packet, instead of an address that it never had', async () => {
    const [first] = JSON.parse((await fastCtl('drops --last 10 -o json', given)).stdout) as object[];
    expect(Object.keys(first ?? {})).not.toContain('source');
    expect(first).toMatchObject({ etherType: 0x81_00, packet: 'ethertype 0x8100' });
  });
});

describe('fast-ctl monitor', () => {
  it('that is ended by Ctrl-C says so by its exit code, and one that has shown enough does not', async () => {
    const looks = [{ counters: [] }, { counters: [] }, { counters: [] }];
    expect(await fastCtl('monitor', node(...looks))).toMatchObject({ code: 130, stderr: '' });
    expect(await fastCtl('monitor --count 1', node(...looks))).toMatchObject({ code: 0, stderr: '' });
    const ended = { ...node(...looks), stopped: AbortSignal.abort('SIGTERM') };
    expect(await fastCtl('monitor', ended), 'by SIGTERM').toMatchObject({ code: 143, stderr: '' });
  });

  it('shows what moved, by the time that has really passed', async () => {
    const looks = [10, 30, 30].map((packets) => ({
      counters: [counterEntry(local, packets), counterEntry(spoofed, 5)],
    }));
    const { stdout } = await fastCtl('monitor --count 1 -o json', node(...looks));
    expect(JSON.parse(stdout)).toMatchObject({
      seconds: 2,
      rates: [{ program: 'from_pod', reason: 'local', verdict: 'redirect', perSecond: 10, packets: 30 }],
    });
    expect((await fastCtl('monitor --count 0', {})).stderr).toContain('give a whole number from 1 on');
  });

  it.each([
    ['500ms', 500],
    ['2s', 2_000],
    ['1.5s', 1_500],
    ['2m', 120_000],
  ])('counts for as long as --interval %s says', async (text, ms) => {
    const slept: number[] = [];
    const sleep = (delayMs: number): Promise<void> => Promise.resolve(void slept.push(delayMs));
    const looks = [10, 30].map((packets) => ({ counters: [counterEntry(local, packets)] }));
    await fastCtl(`monitor --count 1 --interval ${text}`, { ...node(...looks), sleep });
    expect(slept).toEqual([ms]);
  });

  it('says in which form an interval is wanted', async () => {
    const { stderr } = await fastCtl('monitor --interval 1d');
    expect(stderr).toContain('Write a duration from 100ms to 1h, such as 500ms, 5s or 1m.');
  });
});

describe('fast-ctl links', () => {
  const devices: Device[] = [
    { ifindex: 2, name: 'eth0', alias: '', state: 'up' },
    { ifindex: 3, name: 'fast_vxlan', alias: '', state: 'unknown' },
    { ifindex: 7, name: 'fast0123456789', alias: 'fast:uid:container:10.244.10.0', state: 'up' },
  ];
  const on = (ifindex: number, direction: 'ingress' | 'egress', program: string): Attached => ({
    device: devices.find((one) => one.ifindex === ifindex)?.name ?? '',
    ifindex,
    direction,
    hook: 'tcx',
    program,
    programId: 1,
    tag: 'aa',
  });
  const states = (...attached: Attached[]): string[] =>
    linkRows(devices, attached).map(
      ({ device, program, state }) => `${String(device)} ${String(program)} ${String(state)}`,
    );
  const whole = [on(3, 'ingress', 'from_overlay'), on(3, 'egress', 'to_overlay'), on(7, 'ingress', 'from_pod')];

  it('are in place, with mode direct or without', () => {
    expect(states(...whole).every((state) => state.endsWith('in place'))).toBe(true);
    expect(states(...whole, on(2, 'ingress', 'from_uplink')).at(-1)).toBe('eth0 from_uplink in place');
  });

  it('are stray the second time, in the wrong place, or the wrong way round', () => {
    expect(states(...whole, on(7, 'ingress', 'from_pod')).at(-1)).toBe('fast0123456789 from_pod stray');
    expect(states(...whole, on(2, 'ingress', 'from_pod')).at(-1)).toBe('eth0 from_pod stray');
    expect(states(on(3, 'egress', 'from_overlay'))[0]).toBe('fast_vxlan from_overlay stray');
  });

  it('are asked for on a machine that is no node', async () => {
    const bare = {
      devices: () => [devices[0]],
      attached: () => [on(2, 'ingress', 'cil_from_netdev')],
      close: () => undefined,
    };
    const shown = await fastCtl('links -o json', { openKernel: () => Promise.resolve(bare as never) });
    expect(shown).toMatchObject({ code: 1, stdout: '' });
    expect(shown.stderr).toContain('neither fast_vxlan nor a wire; is the fast-agent running on it? Else add --node');
  });

  it('of others are others', () => {
    expect(states(...whole, on(2, 'ingress', 'cil_from_netdev')).at(-1)).toBe('eth0 cil_from_netdev other');
  });
});

describe('fast-ctl maps diff', () => {
  const endpoint = (name: string, tunnelAddress: string, overlayAddress: string, podAddresses: string[]) => ({
    metadata: { name },
    spec: { nodeUID: name, tunnelAddress, overlayAddress, podAddresses },
  });
  const endpoints = [
    endpoint('one', '10.0.0.1', '10.244.224.0', ['10.244.10.0', '10.244.10.1']),
    endpoint('two', '10.0.0.2', '10.244.224.1', ['10.244.10.2', '10.244.10.3']),
  ];
  const recordOf = (address: string, face: string) => ({
    metadata: { name: address },
    spec: { address, nodeName: 'one', owner: { kind: 'Pod', name: address, uid: address }, state: 'Bound' },
    status: { attached: { owner: { uid: address }, containerID: 'c', interface: face } },
  });
  const records = [recordOf('10.244.10.0', 'fast0123456789'), recordOf('10.244.10.1', 'fastaaaaaaaaaa')];
  const dev = { vxlanIfindex: 3, uplinkIfindex: 2, overlayMtu: 1450, uplinkMtu: 1500, fastPath: true };
  const pod = { podMac: '0a:fa:0a:f4:0a:00', hostMac: '02:fa:57:00:00:01', stackOnly: false };
  const way = { direct: false, adjacent: true };
  const cluster = () =>
    Promise.resolve({
      list: ({ plural }: { plural: string }) =>
        Promise.resolve({ items: plural === 'nodeendpoints' ? endpoints : records, resourceVersion: '1' }),
    } as never);
  const kernel = {
    local_dev: [encodeLocalDev({ ...dev, overlayAddress: '10.244.224.0' })],
    local_pod_ips: [
      encodeLocalPod({ ...pod, address: '10.244.10.0', ifindex: 7 }),
      encodeLocalPod({ ...pod, address: '10.244.10.9', ifindex: 8 }),
    ],
    cluster_pod_ips: [
      encodeClusterPod({ address: '10.244.224.1', nodeAddress: '10.0.0.2', ...way }),
      encodeClusterPod({ address: '10.244.10.2', nodeAddress: '10.0.0.3', ...way }),
    ],
  };

  it('names what is missing, differs and is stray, and ends with 1', async () => {
    const { code, stdout } = await fastCtl('maps diff -o json', { ...node(kernel), cluster });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual([
      { map: 'local_pod_ips', address: '10.244.10.1', difference: 'missing', desired: 'fastaaaaaaaaaa' },
      { map: 'local_pod_ips', address: '10.244.10.9', difference: 'stray', kernel: 'device 8' },
      {
        map: 'cluster_pod_ips',
        address: '10.244.10.2',
        difference: 'differs',
        desired: 'node 10.0.0.2',
        kernel: 'node 10.0.0.3',
      },
      { map: 'cluster_pod_ips', address: '10.244.10.3', difference: 'missing', desired: 'node 10.0.0.2' },
    ]);
  });

  it('is content where the kernel has what the objects want', async () => {
    const right = {
      ...kernel,
      local_pod_ips: [
        encodeLocalPod({ ...pod, address: '10.244.10.0', ifindex: 7 }),
        encodeLocalPod({ ...pod, address: '10.244.10.1', ifindex: 9 }),
      ],
      cluster_pod_ips: ['10.244.224.1', '10.244.10.2', '10.244.10.3'].map((address) =>
        encodeClusterPod({ address, nodeAddress: '10.0.0.2', ...way }),
      ),
    };
    const names: Partial<Record<number, string>> = { 7: 'fast0123456789', 9: 'fastaaaaaaaaaa' };
    const shown = await fastCtl('maps diff', { ...node(right), cluster, deviceName: (index) => names[index] });
    expect(shown).toMatchObject({ code: 0, stdout: 'no difference\n' });
  });

  it('is content with a wire of which its agent has not told yet', async () => {
    const { status: _untold, ...untold } = recordOf('10.244.10.9', 'fastbbbbbbbbbb');
    records.push(untold as never);
    const { stdout } = await fastCtl('maps diff -o json', { ...node(kernel), cluster });
    records.pop();
    expect(stdout).toContain('10.244.10.1');
    expect(stdout).not.toContain('10.244.10.9');
  });

  it("is refused for another cluster's machine", async () => {
    const foreign = { local_dev: [encodeLocalDev({ ...dev, overlayAddress: '10.1.1.1' })] };
    const shown = await fastCtl('maps diff', { ...node(foreign), cluster });
    expect(shown.code).toBe(1);
    expect(shown.stderr).toContain('overlay address is 10.1.1.1 and no NodeEndpoint of the cluster has it');
  });
});

describe('fast-ctl trace of a pod by its name', () => {
  const record = {
    spec: {
      owner: { kind: 'Pod', namespace: 'shop', name: 'web' },
      state: 'Bound',
      address: '10.244.10.0',
      nodeName: 'one',
    },
  };
  const clusterWith = (asked: string[][]) => () =>
    Promise.resolve({
      list: ({ plural }: { plural: string }) =>
        Promise.resolve({
          items: plural === 'pods' ? [{ metadata: { name: 'agent-1' }, status: { phase: 'Running' } }] : [record],
        }),
      exec: (_target: unknown, command: string[]) => {
        asked.push(command);
        return Promise.resolve(0);
      },
    } as never);

  it('is asked on the node of the pod, by addresses', async () => {
    const asked: string[][] = [];
    const { code } = await fastCtl('trace shop/web 10.96.0.1 --port 443', { cluster: clusterWith(asked) });
    expect(code).toBe(0);
    expect(asked.map((words) => words.slice(0, 8).join(' '))).toEqual([
      'fast-ctl trace 10.244.10.0 10.96.0.1 --protocol tcp --port 443',
    ]);
  });

  it('says that there is no such pod', async () => {
    const shown = await fastCtl('trace shop/nobody 10.96.0.1', { cluster: clusterWith([]) });
    expect(shown.stderr).toBe('fast-ctl: no pod shop/nobody has an address; kubectl get ipallocations\n');
  });
});
