// SPDX-License-Identifier: Apache-2.0
// fast-ctl ipam check on a cluster that is a handful of objects and the answers of its agents.
import { describe, expect, it } from 'vitest';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { KubeObject } from '../../src/api/object.ts';
import { counts, endpoint, pod, pool, record, run, sound } from './cli-ipam-world.ts';

describe('fast-ctl ipam check', () => {
  it('says that all holds, and what it has looked at', async () => {
    expect(await run('ipam check', sound())).toEqual({
      code: 0,
      stdout: 'All holds: 1 pools, 2 records, 2 pods, the maps of 2 nodes.\n',
      stderr: '',
    });
  });

  it('finds nothing amiss with a static pod that runs on while its mirror is away', async () => {
    const world = sound();
    const { spec, ...rest } = record('10.0.0.0', 'a');
    const owner = { ...spec.owner, uid: '3b5d5c3712955042212316173ccf37be' };
    const attached = { owner: { uid: owner.uid }, containerID: 'c', interface: 'i' };
    world.objects['ipallocations']?.splice(0, 1, {
      ...rest,
      spec: { ...spec, owner },
      status: { attached },
    } as KubeObject);
    world.objects['pods']?.shift();
    expect(await run('ipam check', world)).toMatchObject({ code: 0, stdout: expect.stringContaining('All holds') });
    world.objects['nodes']?.shift();
    expect(await run('ipam check', world)).toMatchObject({ stdout: expect.stringContaining('recordWithoutPod') });
  });

  it('finds nothing amiss with a pod whose wire is there, of which its agent tells in a calm moment', async () => {
    const world = sound();
    world.objects['ipallocations']?.splice(0, 1, { ...record('10.0.0.0', 'a'), status: {} } as KubeObject);
    expect(await run('ipam check', world)).toMatchObject({ code: 0, stdout: expect.stringContaining('All holds') });
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
      ({ objects, maps }) => {
        objects['ipallocations']?.splice(0, 1, { ...record('10.0.0.0', 'a'), status: {} } as KubeObject);
        maps['one'] = { local_pod_ips: [{ address: '10.0.0.1' }], cluster_pod_ips: [] };
      },
      'podWithoutWire: pod default/a runs with 10.0.0.0, and its node has no wire of it\n  cure: kubectl delete pod -n default a',
    ],
    [
      'a static pod that outlived its wire, which is not had anew by deleting its mirror',
      ({ objects, maps }) => {
        maps['one'] = { local_pod_ips: [{ address: '10.0.0.1' }], cluster_pod_ips: [] };
        const uid = '3b5d5c3712955042212316173ccf37be';
        const mirror = pod('a', '10.0.0.0');
        objects['pods']?.splice(0, 1, {
          ...mirror,
          metadata: { ...mirror.metadata, annotations: { 'kubernetes.io/config.mirror': uid } },
        });
        const { spec, ...rest } = record('10.0.0.0', 'a');
        objects['ipallocations']?.splice(0, 1, {
          ...rest,
          spec: { ...spec, owner: { ...spec.owner, uid } },
          status: {},
        } as KubeObject);
      },
      'its node has no wire of it\n  cure: on node one, since deleting the mirror of a static pod restarts nothing: crictl stopp',
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
      'a status that counts the addresses of Services',
      ({ objects }) => {
        const range = { metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.0.0.3/32'] } };
        objects['servicecidrs'] = [range];
      },
      'countsWrong: the status of pool small says total 4, not 3, free 2, not 1',
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
