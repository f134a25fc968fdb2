// SPDX-License-Identifier: Apache-2.0
// How long a real cluster takes to have many pods running: with Fast, and with the stock bridge plugin in its place on
// the same machines. A runtime takes the first configuration of its folder, so one file more decides who wires a pod.
import { poolAnnotation } from '../../src/api/names.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { realClock } from '../../src/kube/clock.ts';
import { Informer } from '../../src/kube/informer.ts';
import { podKind } from '../../src/operator/kinds.ts';
import { buildAll } from '../../scripts/build.ts';
import { execOnNode, kubeconfigPath, up } from '../../test/cluster/cluster.ts';
import { eventually, installFast, kube } from '../../test/cluster/fast.ts';
import { workers } from '../../test/cluster/quick-start.ts';
import { type BenchRun, interleaved } from '../bench.ts';

export const startedPods = 60;
const namespace = 'bench-cni';
const pool = 'bench-cni';
const startWithinMs = 240_000;
/** containerd reads its folder anew as soon as a file appears or goes. */
const reloadMs = 2000;
const bridgeFile = '/etc/cni/net.d/05-bench-bridge.conflist';

export interface PodStarts {
  /** Seconds until the last pod ran, by round. */
  readonly fast: readonly number[];
  readonly bridge: readonly number[];
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function onNode(node: string, script: string, stdin?: string): Promise<void> {
  const { code, stderr } = await execOnNode(node, ['sh', '-c', script], stdin === undefined ? {} : { stdin });
  if (code !== 0) throw new Error(`${node}: ${script}: ${stderr}`);
}

function bridgeConfiguration(subnet: string): string {
  const ipam = { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] };
  const bridge = { type: 'bridge', bridge: 'bench0', isGateway: true, ipMasq: false, mtu: 1450, ipam };
  return JSON.stringify({ cniVersion: '1.0.0', name: 'bench-bridge', plugins: [bridge] });
}

async function scaleController(replicas: number): Promise<void> {
  const controller = ['-n', 'fast-system', 'deployment/fast-controller-manager'];
  await kube(['scale', ...controller, `--replicas=${replicas}`]);
  if (replicas > 0) await kube(['rollout', 'status', ...controller, '--timeout=60s']);
}

/** Fast's controller rests meanwhile: pods that are none of its have it look for pools. */
async function layBridge(): Promise<void> {
  await scaleController(0);
  for (const [at, node] of workers.entries()) {
    await onNode(node, 'cp /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin/');
    await onNode(
      node,
      `cat > ${bridgeFile}.new && mv ${bridgeFile}.new ${bridgeFile}`,
      bridgeConfiguration(`10.77.${at}.0/24`),
    );
  }
  await sleep(reloadMs);
}

async function liftBridge(): Promise<void> {
  for (const node of workers) {
    await onNode(node, `rm -f ${bridgeFile}; ip link del bench0 2>/dev/null; true`);
  }
  await scaleController(2);
  await sleep(reloadMs);
}

function pods(): object {
  const container = {
    name: 'c',
    image: 'busybox:latest',
    imagePullPolicy: 'IfNotPresent',
    command: ['sleep', '10000'],
  };
  const items = Array.from({ length: startedPods }, (_, at) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${at}`, namespace, annotations: { [poolAnnotation]: pool } },
    // No scheduler: where a pod stands is not what is compared.
    spec: { containers: [container], nodeName: workers[at % workers.length], terminationGracePeriodSeconds: 0 },
  }));
  return { apiVersion: 'v1', kind: 'List', items };
}

/** By a watch: whoever lists pods all the time takes from both contestants what is to be measured. */
async function timeStarts(client: KubeClient): Promise<number> {
  const informer = new Informer({ client, resource: podKind, namespace });
  const running = (): number => informer.list().filter((pod) => pod.status?.phase === 'Running').length;
  let seen = (): void => undefined;
  const allRun = new Promise<void>((resolve) => (seen = resolve));
  informer.on(() => {
    if (running() === startedPods) seen();
  });
  informer.start();
  try {
    await eventually('the watch of the pods', startWithinMs, () => Promise.resolve(informer.hasSynced ? true : 'none'));
    const startMs = performance.now();
    await kube(['create', '-f', '-'], JSON.stringify(pods()));
    const late = new AbortController();
    const limit = realClock.sleep(startWithinMs, late.signal).then(() => {
      if (running() < startedPods) throw new Error(`${running()} of ${startedPods} pods run after ${startWithinMs} ms`);
    });
    await Promise.race([allRun, limit]);
    const tookMs = performance.now() - startMs;
    late.abort();
    return tookMs / 1000;
  } finally {
    await informer.stop();
  }
}

async function clearPods(client: KubeClient): Promise<void> {
  await kube(['delete', 'pods', '-n', namespace, '--all', '--grace-period=0', '--force']);
  await eventually('the pods to be gone', startWithinMs, async () => {
    const { items } = await client.list(podKind, { namespace });
    return items.length === 0 ? true : `${items.length} are left`;
  });
  // The kubelets end what the API server has forgotten already.
  for (const node of workers) {
    await eventually(`${node} to be at rest`, startWithinMs, async () => {
      const { stdout } = await execOnNode(node, ['sh', '-c', 'pgrep -fc "^sleep 10000" || true']);
      return stdout.trim() === '0' ? true : `${stdout.trim()} containers run`;
    });
  }
  await sleep(reloadMs);
}

async function prepare(order: BenchRun): Promise<void> {
  await buildAll();
  await up({ say: order.say, signal: order.signal });
  await installFast(order.say);
  await kube(['create', 'namespace', namespace]);
  const spec = { subnet: '10.244.0.1/32', ips: ['10.244.40.0-10.244.41.255'], coolDownSeconds: 0 };
  const object = { apiVersion: 'sample.fast.io/v1alpha1', kind: 'Ips', metadata: { name: pool }, spec };
  await kube(['create', '-f', '-'], JSON.stringify(object));
}

/** Needs the test cluster; leaves it as it was, with Fast installed. */
export async function podStarts(order: BenchRun): Promise<PodStarts> {
  await prepare(order);
  const client = connect({ fieldManager: 'bench', kubeconfig: kubeconfigPath });
  const once = async (): Promise<number> => {
    const seconds = await timeStarts(client);
    await clearPods(client);
    return seconds;
  };
  /** The second of two runs: a controller that has run for a while is what clusters have, not one started a moment ago. */
  const warm = async (): Promise<number> => {
    await once();
    return await once();
  };
  try {
    return await interleaved(
      {
        fast: warm,
        bridge: async () => {
          await layBridge();
          try {
            return await warm();
          } finally {
            await liftBridge();
          }
        },
      },
      order,
    );
  } finally {
    await kube(['delete', 'namespace', namespace, '--wait=false']);
    await kube(['delete', 'ips', pool, '--wait=false']);
    await client.close();
  }
}
