// SPDX-License-Identifier: Apache-2.0
// Flows that change hands between the stack and the fast path, each the symptom of a datapath that lost one.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Conversation } from './conversation.ts';
import { inside, namespaceOf, peerScript, send, TwoNodes, type Way } from './two-nodes.ts';

const service = '10.96.0.11:80';
const backend = '10.244.10.1:8080';
const neighbour = '10.244.10.2:8080';

describe.each<Way>(['tunnel', 'direct'])('flows by %s', (way) => {
  let world: TwoNodes;

  beforeAll(async () => {
    world = await TwoNodes.up(way);
    await Promise.all(['n-b', 's-a'].map((name) => world.serve(name)));
  });

  afterAll(async () => {
    await world?.down();
  });

  async function conversation(to: string, localPort = 0): Promise<Conversation> {
    const opened = await Conversation.open('n-a', to, localPort);
    onTestFinished(() => opened.close());
    return opened;
  }

  it('a source port that a Service’s flow had is good for a direct flow to the same backend', async () => {
    const first = await conversation(service, 45_000);
    expect(await first.say('by the Service')).toBe('by the Service');
    await first.close();
    // The closing side would keep the port for a minute.
    inside('n-a', 'sysctl', '-qw', 'net.ipv4.tcp_tw_reuse=1', 'net.ipv4.tcp_timestamps=1');
    const second = await conversation(backend, 45_000);
    expect(await second.say('directly')).toBe('directly');
  });

  it('a source port that a Service’s datagram had is good for a datagram to the same backend', async () => {
    expect(await send('n-a', 'udp', service, 100, 45_001)).toMatchObject({ intact: true });
    expect(await send('n-a', 'udp', backend, 100, 45_001)).toMatchObject({ intact: true });
    expect(await send('n-a', 'udp', service, 100, 45_001)).toMatchObject({ intact: true });
  });

  it('an idle Service’s flow hears its server after 100,000 other flows', async () => {
    const idle = await conversation(service);
    expect(await idle.say('hello')).toBe('hello');
    for (const host of ['10.244.10.1', '172.30.0.100']) {
      execFileSync('ip', ['netns', 'exec', namespaceOf('n-b'), process.execPath, peerScript, 'flood', host, '50000']);
    }
    inside('south', process.execPath, peerScript, 'datagram', '10.244.10.1', '8080', 'push');
    expect(await idle.hear()).toBe('pushed');
  });

  it.each([neighbour, backend])('a flow begun before the fast path goes on behind it, to %s', async (to) => {
    for (const node of ['north', 'south']) world.setFastPath(node, false);
    const begun = await conversation(to);
    expect(await begun.say('before')).toBe('before');
    for (const node of ['north', 'south']) world.setFastPath(node, true);
    expect(await begun.say('after')).toBe('after');
    expect(await send('n-a', 'tcp', to, 1000)).toMatchObject({ intact: true });
  });

  it('a direct flow goes on when the fast path is taken away', async () => {
    onTestFinished(() => ['north', 'south'].forEach((node) => world.setFastPath(node, true)));
    const begun = await conversation(backend);
    expect(await begun.say('before')).toBe('before');
    for (const node of ['north', 'south']) world.setFastPath(node, false);
    expect(await begun.say('after')).toBe('after');
  });

  it('fragmented UDP to a Service is answered', async () => {
    expect(await send('n-a', 'udp', service, 8000)).toMatchObject({ intact: true });
  });
});
