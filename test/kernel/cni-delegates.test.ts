// SPDX-License-Identifier: Apache-2.0
// The plugins that fast-cni runs, by libcni and for real: a pod's hostPort is reached and its limit lies on its wire, both
// go with it, and plugins that fail in strange ways leave nothing.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildCniPlugins } from '../../scripts/build-cni-plugins.ts';
import { inside, insideArguments, netnsPath, one } from './agent-node.ts';
import { node, runtime, useRuntime } from './bench.ts';
import { pod } from './cni-rules.ts';
import { configure, succeed, tool, useCnitool } from './libcni.ts';
import { failureOf, program, type RunningPlugin, startPlugin } from './runtime.ts';

useRuntime();
useCnitool();
beforeAll(buildCniPlugins, 120_000);
afterEach(() => node.clear());

const own = {
  capabilities: { portMappings: true, bandwidth: true },
  delegates: { portMappings: 'portmap', bandwidth: 'bandwidth' },
};
const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
const bandwidth = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 };

/** A server in the pod that answers one connection, and a client on the node that asks the node's own address. */
async function answerOfHostPort(): Promise<string> {
  const serve = `require('net').createServer((s) => s.end('from the pod')).listen(80, () => console.log('up'))`;
  const server = startPlugin({}, '', '/sbin/ip', insideArguments('p1', process.execPath, '-e', serve));
  try {
    await new Promise((resolve) => server.child.stdout?.once('data', resolve));
    const ask = `require('net').connect(8080, '${one.nodeAddress}').on('data', (text) => process.stdout.write(text))`;
    return inside('one', 'timeout', '5', process.execPath, '-e', ask);
  } finally {
    server.child.kill('SIGKILL');
    await server.ended;
  }
}

const rules = (): string => inside('one', 'sh', '-c', 'iptables-save -t nat; nft list ruleset');

describe.each(['0.4.0', '1.0.0', '1.1.0'])('a pod that asks for something, CNI %s', (version) => {
  it('is reached by its hostPort until it goes', async () => {
    configure(version, own);
    pod(node);
    const asked = { portMappings };
    const result = JSON.parse(await succeed('add', 'p1', asked)) as { ips: Array<{ address: string }> };
    expect(result.ips.map(({ address }) => address)).toEqual(['10.244.10.0/32']);
    expect(await answerOfHostPort()).toBe('from the pod');
    await succeed('check', 'p1', asked);
    expect(rules()).toContain('10.244.10.0:80');
    await succeed('del', 'p1', asked);
    await succeed('del', 'p1', asked);
    expect(rules()).not.toContain('10.244.10.0:80');
    // As docs/install.md says of what is left on a node.
    expect(rules()).toMatch(/CNI-HOSTPORT-DNAT|cni_hostport/);
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
  });

  it('has its limit on its wire until it goes', async () => {
    configure(version, own);
    pod(node);
    const asked = { bandwidth };
    await succeed('add', 'p1', asked);
    const qdiscs = inside('one', 'tc', 'qdisc', 'show', 'dev', node.veths()[0] ?? '');
    expect(qdiscs).toMatch(/qdisc tbf[\s\S]*qdisc ingress/);
    expect(node.wiring.book.list()).toMatchObject([{ isLimited: true }]);
    await succeed('check', 'p1', asked);
    await succeed('del', 'p1', asked);
    await node.wiring.remover.settled();
    expect(inside('one', 'ip', '-o', 'link', 'show', 'type', 'ifb')).toBe('');
  });
});

/** What each end got of the other, which both send as fast as they can for `seconds`. */
async function exchangeOf(address: string, seconds: number): Promise<{ in: number; out: number }> {
  const both = `let got = 0;
    const talk = (s) => {
      const more = () => { while (s.write(Buffer.alloc(65536))); };
      s.on('data', (bytes) => { got += bytes.length; }).on('drain', more).on('error', () => {});
      more();
      setTimeout(() => { console.log(got); process.exit(); }, ${seconds * 1000});
    };`;
  const script = (start: string): string[] => [process.execPath, '-e', `${both}\n${start}`];
  const serve = "require('net').createServer(talk).listen(80, () => console.log('up'))";
  const ask = `const s = require('net').connect(80, '${address}', () => talk(s))`;
  const server = startPlugin({}, '', '/sbin/ip', insideArguments('p1', ...script(serve)));
  try {
    await new Promise((resolve) => server.child.stdout?.once('data', resolve));
    const client = startPlugin({}, '', '/sbin/ip', insideArguments('one', ...script(ask)));
    const [pod, host] = await Promise.all([server.ended, client.ended]);
    return { in: Number(pod.stdout.replace('up', '')), out: Number(host.stdout) };
  } finally {
    server.child.kill('SIGKILL');
  }
}

describe('a pod with a limit by its annotations, as containerd hands them on', () => {
  const open = 2 ** 32 - 1;
  const asked = {
    bandwidth: { IngressRate: 10_000_000, IngressBurst: open, EgressRate: 10_000_000, EgressBurst: open },
  };

  it('sends and gets no 190 MB at full speed before its limit is felt', async () => {
    configure('1.0.0', own);
    pod(node);
    const result = JSON.parse(await succeed('add', 'p1', asked)) as { ips: Array<{ address: string }> };
    const got = await exchangeOf(result.ips[0]?.address.split('/')[0] ?? '', 2);
    // 2 s at 1.25 MB/s, and the burst; with less than half of it the flow stands still.
    for (const bytes of [got.in, got.out]) {
      expect(bytes).toBeGreaterThan(1_250_000);
      expect(bytes).toBeLessThan(2_700_000);
    }
    await succeed('check', 'p1', asked);
    await succeed('del', 'p1', asked);
    await node.wiring.remover.settled();
  });
});

describe('what is of no pod', () => {
  it('passes by the plugins, which know neither GC nor STATUS yet', async () => {
    configure('1.1.0', own);
    pod(node);
    await succeed('add', 'p1', { portMappings });
    await succeed('status');
    await succeed('gc');
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
    await succeed('del', 'p1', { portMappings });
  });
});

describe('a pod that asks for nothing', () => {
  it('starts and goes where the plugins are missing', async () => {
    configure('1.0.0', { ...own, delegates: { portMappings: 'none', bandwidth: 'none' } });
    pod(node);
    await succeed('add');
    await succeed('check');
    await succeed('del');
    const { code, stderr } = await tool('add', 'p1', { portMappings });
    expect(code).not.toBe(0);
    expect(stderr).toContain('the plugin none failed: it is in no folder of CNI_PATH');
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
  });
});

describe('a plugin that fails in a strange way', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fagent-delegate-'));
  // Of the name in an earlier folder, which is no plugin.
  beforeAll(() => void mkdirSync(join(folder, 'folders/strange'), { recursive: true }));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** No other run's on this machine. */
  const endless = `sleep 30.${process.pid}`;

  function script(lines: string, mode = 0o755): void {
    const path = join(folder, 'strange');
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, `#!/bin/sh\n${lines}\n`);
    chmodSync(path, mode);
  }

  function start(): RunningPlugin {
    pod(node);
    const configuration = {
      cniVersion: '1.0.0',
      name: 'fast',
      type: 'fast-cni',
      socket: runtime.socket,
      timeoutSeconds: 2,
      delegates: { portMappings: 'strange' },
      runtimeConfig: { portMappings },
    };
    const variables = {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'container-p1',
      CNI_NETNS: netnsPath('p1'),
      CNI_IFNAME: 'eth0',
      CNI_PATH: `/nowhere:${program}:${folder}/folders:${folder}`,
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p1;K8S_POD_UID=p1',
      PATH: '/usr/bin:/bin',
    };
    return startPlugin(variables, JSON.stringify(configuration));
  }

  async function refuses(words: string): Promise<void> {
    expect(failureOf(await start().ended)).toMatchObject({ code: 105, msg: expect.stringContaining(words) });
    await node.wiring.remover.settled();
    expect([node.veths(), node.wiring.book.list()]).toEqual([[], []]);
  }

  it.each([
    ['reads nothing and says nothing', 'exit 3', 'it said nothing'],
    ['prints more than a result can be', 'head -c 2000000 /dev/zero', 'more than 1048576 bytes'],
    ['prints what is no text', "printf '\\377\\376'", 'utf-8'],
    ['prints an error of its own', 'echo \'{"code":7,"msg":"no such port"}\'; exit 1', 'no such port'],
    ['is killed', 'kill -9 $$', 'it said nothing'],
  ])('has all undone: one that %s', async (_title, lines, words) => {
    script(lines);
    await refuses(words);
  });

  it('is ended with all that it has started, which writes nothing afterwards', async () => {
    const trace = join(folder, 'trace');
    script(`(sleep 3; touch ${trace}) & ${endless}`);
    await refuses('no end within 2000 ms');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(existsSync(trace)).toBe(false);
  });

  it('goes with fast-cni, when a runtime gives that up', async () => {
    const begun = join(folder, 'begun');
    script(`touch ${begun}; exec ${endless}`);
    const running = start();
    await vi.waitFor(() => expect(existsSync(begun)).toBe(true), 5000);
    // The plugin has its stderr, so that only its end would end the streams.
    const isDead = new Promise((resolve) => running.child.once('exit', resolve));
    running.child.kill('SIGKILL');
    await isDead;
    const isLeft = (): string => inside('one', 'sh', '-c', `pgrep -fx '${endless}' || true`);
    await vi.waitFor(() => expect(isLeft()).toBe(''), 2000);
    await running.ended;
  });

  it.each([
    ['', `exec ${endless}`],
    [' and has closed its output', `exec >&-; exec ${endless}`],
  ])('is killed where it does not end%s', async (_title, lines) => {
    script(lines);
    await refuses('no end within 2000 ms');
    expect(inside('one', 'sh', '-c', `pgrep -fx '${endless}' || true`)).toBe('');
  });

  it('is named where what is to run it is missing', async () => {
    script('');
    writeFileSync(join(folder, 'strange'), `#!${folder}/none\n`);
    await refuses('the plugin strange failed: No such file');
  });

  it('is named where it must not be run', async () => {
    script('true', 0o644);
    await refuses('Permission denied');
  });
});
