// SPDX-License-Identifier: Apache-2.0
// A controller that starts on a cluster whose backup was brought back: wires that no record explains, and a record whose
// pod is gone. What it makes of that against a real API server, its rules and its fences.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiVersion } from '../../src/api/names.ts';
import { events } from '../../src/kube/resources.ts';
import { endpointKind, recordKind } from '../../src/operator/kinds.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';

const main = fileURLToPath(new URL('../../src/operator/main.ts', import.meta.url));

describe('a controller that starts on a cluster without its records', () => {
  let cluster: HollowCluster;
  let controller: ChildProcess | undefined;
  let podUid = '';

  /** The note of the first event with this reason about this object. */
  const noteOf = async (name: string, reason: string): Promise<string | undefined> => {
    const { items } = await cluster.client.list(events, { namespace: 'default' });
    return items.find((each) => each.regarding?.name === name && each.reason === reason)?.note;
  };

  beforeAll(async () => {
    cluster = await HollowCluster.start();
    const node = await cluster.addNode('node-a', '10.29.15.49');
    await cluster.addPool('fast-nodes', ['10.244.224.0-10.244.224.7'], { usage: 'Node' });
    await cluster.addPool('small', ['10.244.10.0-10.244.10.7']);
    const pod = await cluster.addPod('survivor', 'node-a', 'no-such-pool');
    podUid = pod.metadata.uid ?? '';
    const nodeUID = node.metadata.uid ?? '';
    const endpoint = await cluster.client.create(endpointKind, {
      apiVersion,
      kind: 'NodeEndpoint',
      metadata: { name: 'node-a' },
      spec: { nodeUID, tunnelAddress: '10.29.15.49' },
    });
    const orphans = [
      { address: '10.244.10.1', ownerUID: podUid, interface: 'fast0000000001' },
      { address: '10.244.10.0', ownerUID: 'a-pod-that-is-gone', interface: 'fast0000000002' },
    ];
    await cluster.client.replaceStatus(endpointKind, { ...endpoint, status: { orphans } });
    const flags = ['--kubeconfig', cluster.server.kubeconfig, '--health-port', '0', '--log-level', 'warn'];
    controller = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', 'inherit', 'inherit'] });
  });
  afterAll(async () => {
    controller?.kill('SIGKILL');
    await cluster?.stop();
  });

  it('gives the addresses of those wires to no new pod', async () => {
    await cluster.addPod('new', 'node-a', 'small');
    expect(await cluster.addressOf('new')).toBe('10.244.10.2');
  });

  it('adopts the wire of the pod that lives, and says so at the pod', async () => {
    const adopted = await eventually('the record', () => cluster.client.find(recordKind, '10.244.10.1'), 40_000);
    expect(adopted.spec).toMatchObject({
      ips: 'small',
      state: 'Bound',
      owner: { kind: 'Pod', namespace: 'default', name: 'survivor', uid: podUid },
    });
    const note = await eventually('an event', () => noteOf('survivor', 'AddressAdopted'));
    expect(note).toBe('10.244.10.1, with which the pod runs, has its record again');
  });

  it('has its node take the other wire away, and the address is free when the node has said so', async () => {
    const releasing = await eventually('the record', () => cluster.client.find(recordKind, '10.244.10.0'), 40_000);
    expect(releasing.spec).toMatchObject({ ips: 'small', state: 'Releasing', owner: { uid: 'a-pod-that-is-gone' } });
    await eventually('an event', () => noteOf('node-a', 'WireReleased'));
    const endpoint = await cluster.endpoint('node-a');
    if (endpoint === undefined) throw new Error('no endpoint');
    await cluster.client.replaceStatus(endpointKind, { ...endpoint, status: { orphans: [] } });
    await cluster.sayReleased('10.244.10.0');
    await eventually('its release', async () => {
      const record = await cluster.client.find(recordKind, '10.244.10.0');
      return record === undefined || record.spec.state !== 'Releasing';
    });
  });
});
