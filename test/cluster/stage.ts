// SPDX-License-Identifier: Apache-2.0
// Who takes part in the directions: three pods on two workers, their Services, the machines, and a host outside. All
// pods are of the agent's image, since that is the one here that has Node.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { images } from '../../scripts/image-names.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { eventually, kube, objects } from './fast.ts';
import { sign } from './certificates.ts';
import { machinePlace, type Place, podPlace, strangerPlace } from './place.ts';
import { pkiFolder } from './paths.ts';
import { workers } from './quick-start.ts';
import { echoPort, probePort, webhookPort } from './traffic.ts';

const [firstWorker = '', secondWorker = ''] = workers;

/** `near` asks most of the questions; `beside` is on its node, `far` and `limited` are on the other. */
export const podNames = ['near', 'beside', 'far', 'limited'] as const;
export type PodName = (typeof podNames)[number];
export type PlaceName = PodName | 'near-node' | 'far-node' | 'master' | 'stranger';

export const hostPort = 8088;
export const nodePorts: Record<string, number> = { near: 30010, beside: 30011, far: 30012 };
/** A port of every Service behind which no pod listens. */
export const closedServicePort = 9;
const closedTargetPort = 7;
const strangerAddress = '10.29.15.200';
/** Also the stranger's, in a range that is excluded from masquerading (RFC 5737 keeps it for examples). */
export const excludedAddress = '192.0.2.1';
export const excludedRange = '192.0.2.0/24';
/** Also the control plane's, on a way that leads by the stranger and is narrower than any other. */
export const narrowAddress = '198.51.100.7';
export const narrowMtu = 1300;
const bandwidthLimit = '16M';
export const limitBytesPerSecond = 16_000_000 / 8;

const placement: Record<PodName, string> = {
  near: firstWorker,
  beside: firstWorker,
  far: secondWorker,
  limited: secondWorker,
};

export interface Stage {
  places: Record<PlaceName, Place>;
  /** ClusterIPs, by the pod behind them. */
  services: Record<string, string>;
}

function pod(name: PodName): object {
  const limits = {
    'kubernetes.io/ingress-bandwidth': bandwidthLimit,
    'kubernetes.io/egress-bandwidth': bandwidthLimit,
  };
  const probe = { httpGet: { path: '/', port: probePort }, periodSeconds: 1, failureThreshold: 3 };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name, stage: 'directions' }, annotations: name === 'limited' ? limits : {} },
    spec: {
      nodeName: placement[name],
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'traffic',
          image: images.agent,
          imagePullPolicy: 'IfNotPresent',
          command: ['/usr/local/bin/node', '/traffic/traffic.ts', 'serve', '/certificates'],
          ports: [{ containerPort: echoPort, ...(name === 'far' ? { hostPort } : {}) }],
          readinessProbe: probe,
          livenessProbe: { tcpSocket: { port: echoPort }, periodSeconds: 2, failureThreshold: 5 },
          volumeMounts: [
            { name: 'traffic', mountPath: '/traffic' },
            { name: 'certificates', mountPath: '/certificates' },
          ],
        },
      ],
      volumes: [
        { name: 'traffic', configMap: { name: 'traffic' } },
        { name: 'certificates', secret: { secretName: 'webhook', optional: true } },
      ],
    },
  };
}

function service(name: string): object {
  const both = ['TCP', 'UDP'].map((protocol) => ({
    name: protocol.toLowerCase(),
    protocol,
    port: echoPort,
    targetPort: echoPort,
    nodePort: nodePorts[name],
  }));
  const webhook = { name: 'webhook', protocol: 'TCP', port: 443, targetPort: webhookPort };
  const closed = { name: 'closed', protocol: 'UDP', port: closedServicePort, targetPort: closedTargetPort };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels: { stage: 'directions' } },
    spec: { type: 'NodePort', selector: { app: name }, ports: [...both, closed, webhook] },
  };
}

const pool = {
  apiVersion: 'sample.fast.io/v1alpha1',
  kind: 'Ips',
  metadata: { name: 'default-ips', labels: { stage: 'directions' } },
  spec: { subnet: '10.244.0.1/32', ips: ['10.244.100.0-10.244.100.255'], coolDownSeconds: 1 },
};

/** The webhook's key, signed by the cluster's own authority for the Service `beside`. */
async function webhookSecret(): Promise<object> {
  const host = 'beside.default.svc';
  await sign(pkiFolder, { file: 'webhook', commonName: host, alternativeNames: [`DNS:${host}`] });
  const read = (file: string): string => readFileSync(join(pkiFolder, file)).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'webhook', labels: { stage: 'directions' } },
    data: { 'tls.crt': read('webhook.crt'), 'tls.key': read('webhook.key') },
  };
}

/** The ConfigMap with the program that the pods run. */
const programMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'traffic', labels: { stage: 'directions' } },
  data: { 'traffic.ts': readFileSync(join(import.meta.dirname, 'traffic.ts'), 'utf8') },
};

async function allReady(): Promise<true | string> {
  const pods = await objects<{
    metadata: { name: string };
    status: { conditions?: Array<{ type: string; status: string }> };
  }>('pods', '-l', 'stage=directions');
  const late = pods.filter((one) => !one.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'));
  return pods.length === podNames.length && late.length === 0
    ? true
    : `not ready: ${late.map((one) => one.metadata.name).join(', ')}`;
}

/** The stranger answers by the excluded address too, routes the narrow way, and knows where the pods are. */
async function layStrangeRoads(
  stranger: Place,
  master: Place,
  nodes: readonly Place[],
  pods: readonly Place[],
): Promise<void> {
  const ip = async (place: Place, ...argv: string[]): Promise<void> => {
    const { code, stderr } = await place.run(['ip', ...argv]);
    if (code !== 0) throw new Error(`ip ${argv.join(' ')} on ${place.name}: ${stderr}`);
  };
  await ip(stranger, 'address', 'replace', `${excludedAddress}/32`, 'dev', 'lo');
  await ip(master, 'address', 'replace', `${narrowAddress}/32`, 'dev', 'lo');
  await stranger.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.send_redirects=0']);
  await stranger.run(['sysctl', '-qw', 'net.ipv4.conf.eth0.send_redirects=0']);
  const narrow = ['mtu', 'lock', String(narrowMtu)];
  await ip(stranger, 'route', 'replace', `${narrowAddress}/32`, 'via', master.address, ...narrow);
  for (const node of nodes) {
    // The kernel sends one ICMP error a second to one and the same host, which is not what is tried here.
    await node.run(['sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0']);
    for (const range of [excludedRange, `${narrowAddress}/32`]) {
      await ip(node, 'route', 'replace', range, 'via', stranger.address);
    }
  }
  for (const one of pods) {
    const node = nodes.find((place) => place.machine === one.machine);
    await ip(stranger, 'route', 'replace', `${one.address}/32`, 'via', node?.address ?? '');
  }
}

/** Makes all of it and waits until every pod is Ready, which the kubelet's probes say. */
export async function setStage(): Promise<Stage> {
  const things = [
    programMap,
    await webhookSecret(),
    pool,
    ...podNames.map(pod),
    ...Object.keys(nodePorts).map(service),
  ];
  for (const thing of things) await kube(['apply', '-f', '-'], JSON.stringify(thing));
  await eventually('every pod being ready', 90_000, allReady);
  const endpoints = await objects<NodeEndpoint>('nodeendpoints');
  const machine = (name: string): Place => {
    const spec = endpoints.find((one) => one.metadata.name === name)?.spec;
    return machinePlace(name, [spec?.tunnelAddress ?? '', spec?.overlayAddress ?? '']);
  };
  const [near, beside, far, limited] = await Promise.all(podNames.map(podPlace));
  if (!near || !beside || !far || !limited) throw new Error('a pod of the stage is missing');
  const machines = {
    'near-node': machine(firstWorker),
    'far-node': machine(secondWorker),
    master: machine('york-master'),
  };
  const stranger = await strangerPlace('stranger', strangerAddress);
  const places = { near, beside, far, limited, ...machines, stranger };
  await layStrangeRoads(stranger, machines.master, Object.values(machines), [near, beside, far, limited]);
  await Promise.all([...Object.values(machines), stranger].map((place) => place.serve()));
  const services = await objects<{ metadata: { name: string }; spec: { clusterIP: string } }>(
    'services',
    '-l',
    'stage=directions',
  );
  return { places, services: Object.fromEntries(services.map((one) => [one.metadata.name, one.spec.clusterIP])) };
}

/** Ends the traffic programs of the stage and removes its objects. */
export async function strikeStage(stage: Stage | undefined): Promise<void> {
  for (const place of Object.values(stage?.places ?? {})) place.close();
  await kube(['delete', 'pods,services,configmaps,secrets', '-l', 'stage=directions', '--timeout=60s']);
  await kube(['delete', 'ips', 'default-ips', '--ignore-not-found', '--timeout=90s']);
}
