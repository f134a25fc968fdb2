// SPDX-License-Identifier: Apache-2.0
// ADD and DEL by the agent's own parts against real namespaces: pods speak, a failure leaves nothing.
import { describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { AgentNode, endpointOf, inside, netnsPath, one, outsideAddress, ping, two } from './agent-node.ts';
import { leaveNothing, node, useNode } from './bench.ts';
import { eventually } from './eventually.ts';
import { record } from './memory-records.ts';

useNode();
leaveNothing();

const statusOf = (address: string): IpAllocation['status'] => node.records.get(address)?.status;

describe('pods of one node', () => {
  it('ping each other as one hop, and the host both ways', async () => {
    await node.addPod('p1', '10.244.10.0');
    await node.addPod('p2', '10.244.10.1');
    expect(ping('p1', '10.244.10.1')).toEqual({ received: 5, ttls: [64] });
    expect(ping('p2', '10.244.10.0')).toEqual({ received: 5, ttls: [64] });
    expect(ping('one', '10.244.10.0')).toEqual({ received: 5, ttls: [64] });
    expect(ping('p1', one.nodeAddress)).toEqual({ received: 5, ttls: [64] });
    // Outside knows no way back to a pod: only the masqueraded packet is answered.
    expect(ping('p1', outsideAddress).received).toBe(5);
    node.removeSandboxes();
    // The kernel ends a namespace and its links behind the last reference.
    await eventually(() => (node.veths().length === 0 ? true : undefined));
    await node.compare();
    expect(node.wiring.book.list()).toEqual([]);
  });

  it('are told all about their wire', async () => {
    const attachment = await node.addPod('p1', '10.244.10.0');
    expect(attachment).toEqual({
      address: '10.244.10.0',
      prefixLength: 32,
      gateway: '10.244.0.1',
      hostInterface: node.veths()[0],
      hostMac: '02:fa:57:00:00:01',
      podInterface: 'eth0',
      podMac: '0a:fa:0a:f4:0a:00',
      mtu: 1450,
      sandbox: netnsPath('p1'),
      routes: [{ destination: '10.244.0.1/32' }, { destination: '0.0.0.0/0', gateway: '10.244.0.1' }],
    });
    expect(inside('p1', 'ip', '-br', 'addr', 'show', 'eth0')).toContain('10.244.10.0/32');
    expect(inside('p1', 'cat', '/sys/class/net/eth0/mtu').trim()).toBe('1450');
    expect(await eventually(() => statusOf('10.244.10.0')?.attached)).toEqual({
      owner: { uid: 'p1' },
      containerID: 'container-p1',
      interface: attachment.hostInterface,
    });
  });

  it('reach all of a subnet by the gateway where the prefix is short', async () => {
    for (const [sandbox, address] of [
      ['p1', '10.244.10.0'],
      ['p2', '10.244.10.1'],
    ] as const) {
      node.sandbox(sandbox);
      node.records.put(record(address, sandbox, { prefixLength: 16 }));
      await node.add(sandbox, sandbox);
    }
    expect(inside('p1', 'ip', '-br', 'addr', 'show', 'eth0')).toContain('10.244.10.0/16');
    expect(ping('p1', '10.244.10.1')).toEqual({ received: 5, ttls: [64] });
  });
});

describe('two nodes', () => {
  it('let pods, hosts and the outside speak in every direction', async () => {
    node.endpoints.push(endpointOf(two));
    const other = await AgentNode.up(two, node.endpoints);
    try {
      await node.addPod('p1', '10.244.10.0');
      other.sandbox('q1');
      other.records.put(record('10.244.10.1', 'q1', { nodeName: 'two' }));
      await other.add('q1', 'q1');
      node.endpoints.splice(0, 2, endpointOf(one, ['10.244.10.0']), endpointOf(two, ['10.244.10.1']));
      await Promise.all([node.compare(), other.compare()]);
      expect(ping('p1', '10.244.10.1')).toEqual({ received: 5, ttls: [64] });
      expect(ping('q1', '10.244.10.0')).toEqual({ received: 5, ttls: [64] });
      // By the stack, through the tunnel and back: from the overlay address.
      expect(ping('one', '10.244.10.1')).toEqual({ received: 5, ttls: [64] });
      expect(ping('two', '10.244.10.0')).toEqual({ received: 5, ttls: [64] });
      expect(ping('p1', two.nodeAddress).received).toBe(5);
      expect(ping('q1', outsideAddress).received).toBe(5);
      // Tracked, the tunnel's packets would fill conntrack with each inner flow a second time.
      for (const name of ['one', 'two']) {
        expect(inside(name, 'conntrack', '-L', '-p', 'udp', '--dport', '4789')).toBe('');
      }
    } finally {
      node.endpoints.splice(0, 2, endpointOf(one));
      await other.down();
    }
  });
});

describe('an ADD', () => {
  it('waits for the record and goes on when it comes', async () => {
    node.sandbox('p1');
    const added = node.add('p1', 'p1');
    setTimeout(() => node.records.put(record('10.244.10.0', 'p1')), 100);
    expect((await added).address).toBe('10.244.10.0');
  });

  it("answers at the deadline with the controller's reason", async () => {
    const own = node.endpoints[0];
    const reason = { reason: 'Exhausted', message: 'pool sample-ips is exhausted: 2 of 2 in use' };
    if (own !== undefined) own.spec.waiting = [{ uid: 'p1', namespace: 'default', name: 'p1', ...reason }];
    const response = await node.wiring.attachments.add(node.request('ADD', 'p1', 'p1', { deadlineMs: 50 }));
    expect(response).toEqual({
      ok: false,
      code: 11,
      msg: 'pod default/p1 has no address yet: Exhausted: pool sample-ips is exhausted: 2 of 2 in use',
    });
  });

  it('that waits gives way to the DEL of its sandbox, so that no deletion lasts as long as an ADD may', async () => {
    node.sandbox('p1');
    const adding = node.wiring.attachments.add(node.request('ADD', 'p1', 'p1', { deadlineMs: 3000 }));
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    const startMs = performance.now();
    await node.del('p1', 'p1');
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(await adding).toMatchObject({ ok: false, code: 11, msg: expect.stringContaining('was deleted meanwhile') });
    node.records.put(record('10.244.10.0', 'p1'));
    expect((await node.add('p1', 'p1')).address).toBe('10.244.10.0');
  });

  it('of the same sandbox again is an error and changes nothing, whatever name is asked for', async () => {
    const first = await node.addPod('p1', '10.244.10.0');
    const before = [inside('one', 'ip', '-o', 'link'), inside('p1', 'ip', '-o', 'link')];
    for (const ifName of ['eth0', 'net1']) {
      const again = await node.wiring.attachments.add(node.request('ADD', 'p1', 'p1', { ifName }));
      expect(again).toMatchObject({ ok: false, code: 104, msg: expect.stringContaining(ifName) });
    }
    expect([inside('one', 'ip', '-o', 'link'), inside('p1', 'ip', '-o', 'link')]).toEqual(before);
    await node.wiring.attachments.del(node.request('DEL', 'p1', 'p1', { ifName: 'net1' }));
    expect(node.veths()).toEqual([first.hostInterface]);
    expect(ping('one', '10.244.10.0').received).toBe(5);
  });

  it('may name the interface as it likes, and a restarted agent knows it by that name', async () => {
    node.pod('p1', '10.244.10.0');
    const request = node.request('ADD', 'p1', 'p1', { ifName: 'net1@x' });
    expect(await node.wiring.attachments.add(request)).toMatchObject({ ok: true });
    await node.stop();
    await node.start();
    expect(node.wiring.book.list()).toMatchObject([{ podInterface: 'net1@x', containerId: 'container-p1' }]);
    await node.wiring.attachments.del({ ...request, command: 'DEL' });
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
  });

  it('of a new sandbox keeps the address, and the late DEL of the old one harms nothing', async () => {
    node.sandbox('p1');
    node.sandbox('p1-again');
    node.sandbox('p2');
    node.records.put(record('10.244.10.0', 'p1'));
    node.records.put(record('10.244.10.1', 'p2'));
    await node.add('p1', 'p1');
    await node.add('p2', 'p2');
    const second = await node.add('p1-again', 'p1');
    expect(second.address).toBe('10.244.10.0');
    await node.wiring.remover.settled();
    expect(node.veths()).toHaveLength(2);
    await node.del('p1', 'p1');
    expect(ping('p2', '10.244.10.0').received).toBe(5);
    expect(ping('one', '10.244.10.0').received).toBe(5);
    expect(await eventually(() => statusOf('10.244.10.0')?.attached?.containerID)).toBe('container-p1-again');
  });

  it('is refused once the address is being released', async () => {
    node.sandbox('p1');
    node.records.put(record('10.244.10.0', 'p1', { state: 'Releasing' }));
    const response = await node.wiring.attachments.add(node.request('ADD', 'p1', 'p1'));
    expect(response).toMatchObject({ ok: false, code: 11, msg: expect.stringContaining('Releasing') });
  });

  it.each([
    [
      'the first step',
      'the name is taken in the pod',
      104,
      {},
      () => inside('p1', 'ip', 'link', 'add', 'eth0', 'type', 'bridge'),
    ],
    ['a later step', 'the gateway is impossible', 102, { gateway: '10.244.0.999' }, (): string => ''],
  ])('that fails in %s (%s) leaves nothing', async (_step, _why, code, change, prepare) => {
    node.sandbox('p1');
    prepare();
    const routes = inside('one', 'ip', 'route');
    node.records.put(record('10.244.10.0', 'p1', change));
    const response = await node.wiring.attachments.add(node.request('ADD', 'p1', 'p1'));
    expect(response).toMatchObject({ ok: false, code });
    expect(node.veths()).toEqual([]);
    expect(inside('one', 'ip', 'route')).toBe(routes);
    expect(node.wiring.book.list()).toEqual([]);
  });

  it('that fails leaves the former sandbox with its way to the stack', async () => {
    for (const sandbox of ['p1', 'p1-again']) node.sandbox(sandbox);
    node.records.put(record('10.244.10.0', 'p1'));
    await node.add('p1', 'p1');
    const routes = inside('one', 'ip', 'route');
    const mend = node.failing('put 10.244.10.0 into local_pod_ips');
    const response = await node.wiring.attachments.add(node.request('ADD', 'p1-again', 'p1'));
    mend();
    expect(response).toMatchObject({ ok: false, code: 102, msg: expect.stringContaining('the kernel refuses') });
    expect(node.veths()).toHaveLength(1);
    expect(inside('one', 'ip', 'route')).toBe(routes);
    expect(ping('one', '10.244.10.0').received).toBe(5);
  });

  it.each([
    ['is not there', () => netnsPath('gone'), 'ENOENT'],
    ['is no namespace', () => '/etc/hostname', 'EINVAL'],
    ["is the node's own", () => netnsPath('one'), "is the node's own network namespace"],
  ])('names a CNI_NETNS that %s', async (_what, path, because) => {
    node.records.put(record('10.244.10.0', 'p1'));
    const response = await node.wiring.attachments.add(node.request('ADD', 'p1', 'p1', { netns: path() }));
    expect(response).toMatchObject({ ok: false, code: 4, msg: expect.stringContaining(path()) });
    expect(response).toMatchObject({ msg: expect.stringContaining(because) });
  });

  it('whose runtime gives up while it waits wires nothing', async () => {
    node.sandbox('p1');
    const gone = new AbortController();
    const adding = node.wiring.attachments.add(node.request('ADD', 'p1', 'p1'), gone.signal);
    setTimeout(() => gone.abort(), 20);
    expect(await adding).toMatchObject({ ok: false, code: 11, msg: 'the runtime gave up waiting' });
    node.records.put(record('10.244.10.0', 'p1'));
    expect(node.veths()).toEqual([]);
    expect((await node.add('p1', 'p1')).address).toBe('10.244.10.0');
  });

  it('behind another of its pod that waits says so at its own deadline, and wires nothing afterwards', async () => {
    for (const sandbox of ['p1', 'p1-again']) node.sandbox(sandbox);
    const first = node.wiring.attachments.add(node.request('ADD', 'p1', 'p1', { deadlineMs: 400 }));
    const second = node.wiring.attachments.add(node.request('ADD', 'p1-again', 'p1', { deadlineMs: 50 }));
    expect(await second).toMatchObject({ ok: false, code: 11, msg: expect.stringContaining('earlier request') });
    node.records.put(record('10.244.10.0', 'p1'));
    expect(await first).toMatchObject({ ok: true });
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    expect(node.wiring.book.list().map((wire) => wire.containerId)).toEqual(['container-p1']);
  });
});

describe('a DEL', () => {
  it('succeeds twice, late and without a namespace', async () => {
    await node.addPod('p1', '10.244.10.0');
    const response = await node.wiring.attachments.del(node.request('DEL', 'p1', 'p1', { netns: '' }));
    expect(response).toEqual({ ok: true });
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
    await node.del('p1', 'p1');
    await node.del('never-seen', 'nobody');
  });

  it('is what a release waits for, and then released is said', async () => {
    node.sandbox('p1');
    const bound = node.records.put(record('10.244.10.0', 'p1'));
    await node.add('p1', 'p1');
    node.records.put({ ...bound, spec: { ...bound.spec, state: 'Releasing' } });
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    expect(statusOf('10.244.10.0')?.released).toBeUndefined();
    await node.del('p1', 'p1');
    expect(await eventually(() => statusOf('10.244.10.0')?.released)).toEqual({ owner: { uid: 'p1' } });
  });
});
