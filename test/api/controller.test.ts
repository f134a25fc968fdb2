// SPDX-License-Identifier: Apache-2.0
// fast-controller-manager against a real API server: names that lock, fences, CEL, finalizers; and what it shows of itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configMaps, daemonSets, events } from '../../src/kube/resources.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';
import { OperatorProcess } from './operator-process.ts';

describe('the controller', () => {
  let cluster: HollowCluster;
  let operator: OperatorProcess | undefined;

  beforeAll(async () => {
    cluster = await HollowCluster.start();
    await cluster.client.create(configMaps, {
      metadata: { name: 'fast-config', namespace: 'fast-system' },
      data: { 'fast-nodes': 'subnet: 10.244.0.1/32\nips: [10.244.224.0-10.244.255.255]\nusage: Node\n' },
    });
    operator = new OperatorProcess(cluster.server.kubeconfig, 'replica-0', 'debug');
    await cluster.addNode('node-a', '10.29.15.49');
    await cluster.addNode('node-b', '10.29.15.50');
  }, 180_000);
  afterAll(async () => {
    operator?.kill('SIGKILL');
    await cluster?.stop();
  });

  it('gives every node an overlay address and an endpoint, out of the pool that the ConfigMap describes', async () => {
    const endpoint = await eventually('an overlay address', async () => {
      const seen = await cluster.endpoint('node-a');
      return seen?.spec.overlayAddress === undefined ? undefined : seen;
    });
    expect(endpoint.spec.tunnelAddress).toBe('10.29.15.49');
    expect(endpoint.spec.overlayAddress).toMatch(/^10\.244\.224\.[01]$/);
    const record = await cluster.client.get(recordKind, endpoint.spec.overlayAddress ?? '');
    expect(record.spec).toMatchObject({ ips: 'fast-nodes', state: 'Bound', owner: { kind: 'Node', name: 'node-a' } });
  });

  it('rolls out the agents and brings their DaemonSet back when somebody deletes it', async () => {
    const first = await eventually('the DaemonSet', () => cluster.client.find(daemonSets, 'fast-agent', 'fast-system'));
    expect(first.spec?.template.spec).toMatchObject({
      hostNetwork: true,
      serviceAccountName: 'fast-agent',
      tolerations: [{ operator: 'Exists' }],
      containers: [{ image: 'sample.fast.io/fast-agent:test', securityContext: { privileged: true } }],
    });
    await cluster.client.delete(daemonSets, 'fast-agent', { namespace: 'fast-system' });
    await eventually('a new DaemonSet', async () => {
      const second = await cluster.client.find(daemonSets, 'fast-agent', 'fast-system');
      return second !== undefined && second.metadata.uid !== first.metadata.uid;
    });
  });

  it('gives bound pods the lowest addresses of the pool that they name, and shows them at their node', async () => {
    await cluster.addPool('sample-ips', ['10.244.10.0-10.244.90.0'], { coolDownSeconds: 1 });
    await cluster.addPod('busybox-0', 'node-a', 'sample-ips');
    expect(await cluster.addressOf('busybox-0')).toBe('10.244.10.0');
    await cluster.addPod('busybox-1', 'node-b', 'sample-ips');
    expect(await cluster.addressOf('busybox-1')).toBe('10.244.10.1');
    await eventually('both endpoints', async () => {
      const [a, b] = [await cluster.endpoint('node-a'), await cluster.endpoint('node-b')];
      return a?.spec.podAddresses?.join() === '10.244.10.0' && b?.spec.podAddresses?.join() === '10.244.10.1';
    });
    await eventually('counts', async () => {
      const status = (await cluster.pool('sample-ips'))?.status;
      return status?.total === 20_481 && status.bound === 2 && status.free === 20_479;
    });
  });

  it('lets a pod with its scheduling gate through once there is an address, and not before', async () => {
    const schedulingGates = [{ name: 'fast.io/address' }, { name: 'example.org/other' }];
    await cluster.addPod('gated', undefined, 'for-gated', { schedulingGates });
    await eventually('the event', async () =>
      (await cluster.kubectl(['events', '--for', 'pod/gated'])).includes('pool for-gated does not exist'),
    );
    await cluster.addPool('for-gated', ['10.244.95.0']);
    const gates = ['get', 'pod', 'gated', '-o', 'jsonpath={.spec.schedulingGates[*].name}'];
    await eventually('the gate', async () => (await cluster.kubectl(gates)) === 'example.org/other');
    await cluster.removePod('gated');
  });

  it('gives no address to pods of the host network, of no node, or of a node that does not exist', async () => {
    await cluster.addPod('hostly', 'node-a', 'sample-ips', { hostNetwork: true });
    await cluster.addPod('unbound', undefined, 'sample-ips');
    await cluster.addPod('lost', 'no-such-node', 'sample-ips');
    await cluster.addPod('plain', 'node-a', 'sample-ips');
    expect(await cluster.addressOf('plain')).toBe('10.244.10.2');
    const names = (await cluster.records()).map(({ spec }) => spec.owner.name);
    expect(names).not.toContain('hostly');
    expect(names).not.toContain('unbound');
    expect(names).not.toContain('lost');
  });

  it('frees an address when the pod is gone, its node has said so and it has cooled down, and not before', async () => {
    await cluster.removePod('busybox-0');
    await eventually('Releasing', async () => (await cluster.recordOf('busybox-0'))?.spec.state === 'Releasing');
    await cluster.addPod('early', 'node-a', 'sample-ips');
    expect(await cluster.addressOf('early')).toBe('10.244.10.3');
    await cluster.sayReleased('10.244.10.0');
    await eventually('deletion', async () => (await cluster.recordOf('busybox-0')) === undefined);
    await cluster.addPod('late', 'node-b', 'sample-ips');
    expect(await cluster.addressOf('late')).toBe('10.244.10.0');
  });

  it('says which pool is exhausted with numbers, and wakes the pod that waits when an address is freed', async () => {
    await cluster.addPool('tiny', ['10.245.0.0-10.245.0.1']);
    for (const name of ['tiny-0', 'tiny-1']) {
      await cluster.addPod(name, 'node-a', 'tiny');
      await cluster.addressOf(name);
    }
    const waiter = await cluster.addPod('tiny-2', 'node-b', 'tiny');
    const message = 'pool tiny is exhausted: 2 of 2 in use; add ranges to its spec.ips';
    await eventually('the reason at the node', async () => {
      const waiting = (await cluster.endpoint('node-b'))?.spec.waiting ?? [];
      return waiting.some((each) => each.uid === waiter.metadata.uid && each.message === message);
    });
    await eventually('an event', async () => {
      const { items } = await cluster.client.list(events, { namespace: 'default' });
      return items.some((each) => each.regarding?.name === 'tiny-2' && each.note === message);
    });
    await cluster.removePod('tiny-0');
    await cluster.sayReleased('10.245.0.0');
    expect(await cluster.addressOf('tiny-2')).toBe('10.245.0.0');
    await eventually('nobody waits', async () => {
      const waiting = (await cluster.endpoint('node-b'))?.spec.waiting ?? [];
      return waiting.every((each) => each.name !== 'tiny-2');
    });
  });

  it('serves a pod as soon as the pool that it names exists', async () => {
    await cluster.addPod('hopeful', 'node-a', 'not-yet');
    await eventually('the reason at the node', async () => {
      const waiting = (await cluster.endpoint('node-a'))?.spec.waiting ?? [];
      return waiting.some((each) => each.name === 'hopeful' && each.reason === 'PoolNotFound');
    });
    await cluster.addPool('not-yet', ['10.246.0.7']);
    expect(await cluster.addressOf('hopeful')).toBe('10.246.0.7');
  });

  it('keeps a pool that is in use from deletion, says for whom, and lets it go when it is empty', async () => {
    await cluster.kubectl(['delete', 'ips', 'not-yet', '--wait=false']);
    await eventually('the reason', async () => {
      const ready = (await cluster.pool('not-yet'))?.status?.conditions?.find((each) => each.type === 'Ready');
      return ready?.status === 'False' && ready.message.includes('10.246.0.7 of pod default/hopeful');
    });
    await cluster.removePod('hopeful');
    await cluster.sayReleased('10.246.0.7');
    await eventually('its end', async () => (await cluster.pool('not-yet')) === undefined);
  });

  it('shows an overlap on both pools and still gives no address twice', async () => {
    await cluster.addPool('left', ['10.247.0.0-10.247.0.3']);
    await cluster.addPool('right', ['10.247.0.2-10.247.0.5']);
    const given: string[] = [];
    for (const name of ['left-0', 'left-1', 'left-2', 'left-3', 'right-0', 'right-1']) {
      await cluster.addPod(name, 'node-a', name.split('-')[0]);
      given.push(await cluster.addressOf(name));
    }
    expect(given.map((address) => address.slice('10.247.0.'.length))).toEqual(['0', '1', '2', '3', '4', '5']);
    for (const name of ['left', 'right']) {
      await eventually(`the overlap of ${name}`, async () => {
        const found = (await cluster.pool(name))?.status?.conditions?.find((each) => each.type === 'Overlapping');
        return found?.status === 'True' && found.message.includes('10.247.0.2-10.247.0.3');
      });
    }
  });

  it('gives out no address of the Services’ range, which the API server tells, and warns of the pool that holds some', async () => {
    await cluster.addPool('greedy', ['10.96.255.254-10.97.0.1']);
    await cluster.addPod('modest', 'node-a', 'greedy');
    expect(await cluster.addressOf('modest')).toBe('10.97.0.0');
    await eventually('the condition', async () => {
      const { conditions = [] } = (await cluster.pool('greedy'))?.status ?? {};
      const found = conditions.find((each) => each.type === 'OverlappingServices');
      return found?.status === 'True' && found.message.includes('10.96.255.254-10.96.255.255');
    });
    const events = ['get', 'events', '-A', '--field-selector', 'reason=SharesServiceRange', '-o', 'name'];
    await eventually('the event', async () => (await cluster.kubectl(events)) !== '');
  });

  it('gives out no node’s own address, and warns of the pool that holds one', async () => {
    await cluster.addPool('lan', ['10.29.15.49-10.29.15.51']);
    await cluster.addPod('guest', 'node-a', 'lan');
    expect(await cluster.addressOf('guest')).toBe('10.29.15.51');
    await eventually('the condition', async () => {
      const { conditions = [] } = (await cluster.pool('lan'))?.status ?? {};
      const found = conditions.find((each) => each.type === 'OverlappingNodes');
      return found?.status === 'True' && found.message.startsWith('holds 10.29.15.49-10.29.15.50 of');
    });
    const events = ['get', 'events', '-A', '--field-selector', 'reason=SharesNodeAddresses', '-o', 'name'];
    await eventually('the event', async () => (await cluster.kubectl(events)) !== '');
  });

  it('logs nothing but JSON: each line of a reconcile with its controller, its object and its id', () => {
    expect(operator?.unreadable).toEqual([]);
    const lines = operator?.lines ?? [];
    expect(lines.filter(({ level, time, logger, msg }) => !(level && time && logger && msg))).toEqual([]);
    const reconciles = lines.filter((line) => 'reconcileID' in line);
    const fields = { controllerGroup: expect.any(String), reconcileID: expect.stringMatching(/^[0-9a-f-]{36}$/) };
    expect(reconciles.find(({ controller, name }) => controller === 'pod' && name === 'plain')).toMatchObject({
      ...fields,
      controllerKind: 'Pod',
      namespace: 'default',
    });
    expect(reconciles.find(({ controller, name }) => controller === 'pool' && name === 'tiny')).toMatchObject({
      ...fields,
      controllerKind: 'Ips',
    });
    expect(new Set(reconciles.map(({ reconcileID }) => reconcileID)).size).toBe(reconciles.length);
  });

  it("shows its health by name, and its work under controller-runtime's metrics", async () => {
    if (operator === undefined) throw new Error('no operator');
    expect(await operator.ask('/healthz')).toEqual([200, 'ok']);
    expect(await operator.ask('/readyz?verbose')).toEqual([200, '[+]crds ok\n[+]informers ok\nreadyz check passed\n']);
    const [, text] = await operator.ask('/metrics');
    expect(text).toContain('leader_election_master_status{name="fast-controller-manager"} 1\n');
    expect(text).toMatch(/^controller_runtime_reconcile_total\{controller="pod",result="success"\} [1-9]/m);
    expect(text).toMatch(/^workqueue_adds_total\{name="pool",controller="pool"\} [1-9]/m);
    expect(text).toMatch(/^rest_client_requests_total\{code="201",method="POST",host="127.0.0.1:\d+"\} [1-9]/m);
  });

  it('waits for a CRD that is missing, says which and what to do, and goes on by itself once it is there', async () => {
    operator?.kill('SIGKILL');
    await cluster.kubectl(['delete', 'crd', 'nodeendpoints.sample.fast.io', '--wait=true']);
    const next = new OperatorProcess(cluster.server.kubeconfig, 'replica-1');
    operator = next;
    const problem = 'CRD nodeendpoints.sample.fast.io is missing; kubectl apply -k crds';
    expect(await next.heard(problem)).toMatchObject({ level: 'warn', crd: 'nodeendpoints.sample.fast.io' });
    expect(await next.ask('/readyz/crds')).toEqual([500, `internal server error: ${problem}\n`]);
    expect(await next.ask('/healthz')).toEqual([200, 'ok']);
    await cluster.kubectl(['apply', '-k', 'crds']);
    await next.heard('standing for election');
    expect(await next.ask('/readyz/crds')).toEqual([200, 'ok']);
    next.kill('SIGTERM');
    expect(await next.ended()).toBe(0);
  });
});
