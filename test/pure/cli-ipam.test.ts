// SPDX-License-Identifier: Apache-2.0
// fast-ctl ipam on a cluster that is a handful of objects and the answers of its agents.
import { describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { apiVersion, poolFinalizer } from '../../src/api/names.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { Pod } from '../../src/api/workloads.ts';
import type { Cluster } from '../../src/cli/surroundings.ts';
import { fastCtl, type Shown } from './cli-shell.ts';

/** By plural; what `exec` in the agent of a node prints, by node; what changes between two looks. */
interface Small {
  readonly [plural: string]: KubeObject[];
}

const now = '2026-11-25T12:00:00Z';

function pool(name: string, ips: string[], status: Partial<Ips['status']> = {}): Ips {
  const spec = { subnet: '10.244.0.1/32', ips, coolDownSeconds: 30 };
  return { apiVersion, kind: 'Ips', metadata: { name, finalizers: [poolFinalizer] }, spec, status: { ...status } };
}

function record(address: string, pod: string, more: Partial<IpAllocation['spec']> = {}): IpAllocation {
  const owner = { kind: 'Pod' as const, namespace: 'default', name: pod, uid: `${pod}-uid` };
  const spec = { address, ips: 'small', gateway: '10.244.0.1', prefixLength: 32, nodeName: 'one', nodeUID: 'one-uid' };
  const attached = { owner: { uid: owner.uid }, containerID: 'c', interface: 'i' };
  const metadata = { name: address, uid: address, resourceVersion: '1' };
  return { metadata, spec: { ...spec, owner, state: 'Bound', stateSince: now, ...more }, status: { attached } };
}

function pod(name: string, podIP: string): Pod {
  const metadata = { name, namespace: 'default', uid: `${name}-uid` };
  return { metadata, spec: { nodeName: 'one' }, status: { phase: 'Running', podIP } };
}

function endpoint(name: string, tunnelAddress: string, podAddresses: string[]): NodeEndpoint {
  return { metadata: { name }, spec: { nodeUID: `${name}-uid`, tunnelAddress, podAddresses } };
}

const counts = { total: 4, bound: 2, cooling: 0, reserved: 0, free: 2, outOfRange: 0 };

/** Two nodes, two pods on the first. */
function sound(): { objects: Record<string, KubeObject[]>; maps: Record<string, object> } {
  const local = (address: string): object => ({ address, ifindex: 1, podMac: '', hostMac: '', stackOnly: false });
  const remote = (address: string): object => ({ address, nodeAddress: '10.29.0.1', direct: false, adjacent: false });
  return {
    objects: {
      ipses: [pool('small', ['10.0.0.0/30'], counts)],
      ipallocations: [record('10.0.0.0', 'a'), record('10.0.0.1', 'b')],
      nodeendpoints: [endpoint('one', '10.29.0.1', ['10.0.0.0', '10.0.0.1']), endpoint('two', '10.29.0.2', [])],
      nodes: [{ metadata: { name: 'one', uid: 'one-uid' } }, { metadata: { name: 'two', uid: 'two-uid' } }],
      namespaces: [{ metadata: { name: 'default' } }],
      pods: [pod('a', '10.0.0.0'), pod('b', '10.0.0.1')],
    },
    maps: {
      one: { local_pod_ips: ['10.0.0.0', '10.0.0.1'].map(local), cluster_pod_ips: [] },
      two: { local_pod_ips: [], cluster_pod_ips: ['10.0.0.0', '10.0.0.1'].map(remote) },
    },
  };
}

interface World {
  readonly objects: Small;
  readonly maps: Record<string, object>;
  /** What the person at the keyboard does when so many nodes were asked. */
  readonly onExec?: (asked: number) => void;
  readonly stopped?: AbortSignal;
}

function run(line: string, { objects, maps, onExec, stopped = new AbortController().signal }: World): Promise<Shown> {
  let asked = 0;
  const cluster: Partial<Cluster> = {
    list: (async (kind: { plural: string }, options: { fieldSelector?: string } = {}) => {
      const node = options.fieldSelector?.split('=')[1];
      if (node === undefined) return { items: objects[kind.plural] ?? [] };
      return { items: maps[node] === undefined ? [] : [{ metadata: { name: node }, status: { phase: 'Running' } }] };
    }) as unknown as Cluster['list'],
    find: (async (_kind: object, name: string) =>
      objects['workloads']?.find(({ metadata }) => metadata.name === name)) as unknown as Cluster['find'],
    exec: async ({ pod: node }, _command, { stdout }) => {
      onExec?.((asked += 1));
      await new Promise((resolve) => setImmediate(resolve));
      stdout(JSON.stringify(maps[node]));
      return 0;
    },
  };
  return fastCtl(line, { cluster: async () => cluster as Cluster, stopped });
}

describe('fast-ctl ipam show', () => {
  it('recounts each pool and draws how full it is', async () => {
    const { stdout } = await run('ipam show', sound());
    expect(stdout).toBe(
      'POOL    TOTAL   BOUND   COOLING   RESERVED   FREE   FILL\n' +
        'small       4       2         0          0      2   ████████████············\n' +
        '\n█ in use   ▒ resting or kept   · free\n',
    );
  });

  it('draws where in one pool’s ranges addresses are taken', async () => {
    const { stdout } = await run('ipam show small', sound());
    expect(stdout).toContain('10.0.0.0-10.0.0.3\n  ██··\n');
  });

  it('gives the counts to programs', async () => {
    const { stdout } = await run('ipam show -o json', sound());
    expect(JSON.parse(stdout)).toEqual([{ pool: 'small', usage: 'Pod', subnet: '10.244.0.1/32', ...counts }]);
  });

  it('says that there is no such pool', async () => {
    expect(await run('ipam show other', sound())).toMatchObject({
      code: 1,
      stderr: 'fast-ctl: there is no Ips other that can be read\n',
    });
  });
});

describe('fast-ctl ipam check', () => {
  it('says that all holds, and what it has looked at', async () => {
    expect(await run('ipam check', sound())).toEqual({
      code: 0,
      stdout: 'All holds: 1 pools, 2 records, 2 pods, the maps of 2 nodes.\n',
      stderr: '',
    });
  });

  it.each<[string, (world: ReturnType<typeof sound>) => void, string]>([
    [
      'a pod that uses another’s address',
      ({ objects }) => void objects['pods']?.push(pod('c', '10.0.0.1')),
      'addressDoubled: 10.0.0.1 is used by pod default/b and by pod default/c\n  cure: kubectl delete pod -n default c, so',
    ],
    [
      'a pod whose address is another’s by the record',
      ({ objects }) => void objects['pods']?.splice(0, 1, pod('c', '10.0.0.0')),
      "addressDoubled: pod default/c uses 10.0.0.0, which is pod default/a's by its record",
    ],
    [
      'a pod with two records',
      ({ objects }) => void objects['ipallocations']?.push(record('10.0.0.2', 'a')),
      'twoAddresses: pod default/a has 10.0.0.0 and 10.0.0.2',
    ],
    [
      'a pod without a record',
      ({ objects }) => void objects['ipallocations']?.shift(),
      'podWithoutRecord: pod default/a uses 10.0.0.0 without a record',
    ],
    [
      'a pod that outlived its wire, as an uninstall and a new install leave it',
      ({ objects }) =>
        void objects['ipallocations']?.splice(0, 1, { ...record('10.0.0.0', 'a'), status: {} } as KubeObject),
      'podWithoutWire: pod default/a runs with 10.0.0.0, and its node has no wire of it\n  cure: kubectl delete pod -n default a',
    ],
    [
      'a record whose pod is gone',
      ({ objects }) => void objects['pods']?.shift(),
      'recordWithoutPod: 10.0.0.0 is bound to pod default/a, which is gone',
    ],
    [
      'a release that a node does not answer',
      ({ objects }) =>
        void objects['ipallocations']?.push(
          record('10.0.0.2', 'gone', { state: 'Releasing', stateSince: '2026-11-25T11:55:00Z', nodeName: 'two' }),
        ),
      'releaseStuck: 10.0.0.2 of pod default/gone is not let go of by node two\n  cure: look at the agent on two: kubectl logs -n fast-system $(kubectl get pods -n fast-system -l app.kubernetes.io/name=fast-agent --field-selector spec.nodeName=two -o name); if the machine is off, kubectl taint node two node.kubernetes.io/out-of-service',
    ],
    [
      'a rest that never ends',
      ({ objects }) =>
        void objects['ipallocations']?.push(
          record('10.0.0.2', 'gone', { state: 'Cooling', stateSince: '2026-11-25T11:55:00Z' }),
        ),
      'restOverdue: 10.0.0.2 is Cooling for longer than pool small says',
    ],
    [
      'a pool that is gone',
      ({ objects }) => void objects['ipses']?.shift(),
      'poolMissing: 10.0.0.0 of pod default/a is from pool small, which cannot be read',
    ],
    [
      'a pod with a gateway’s address',
      ({ objects }) =>
        void objects['ipses']?.push({
          ...pool('near', ['10.0.0.9']),
          spec: { subnet: '10.0.0.1/32', ips: ['10.0.0.9'] },
        } as Ips),
      "keptAddressGiven: 10.0.0.1 of pod default/b is the gateway of pool near's own",
    ],
    [
      'a status that counts wrong',
      ({ objects }) => void objects['ipses']?.splice(0, 1, pool('small', ['10.0.0.0/30'], { ...counts, free: 3 })),
      'countsWrong: the status of pool small says free 3, not 2',
    ],
    [
      'an endpoint that lacks a pod',
      ({ objects }) => void objects['nodeendpoints']?.splice(0, 1, endpoint('one', '10.29.0.1', ['10.0.0.0'])),
      'endpointDiffers: NodeEndpoint one lacks 10.0.0.1',
    ],
    [
      'a map that lacks a pod of its node',
      ({ maps }) => void (maps['one'] = { local_pod_ips: [{ address: '10.0.0.0' }], cluster_pod_ips: [] }),
      'mapDiffers: on one local_pod_ips lacks 10.0.0.1',
    ],
    [
      'a map with an entry that nobody holds',
      ({ maps }) => void (maps['two'] = { ...maps['two'], local_pod_ips: [{ address: '10.0.0.7' }] }),
      'mapDiffers: on two local_pod_ips has 10.0.0.7, which nobody holds there',
    ],
    [
      'a map that sends to the wrong node',
      ({ maps }) =>
        void (maps['two'] = {
          local_pod_ips: [],
          cluster_pod_ips: [
            { address: '10.0.0.0', nodeAddress: '10.29.0.9' },
            { address: '10.0.0.1', nodeAddress: '10.29.0.1' },
          ],
        }),
      'mapDiffers: on two cluster_pod_ips lacks 10.0.0.0 at 10.29.0.1',
    ],
  ])('exits 1 on %s and names the cure', async (_what, breakIt, said) => {
    const world = sound();
    breakIt(world);
    const { code, stdout } = await run('ipam check', world);
    expect(stdout).toContain(said);
    expect(stdout).toMatch(/\n {2}cure: .{20}/);
    expect(code).toBe(1);
  });

  it('names a node that cannot be asked, compares the rest, and does not say that all holds', async () => {
    const world = sound();
    delete world.maps['two'];
    expect(await run('ipam check', world)).toEqual({
      code: 2,
      stdout: 'What could be asked holds: 1 pools, 2 records, 2 pods, the maps of 1 of 2 nodes.\n',
      stderr:
        'fast-ctl: node two was not asked: no agent runs on two; kubectl get pods -n fast-system -l app.kubernetes.io/name=fast-agent -o wide\n',
    });
  });

  it('asks no further node after Ctrl-C, and claims nothing', async () => {
    const world = sound();
    for (let index = 0; index < 30; index += 1) {
      const name = `more-${index}`;
      world.objects['nodes']?.push({ metadata: { name, uid: name } });
      world.maps[name] = world.maps['two'] ?? {};
    }
    const stop = new AbortController();
    let asked = 0;
    const onExec = (count: number): void => {
      asked = count;
      if (count === 3) stop.abort();
    };
    expect(await run('ipam check', { ...world, onExec, stopped: stop.signal })).toEqual({
      code: 130,
      stdout: '',
      stderr: '',
    });
    expect(asked).toBeLessThanOrEqual(8);
  });

  it('gives breaches and what it could not ask to programs', async () => {
    const world = sound();
    delete world.maps['two'];
    world.objects['pods']?.shift();
    const { stdout, code } = await run('ipam check -o json', world);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      breaches: [{ invariant: 'recordWithoutPod' }],
      unasked: [{ node: 'two' }],
      nodesAsked: 1,
    });
  });

  it('does not count what the second look does not find: it was on its way', async () => {
    const world = sound();
    const lagging = pool('small', ['10.0.0.0/30'], { ...counts, free: 3 });
    let lists = 0;
    const objects = new Proxy(world.objects, {
      get: (all, plural) => (plural === 'ipses' && (lists += 1) < 3 ? [lagging] : all[plural as string]),
    });
    expect((await run('ipam check', { ...world, objects })).code).toBe(0);
  });
});

describe('fast-ctl ipam forecast', () => {
  it('says how long a pool lasts as in the last hour', async () => {
    const { stdout, code } = await run('ipam forecast', sound());
    expect(stdout).toBe(
      'POOL    FREE   COOLING   NEW-PER-HOUR   LASTS\nsmall      2         0              2   1 h or longer\n',
    );
    expect(code).toBe(0);
  });

  const workload = (pools: string): KubeObject[] => {
    const template = { metadata: { labels: {}, annotations: { 'fast.io/ips': pools } } };
    return [{ metadata: { name: 'web', namespace: 'default' }, spec: { template } } as KubeObject];
  };

  it('says whether more pods of a workload fit, and from which pools', async () => {
    const world = sound();
    world.objects['ipses']?.push(pool('more', ['10.1.0.0/24']));
    world.objects['workloads'] = workload('small,more');
    const { stdout, code } = await run('ipam forecast --add deploy/web=50', world);
    expect(stdout).toContain('\ndeploy/web: 50 more pods fit: 2 from pool small, 48 from pool more\n');
    expect(code).toBe(0);
  });

  it('exits 1 when they do not, and says how many would wait and why', async () => {
    const world = sound();
    world.objects['workloads'] = workload('small');
    const { stdout, code } = await run('ipam forecast --add sts/web=50', world);
    expect(stdout).toContain(
      'sts/web: 50 more pods do not fit: 2 from pool small; 48 would wait, since pool small has 2 addresses left',
    );
    expect(code).toBe(1);
  });

  it('says how an addition is written', async () => {
    const { stderr, code } = await run('ipam forecast --add web', sound());
    expect(stderr).toContain('Write deploy/NAME=COUNT or sts/NAME=COUNT, such as deploy/web=50.');
    expect(code).toBe(1);
  });
});
