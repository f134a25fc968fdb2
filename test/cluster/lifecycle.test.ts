// SPDX-License-Identifier: Apache-2.0
// The life of an install on the real cluster, with traffic running: by manifests, adopted by the bundle's objects as OLM
// applies them, one version up and down, a removal by hand that stops half-way, the whole removal, another plugin, again.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageTag, images } from '../../scripts/image-names.ts';
import { root } from '../../scripts/steps.ts';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { layoutVersion } from '../../src/datapath/generated/layout.ts';
import { applyAsOlm } from './as-olm.ts';
import { down, execOnNode, kubeconfigPath, kubectl, loadImage, nodeNames, up } from './cluster.ts';
import { eventually, installFast, kube, nodesReady, objects } from './fast.ts';
import { haveLayoutAlone } from './layouts.ts';
import { buildNextAgent, nextArchive, nextImage, nextLayoutVersion } from './next-agent.ts';
import { type Pinging, pinging } from './pinging.ts';
import * as promises from './quick-start.ts';
import type { RunningPod } from './quick-start.ts';
import { run } from './run.ts';

const say = (line: string): void => console.error(line);
const minuteMs = 60_000;
const nextTag = '0.1.1';

/** Everything of Fast on a node, as sorted lines. */
async function tracesOn(node: string): Promise<string> {
  const looks = [
    "ip -o link | grep -oE 'fast[0-9a-f_]+[a-z0-9]*' || true",
    "ip route show table all | grep -E 'fast|10\\.244\\.' || true",
    'nft list tables | grep -w fast || true',
    'ls /sys/fs/bpf | grep -w fast || true',
    'ls /etc/cni/net.d /opt/cni/bin | grep fast || true',
    'ls /run/fast 2>/dev/null || true',
  ];
  const { stdout } = await execOnNode(node, ['sh', '-c', looks.join('; ')]);
  return [...new Set(stdout.split('\n').filter((line) => line !== ''))].toSorted().join('\n');
}

/** Who has which address, by the records. */
async function addresses(): Promise<string[]> {
  const records = await objects<IpAllocation>('ipallocations');
  return records.map(({ spec }) => `${spec.address} ${spec.owner.uid} ${spec.state}`).toSorted();
}

/** Runs `work` under pings on one node and across, of which none may be lost, and after which no address has moved. */
async function undisturbed(pods: readonly RunningPod[], work: () => Promise<void>): Promise<void> {
  const [here, there] = promises.workers.map((node) => pods.filter((pod) => pod.spec.nodeName === node));
  const [from, beside, across] = [here?.[0], here?.[1], there?.[0]];
  if (from === undefined || beside === undefined || across === undefined) throw new Error('the pods are not spread');
  const before = await addresses();
  const pings: Pinging[] = [pinging(from, across), pinging(across, beside)];
  await work();
  const results = await Promise.all(pings.map((one) => one.stop()));
  say(`pings: ${results.map(({ sent, lost }) => `${lost} of ${sent} lost`).join(', ')}`);
  expect(await addresses()).toEqual(before);
  for (const { sent } of results) expect(sent).toBeGreaterThan(20);
  expect(results.map(({ lost }) => lost)).toEqual([0, 0]);
}

interface Workload {
  metadata: { uid: string; generation: number };
  spec: { template: { spec: { containers: Array<{ image: string }> } } };
  status: { observedGeneration: number; updatedNumberScheduled?: number; numberReady?: number };
}

async function agentsRun(tag: string): Promise<true | string> {
  const [agents] = await objects<Workload>('daemonsets', '-n', 'fast-system');
  const image = agents?.spec.template.spec.containers[0]?.image;
  if (agents === undefined || image?.endsWith(`:${tag}`) !== true) return `the agents' image is ${image}`;
  const { observedGeneration, updatedNumberScheduled = 0, numberReady = 0 } = agents.status;
  const isRolled = observedGeneration === agents.metadata.generation && updatedNumberScheduled === 3;
  return isRolled && numberReady === 3 ? true : `${updatedNumberScheduled} of 3 are new, ${numberReady} ready`;
}

async function moveTo(tag: string): Promise<void> {
  await applyAsOlm(tag);
  await kube(['rollout', 'status', '-n', 'fast-system', 'deployment/fast-controller-manager', '--timeout=120s']);
  await eventually(`the agents of ${tag}`, 3 * minuteMs, () => agentsRun(tag));
}

/** Brings the next version to the nodes: the same controller, and agents whose maps have another layout. */
async function bringNext(): Promise<void> {
  await loadImage(nextArchive);
  for (const node of nodeNames()) {
    for (const image of Object.values(images)) {
      const next = image.replace(imageTag, nextTag);
      const source = image === images.agent ? nextImage : image;
      await execOnNode(node, ['ctr', '--namespace', 'k8s.io', 'images', 'tag', '--force', source, next]);
    }
  }
}

function fastCtl(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { KUBECONFIG: kubeconfigPath };
  return run([process.execPath, join(root, 'src/cli/main.ts'), ...args], { env, timeoutMs: 4 * minuteMs });
}

let pods: RunningPod[] = [];

beforeAll(async () => {
  await buildNextAgent();
  await down(say);
  await up({ say });
  await installFast(say);
  pods = await promises.makeQuickStart();
}, 6 * minuteMs);

afterAll(() => down(say), minuteMs);

describe('fast-ctl from a machine that is no node', () => {
  it('says that all is well, in ten lines', async () => {
    const { stdout, stderr } = await eventually('all being well', minuteMs, async () => {
      const shown = await fastCtl('status');
      return shown.stdout.startsWith('Fast is well.') ? shown : `${shown.stdout}${shown.stderr}`;
    });
    expect(stderr).toBe('');
    expect(stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(10);
    expect(stdout).toContain('agents      3 of 3 ready');
  });

  it("looks at a node's kernel through its agent's pod, and ends as the fast-ctl there ends", async () => {
    const node = promises.workers[0] ?? '';
    const own = pods.filter((pod) => pod.spec.nodeName === node).map((pod) => pod.status.podIP ?? '');
    const list = ['maps', 'list', 'local_pod_ips', '-o', 'json'];
    const shown = await fastCtl(...list, '--node', node);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    const entries = JSON.parse(shown.stdout) as Array<{ address: string }>;
    expect(entries.map(({ address }) => address).toSorted()).toEqual(own.toSorted());
    const wrong = await fastCtl(...list, '--node', node, '--pin-folder', '/sys/fs/bpf/none');
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('there is no map local_pod_ips at /sys/fs/bpf/none');
    const nowhere = await fastCtl(...list, '--node', 'nowhere');
    expect(nowhere.stderr).toContain('there is no node nowhere; the nodes are 10-29-15-49');
  });
});

describe('the bundle', () => {
  it('adopts what the manifests installed: the same Deployment and DaemonSet, no ping lost, no address moved', async () => {
    const uids = async (): Promise<string[]> =>
      (await objects<Workload>('deployments,daemonsets', '-n', 'fast-system')).map((one) => one.metadata.uid);
    const before = await uids();
    expect(before).toHaveLength(2);
    await undisturbed(pods, () => moveTo(imageTag));
    expect(await uids()).toEqual(before);
  });

  it('moves under traffic to the next version, whose maps have another layout: no ping lost, no address moved', async () => {
    await bringNext();
    await undisturbed(pods, async () => {
      await moveTo(nextTag);
      await eventually('the next layout of the maps', minuteMs, () => haveLayoutAlone(nodeNames(), nextLayoutVersion));
    });
  });

  it('moves back under traffic: no ping lost, no address moved', async () => {
    await undisturbed(pods, async () => {
      await moveTo(imageTag);
      await eventually('the former layout', minuteMs, () => haveLayoutAlone(nodeNames(), layoutVersion));
    });
    await promises.checkRecords(pods);
    await promises.checkMaps(pods);
  });
});

describe('a bare kubectl delete -k', () => {
  it('comes to an end, breaks no pod that runs, and says what is left and how to go on', async () => {
    await undisturbed(pods, async () => {
      const answer = await kubectl(['delete', '-k', join(root, 'config/default'), '--timeout=60s']);
      expect(answer.code).toBe(1);
      expect(answer.stderr).toContain('is in use: pods that run keep their network');
      expect(answer.stderr).toContain('fast-ctl uninstall');
      say(answer.stderr);
      expect(answer.stderr).not.toContain('timed out');
      // A refusal ends kubectl before the rest is gone.
      await kube(['wait', '--for=delete', 'namespace/fast-system', '--timeout=90s']);
    });
    for (const node of nodeNames()) expect(await tracesOn(node)).toContain('fast_vxlan');
  });

  it('is taken back by the install, with every address where it was', async () => {
    await undisturbed(pods, () => installFast(say));
  });
});

describe('fast-ctl uninstall', () => {
  it('first only says what would go', async () => {
    const { code, stdout } = await fastCtl('uninstall');
    expect(code).toBe(0);
    expect(stdout).toContain('This takes Fast off 3 nodes');
    expect(stdout).toContain('4 pods have an address of Fast');
    await promises.checkPings(pods);
  });

  it(
    'takes away every object, host file, device, pin, route and rule',
    async () => {
      const done = await fastCtl('uninstall', '--yes');
      expect(done.stderr).toBe('');
      expect(done.code).toBe(0);
      expect(done.stdout).toContain('Fast is gone.');
      for (const node of nodeNames()) expect(await tracesOn(node)).toBe('');
      const left = await kube(['api-resources', '--api-group=sample.fast.io', '-o', 'name']);
      expect(left).toBe('');
      const kinds = 'namespaces,clusterroles,clusterrolebindings,validatingadmissionpolicies,flowschemas,crds';
      const names = (await kube(['get', kinds, '-o', 'name']))
        .split('\n')
        .filter((name) => /\bfast\b|fast-/.test(name));
      // OLM takes away what it made for a version when the version goes; nobody plays that part of it here.
      expect(names.filter((name) => !name.includes('/fast.v'))).toEqual([]);
    },
    5 * minuteMs,
  );

  it('the second time finds nothing to do', async () => {
    const again = await fastCtl('uninstall', '--yes');
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain('Nothing of Fast was found in this cluster');
  });

  it('leaves nodes that take another network plugin', async () => {
    const node = promises.workers[0] ?? '';
    const list = {
      cniVersion: '1.0.0',
      name: 'other',
      plugins: [{ type: 'bridge', bridge: 'other0', ipam: { type: 'host-local', subnet: '10.99.0.0/24' } }],
    };
    const install =
      'cp /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin/ && cat > /etc/cni/net.d/20-other.conflist';
    expect((await execOnNode(node, ['sh', '-c', install], { stdin: JSON.stringify(list) })).code).toBe(0);
    await kube(['delete', 'deployment', 'busybox', 'busybox1', '--ignore-not-found']);
    const spec = {
      nodeName: node,
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'c', image: 'busybox:latest', imagePullPolicy: 'IfNotPresent', command: ['sleep', '10000'] },
      ],
    };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'other' }, spec };
    await kube(['create', '-f', '-'], JSON.stringify(pod));
    await eventually('the pod of the other plugin', 2 * minuteMs, async () => {
      const ip = await kube(['get', 'pod', 'other', '-o', 'jsonpath={.status.podIP}']);
      return ip.startsWith('10.99.0.') ? true : `its address is "${ip}"`;
    });
    await kube(['delete', 'pod', 'other', '--wait']);
    const remove = 'rm /etc/cni/net.d/20-other.conflist; ip link del other0';
    await execOnNode(node, ['sh', '-c', remove]);
  });
});

describe('installed again', () => {
  it(
    'it gives the quick start its addresses, on the same machines',
    async () => {
      await installFast(say);
      await eventually('the nodes', minuteMs, nodesReady);
      // A runtime without a plugin ends no sandbox, so they may have waited for this one.
      await eventually('the old pods being gone', 2 * minuteMs, async () => {
        const all = await kube(['get', 'pods', '-o', 'name']);
        return all === '' ? true : `there are ${all}`;
      });
      await promises.checkPings(await promises.makeQuickStart());
    },
    5 * minuteMs,
  );
});
