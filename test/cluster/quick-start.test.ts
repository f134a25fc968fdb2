// SPDX-License-Identifier: Apache-2.0
// The whole of Fast on the real cluster: the quick start, then what a night does to a cluster.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { down, kubeconfigPath, kubectl, powerCut, powerOn, status, up } from './cluster.ts';
import { eventually, installFast, kube, nodesReady, objects } from './fast.ts';
import { programPath } from './paths.ts';
import * as promises from './quick-start.ts';
import type { RunningPod } from './quick-start.ts';
import { run } from './run.ts';

const say = (line: string): void => console.error(line);
const minuteMs = 60_000;

/** The nodes' agents or the controllers, by the label that their pods carry. */
async function podsNamed(name: string): Promise<RunningPod[]> {
  return objects<RunningPod>('pods', '-n', 'fast-system', '-l', `app.kubernetes.io/name=${name}`);
}

async function newPod(name: string, annotations: Record<string, string>, node?: string): Promise<void> {
  const container = {
    name: 'c',
    image: 'busybox:latest',
    imagePullPolicy: 'IfNotPresent',
    command: ['sleep', '10000'],
  };
  const spec = {
    containers: [container],
    terminationGracePeriodSeconds: 1,
    ...(node === undefined ? {} : { nodeName: node }),
  };
  await kube(
    ['create', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, annotations }, spec }),
  );
}

async function addressOf(name: string, limitMs = minuteMs): Promise<string> {
  const { address } = await eventually(`pod ${name} running`, limitMs, async () => {
    const pod = JSON.parse(await kube(['get', 'pod', name, '-o', 'json'])) as RunningPod;
    if (pod.status.phase === 'Running' && pod.status.podIP !== undefined) return { address: pod.status.podIP };
    return `it is ${pod.status.phase}`;
  });
  return address;
}

function pool(name: string, ips: string[], subnet = '10.244.0.1/32'): string {
  return JSON.stringify({
    apiVersion: 'sample.fast.io/v1alpha1',
    kind: 'Ips',
    metadata: { name },
    spec: { subnet, ips },
  });
}

/** What a cluster could leave on this machine, as sorted lines. */
async function hostTraces(): Promise<string[]> {
  const links = await run(['ip', '-o', 'link']);
  const namespaces = await run(['ip', 'netns']);
  const mounts = readFileSync('/proc/self/mounts', 'utf8');
  const processes = await run(['ps', '-eo', 'stat=,args=']);
  const ours = processes.stdout
    .split('\n')
    .filter((line) => /^[^Z]/.test(line) && /kube|etcd|containerd|relay/.test(line));
  const lines = [links.stdout, namespaces.stdout, mounts].flatMap((text) => text.split('\n'));
  return [...lines.map((line) => line.split(' state ')[0] ?? ''), ...ours].toSorted();
}

let before: string[] = [];

beforeAll(async () => {
  await down(say);
  before = await hostTraces();
  await up({ say });
  await installFast(say);
}, 5 * minuteMs);

afterAll(() => down(say), minuteMs);

describe('the quick start', () => {
  it('gives the four pods the lowest addresses of their pools, spread over both workers', async () => {
    const pods = await promises.makeQuickStart();
    await promises.checkRecords(pods);
    await promises.checkMaps(pods);
  });

  it('lets all four ping each other, none lost, as one hop', async () => {
    const pairs = await promises.checkPings(await promises.checkAddresses());
    expect(pairs).toEqual({ onOneNode: 4, across: 8 });
  });
});

describe('a restart', () => {
  it('of every agent loses no ping between running pods, and new pods wait, then start', async () => {
    const pods = await promises.checkAddresses();
    const from = pods.find((pod) => pod.spec.nodeName === promises.workers[0]);
    const other = pods.find((pod) => pod.spec.nodeName === promises.workers[1]);
    const args = [
      'exec',
      from?.metadata.name ?? '',
      '--',
      'ping',
      '-c',
      '150',
      '-i',
      '0.1',
      '-W',
      '2',
      other?.status.podIP ?? '',
    ];
    const env = { ...process.env, KUBECONFIG: kubeconfigPath };
    const ping = spawn(programPath('kubectl'), args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    ping.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
    const ended = new Promise((resolve) => {
      ping.on('close', resolve);
    });
    await kube(['delete', 'pods', '-n', 'fast-system', '-l', 'app.kubernetes.io/name=fast-agent', '--wait=false']);
    await newPod('born-meanwhile', { 'fast.io/ips': 'sample-ips' }, from?.spec.nodeName);
    await ended;
    expect(printed).toContain('150 packets transmitted, 150 packets received, 0% packet loss');
    expect(await addressOf('born-meanwhile')).toBe('10.244.10.2');
    await kube(['delete', 'pod', 'born-meanwhile']);
  });

  it('of every controller leaves addresses as they were and goes on giving new ones', async () => {
    await kube([
      'delete',
      'pods',
      '-n',
      'fast-system',
      '-l',
      'app.kubernetes.io/name=fast-controller-manager',
      '--wait',
    ]);
    await newPod('after-the-controllers', { 'fast.io/ips': 'sample-ips' });
    await addressOf('after-the-controllers');
    await promises.checkAddresses();
    await kube(['delete', 'pod', 'after-the-controllers']);
  });

  it('of a machine after a power cut gives its pods back to the network', async () => {
    const before = await podsNamed('fast-agent');
    expect(before).toHaveLength(3);
    await powerCut('10-29-15-50');
    await eventually('the node being missed', 2 * minuteMs, async () =>
      (await nodesReady()) === true ? 'it is still Ready' : true,
    );
    await powerOn('10-29-15-50');
    await eventually('the node being back', 2 * minuteMs, nodesReady);
    await eventually('all four pods running', 2 * minuteMs, async () => {
      try {
        const pods = [...(await promises.podsOf('busybox')), ...(await promises.podsOf('busybox1'))];
        const late = pods.filter((pod) => pod.status.phase !== 'Running');
        if (late.length > 0 || pods.length !== 4) return `${late.length} of ${pods.length} are not running`;
        await promises.checkPings(pods);
        return true;
      } catch (error) {
        return String(error);
      }
    });
  });
});

describe('bad input', () => {
  it('of a pool is refused with the field, the value and the cure', async () => {
    const refused: Array<[ips: string[], subnet: string, words: string]> = [
      [
        ['10.244.9.0-10.244.8.0'],
        '10.244.0.1/32',
        'spec.ips[0]: Invalid value: "10.244.9.0-10.244.8.0": "10.244.9.0-10.244.8.0" is reversed; write the lower address first',
      ],
      [
        ['10.244.9'],
        '10.244.0.1/32',
        'spec.ips[0]: Invalid value: "10.244.9": "10.244.9" is no IPv4 address, range or CIDR',
      ],
      [
        ['10.244.0.7', '10.244.1.7'],
        '10.244.0.1/24',
        'spec.ips: Invalid value: "10.244.1.7" is not inside the subnet 10.244.0.1/24',
      ],
    ];
    for (const [ips, subnet, words] of refused) {
      const answer = await kubectl(['create', '-f', '-'], pool('bad', ips, subnet));
      expect(answer.code).toBe(1);
      expect(answer.stderr).toContain(words);
    }
  });

  it('an annotation that names no pool is told by an event, and the pod starts once the pool is there', async () => {
    await newPod('early', { 'fast.io/ips': 'late-ips' });
    await eventually('the event', minuteMs, async () => {
      const events = await kube(['events', '--for', 'pod/early']);
      return events.includes('late-ips') ? true : `the events are: ${events}`;
    });
    await kube(['create', '-f', '-'], pool('late-ips', ['10.244.91.5']));
    expect(await addressOf('early')).toBe('10.244.91.5');
  });

  it('an exhausted pool is told with its numbers, and a freed address starts the pod that waits', async () => {
    await newPod('waiting', { 'fast.io/ips': 'late-ips' });
    await eventually('the event', minuteMs, async () => {
      const events = await kube(['events', '--for', 'pod/waiting']);
      return events.includes('late-ips is exhausted: 1 of 1 in use') ? true : `the events are: ${events}`;
    });
    // Counts and conditions are told to all agents, so they may lag by a second.
    const path = 'jsonpath={.status.conditions[?(@.type=="Exhausted")].status}';
    await eventually('the condition', minuteMs, async () => {
      const exhausted = await kube(['get', 'ips', 'late-ips', '-o', path]);
      return exhausted === 'True' ? true : `Exhausted is ${exhausted}`;
    });
    await kube(['delete', 'pod', 'early']);
    expect(await addressOf('waiting')).toBe('10.244.91.5');
    await kube(['delete', 'pod', 'waiting']);
    await kube(['delete', 'ips', 'late-ips', '--timeout=60s']);
  });
});

describe('rights', () => {
  it('let nobody but the controller make or delete a record', async () => {
    const spec = {
      address: '10.244.10.77',
      ips: 'sample-ips',
      gateway: '10.244.0.1',
      prefixLength: 32,
      nodeName: '10-29-15-49',
      nodeUID: 'u',
      owner: { kind: 'Pod', namespace: 'default', name: 'thief', uid: 'u' },
      state: 'Bound',
      stateSince: '2026-01-01T00:00:00Z',
    };
    const record = {
      apiVersion: 'sample.fast.io/v1alpha1',
      kind: 'IpAllocation',
      metadata: { name: spec.address },
      spec,
    };
    const create = await kubectl(['create', '-f', '-'], JSON.stringify(record));
    expect(create.stderr).toContain('IpAllocation 10.244.10.77 is written by fast-controller-manager alone');
    const remove = await kubectl(['delete', 'ipallocation', '10.244.10.0']);
    expect(remove.stderr).toContain('is written by fast-controller-manager alone');
  });
});

type Ask = (method: 'PUT' | 'DELETE' | 'GET', path: string, body?: object) => Promise<string>;

/** Asks with the rights of a node's agent: a token bound to its pod, as the kubelet gives it. Answers `ok` or the refusal. */
async function asAgentOf(node: string): Promise<Ask> {
  const agent = (await podsNamed('fast-agent')).find((pod) => pod.spec.nodeName === node);
  if (agent === undefined) throw new Error(`no agent runs on ${node}`);
  const bound = ['--bound-object-kind=Pod', `--bound-object-name=${agent.metadata.name}`];
  const token = (await kube(['create', 'token', 'fast-agent', '-n', 'fast-system', ...bound])).trim();
  const server = await kube(['config', 'view', '--raw', '-o', 'jsonpath={.clusters[0].cluster.server}']);
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return async (method, path, body) => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await request(`${server}${path}`, { method, headers, dispatcher, ...sent });
    const { message } = (await answer.body.json()) as { message?: string };
    return answer.statusCode < 300 ? 'ok' : (message ?? String(answer.statusCode));
  };
}

describe("an agent's rights", () => {
  it("are the status of its own node's objects and nothing else", async () => {
    const pods = await promises.podsOf('busybox');
    const [mine, others] = promises.workers.map((node) => pods.find((pod) => pod.spec.nodeName === node)?.status.podIP);
    const ask = await asAgentOf('10-29-15-49');
    const group = '/apis/sample.fast.io/v1alpha1';
    const seen = async (what: string): Promise<object> => JSON.parse(await kube(['get', what, '-o', 'json'])) as object;
    const putStatus = async (what: string): Promise<string> => {
      const [plural = '', name = ''] = what.split('/');
      // Whoever else writes between the reading and the writing is no refusal.
      for (let tries = 0; ; tries += 1) {
        const answer = await ask('PUT', `${group}/${plural}/${name}/status`, await seen(what));
        if (!answer.includes('the object has been modified') || tries === 5) return answer;
      }
    };

    expect(await putStatus(`ipallocations/${mine}`)).toBe('ok');
    expect(await putStatus('nodeendpoints/10-29-15-49')).toBe('ok');
    expect(await putStatus(`ipallocations/${others}`)).toContain(
      `the agent of node "10-29-15-49" may not write the status of ${others}, which belongs to node "10-29-15-50"`,
    );
    expect(await putStatus('nodeendpoints/10-29-15-50')).toContain('belongs to node "10-29-15-50"');
    const record = await seen(`ipallocations/${mine}`);
    expect(await ask('PUT', `${group}/ipallocations/${mine}`, record)).toContain(
      'cannot update resource "ipallocations"',
    );
    expect(await ask('DELETE', `${group}/ipallocations/${mine}`)).toContain('cannot delete resource "ipallocations"');
    expect(await ask('GET', '/api/v1/pods')).toContain('cannot list resource "pods"');
    expect(await ask('GET', '/api/v1/secrets')).toContain('cannot list resource "secrets"');
  });
});

describe('deleting the Deployments', () => {
  it('leaves no record, no entry and no wire within 60 s', async () => {
    const pods = [...(await promises.podsOf('busybox')), ...(await promises.podsOf('busybox1'))];
    await kube(['delete', 'deployment', 'busybox', 'busybox1']);
    const held = pods.flatMap((pod) => pod.status.podIP ?? []);
    await eventually('nothing being left', minuteMs, () => promises.remains(held));
    await kube(['delete', 'ips', 'sample-ips', 'default-ips', '--timeout=60s']);
  });
});

describe('ending the cluster', () => {
  it('leaves namespaces, mounts, links and processes as they were', async () => {
    expect(await hostTraces()).not.toEqual(before);
    await down(say);
    expect((await status()).state).toBe('down');
    await eventually('the machine being as it was', minuteMs / 2, async () => {
      const after = await hostTraces();
      const left = after.filter((line) => !before.includes(line));
      const lost = before.filter((line) => !after.includes(line));
      return left.length + lost.length === 0 ? true : `left: ${left.join('; ')}, lost: ${lost.join('; ')}`;
    });
  });
});
