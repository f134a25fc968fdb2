// SPDX-License-Identifier: Apache-2.0
// `fast-ctl ipam`: pools and their fill, whether all is true, and how long it lasts. It asks the API server and, for the
// maps, each agent's pod; it needs no shell on a node.
import { Command, InvalidArgumentError } from 'commander';
import { controllerName, installNamespace } from '../api/names.ts';
import { isReason } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { resource } from '../kube/object.ts';
import { leases } from '../kube/resources.ts';
import { fillLegend } from './fill.ts';
import { isUnled } from './health-check.ts';
import { type Breach, type CheckedObjects, findBreaches, inBoth } from './ipam-check.ts';
import { type Fit, fitOf, fitSentence, forecastColumns, forecastRows } from './ipam-forecast.ts';
import { pictureOf, rangesOf, showColumns, showRows } from './ipam-show.ts';
import { bookOf, type IpamObjects, readIpam } from './ipam-world.ts';
import { askNodes, type Asked } from './node-maps.ts';
import { cleanedNode, isRemoved } from './node-standing.ts';
import { formatData, formatRows, type OutputFormat, outputOption } from './output.ts';
import { type SandboxTroubles, sandboxTroubles } from './sandbox-troubles.ts';
import { atCluster } from './same-cluster.ts';
import { type Cluster, type ClusterChoice, Ended, stoppedExitCode, type Surroundings } from './surroundings.ts';
import { colours, plain } from './tones.ts';

interface OutputChoice extends ClusterChoice {
  readonly output: OutputFormat;
}

interface ForecastOptions extends OutputChoice {
  readonly namespace: string;
  readonly add: readonly Addition[];
}

/** Between the two looks of a check: reconcilers, watches and agents have answered by then if they are going to. */
const secondLookMs = 3_000;

export function ipamCommand(s: Surroundings): Command {
  return new Command('ipam')
    .description('the addresses of the cluster: pools, records, and whether they are true')
    .addCommand(showCommand(s))
    .addCommand(checkCommand(s))
    .addCommand(forecastCommand(s));
}

function showCommand(s: Surroundings): Command {
  return new Command('show')
    .description('how full each pool is; of one pool, where in its ranges')
    .argument('[pool]', 'an Ips')
    .addOption(outputOption())
    .action(async (name: string | undefined, _own: object, command: Command) => {
      const { output, ...choice } = command.optsWithGlobals<OutputChoice>();
      const objects = await readIpam(await s.cluster(choice));
      const book = bookOf(objects);
      const isForPeople = output === 'table' || output === 'wide';
      const all = showRows(book, isForPeople);
      const one = objects.pools.find(({ metadata }) => metadata.name === name);
      const rows = all.filter((row) => name === undefined || row.pool === name);
      if (name !== undefined && rows.length === 0)
        throw new Error(`there is no Ips ${name} that can be read; kubectl get ips`);
      const full = isForPeople || one === undefined ? rows : rows.map((row) => ({ ...row, ...rangesOf(book, one) }));
      const nothing = 'there is no pool; see docs/pools.md';
      s.print(formatRows(showColumns(rows), full, output, { nothing, paint: s.isColourful ? colours : plain }));
      if (!isForPeople || rows.length === 0) return;
      s.print(name === undefined ? `\n${fillLegend}\n` : `\n${pictureOf(book, name)}`);
    });
}

interface Checked {
  readonly breaches: readonly Breach[];
  readonly objects: CheckedObjects;
  readonly asked: Asked;
}

/** None where this account may not see events: it is then only told of pods that do not end. */
async function troublesIn(cluster: Cluster): Promise<SandboxTroubles> {
  try {
    return await sandboxTroubles(cluster);
  } catch (error) {
    if (isReason(error, 'forbidden')) return new Map();
    throw error;
  }
}

/** Somebody is taken to lead where this account may not see who does. */
async function isLedIn(cluster: Cluster, nowMs: number): Promise<boolean> {
  try {
    return !isUnled({ lease: await cluster.find(leases, controllerName, installNamespace), nowMs });
  } catch (error) {
    if (isReason(error, 'forbidden')) return true;
    throw error;
  }
}

async function check(cluster: Cluster, s: Surroundings, choice: ClusterChoice): Promise<Checked> {
  const asker = { stopped: s.stopped, isPodAccount: s.usesPodAccount(choice) };
  const look = async (unasked: Asked['unasked']): Promise<Checked> => {
    const asking = await readIpam(cluster);
    const nodes = new Set([...asking.endpoints, ...asking.nodes].map(({ metadata }) => metadata.name));
    // Who did not answer before is not waited for again: what both looks find is what counts.
    const cleaned = new Map(asking.endpoints.filter(isRemoved).map(({ metadata }) => [metadata.name, cleanedNode]));
    const answering = [...nodes].filter((node) => !unasked.has(node) && !cleaned.has(node)).sort();
    const now = await askNodes(cluster, answering, asker);
    const asked = { maps: now.maps, unasked: new Map([...unasked, ...cleaned, ...now.unasked]) };
    const [troubles, isLed] = await Promise.all([troublesIn(cluster), isLedIn(cluster, s.nowMs())]);
    const objects = { ...(await readIpam(cluster)), troubles, isLed };
    return { breaches: findBreaches(objects, asked.maps, s.nowMs()), objects, asked };
  };
  const first = await look(new Map());
  if (first.breaches.length === 0 || s.stopped.aborted) return first;
  await s.sleep(secondLookMs);
  const second = await look(first.asked.unasked);
  return { ...second, breaches: inBoth(first.breaches, second.breaches) };
}

function checkCommand(s: Surroundings): Command {
  return new Command('check')
    .description("compare records with pods, endpoints and every node's maps; exits 1 where something does not hold")
    .addOption(outputOption())
    .addHelpText('after', '\nIt exits with 2 when all holds that it could look at, and a node could not be asked.')
    .action(async (_own: object, command: Command) => {
      const { output, ...choice } = command.optsWithGlobals<OutputChoice>();
      const { breaches: found, objects, asked } = await check(await s.cluster(choice), s, choice);
      if (s.stopped.aborted) throw new Ended(stoppedExitCode(s.stopped));
      const breaches = found.map((breach) => ({ ...breach, cure: atCluster(breach.cure, choice) }));
      const unasked = [...asked.unasked].map(([node, because]) => ({ node, because: atCluster(because, choice) }));
      const data = formatData({ breaches, unasked, nodesAsked: asked.maps.size }, output);
      s.print(data ?? reportOf(breaches, objects, asked));
      for (const { node, because } of unasked) s.printError(`fast-ctl: node ${node} was not asked: ${because}\n`);
      if (breaches.length > 0) throw new Ended(1);
      if (unasked.length > 0) throw new Ended(2);
    });
}

function reportOf(breaches: readonly Breach[], { records, pods, pools }: IpamObjects, asked: Asked): string {
  const { size } = asked.maps;
  const left = asked.unasked.size;
  const nodes = left === 0 ? `${size} nodes` : `${size} of ${size + left} nodes`;
  const seen = `${pools.length} pools, ${records.length} records, ${pods.length} pods, the maps of ${nodes}`;
  if (breaches.length === 0) return `${left === 0 ? 'All holds' : 'What could be asked holds'}: ${seen}.\n`;
  const lines = breaches.map(({ invariant, what, cure }) => `${invariant}: ${what}\n  cure: ${cure}\n`);
  return `${lines.join('')}${breaches.length} things do not hold in ${seen}.\n`;
}

/** Workloads by the names that kubectl knows them by. */
const workloads: Readonly<Record<string, readonly [plural: string, kind: string]>> = {
  deploy: ['deployments', 'Deployment'],
  deployment: ['deployments', 'Deployment'],
  sts: ['statefulsets', 'StatefulSet'],
  statefulset: ['statefulsets', 'StatefulSet'],
};

interface Addition {
  readonly kind: string;
  readonly name: string;
  readonly count: number;
}

function addition(text: string, before: readonly Addition[]): Addition[] {
  const [, kind = '', name = '', count = ''] = /^([a-z]+)\/([a-z0-9.-]+)=([1-9][0-9]{0,6})$/.exec(text) ?? [];
  if (workloads[kind] === undefined) {
    throw new InvalidArgumentError(
      `Write deploy/NAME=COUNT or sts/NAME=COUNT, such as deploy/web=50; COUNT from 1 to 9999999.`,
    );
  }
  return [...before, { kind, name, count: Number(count) }];
}

function forecastCommand(s: Surroundings): Command {
  return new Command('forecast')
    .description('how long each pool lasts as in the last hour, and whether more pods fit; exits 1 if they do not')
    .option('-n, --namespace <name>', 'of the workloads in --add', 'default')
    .option('--add <workload=count>', 'so many more pods of it, such as deploy/web=50', addition, [] as Addition[])
    .addOption(outputOption())
    .action(async (_own: object, command: Command) => {
      const { output, namespace, add, ...choice } = command.optsWithGlobals<ForecastOptions>();
      const cluster = await s.cluster(choice);
      const objects = await readIpam(cluster);
      const book = bookOf(objects);
      const rows = forecastRows(book, s.nowMs());
      const fits: Array<Fit & { kind: string; namespace: string; name: string }> = [];
      for (const each of add) {
        const [, kind = ''] = workloads[each.kind] ?? [];
        const found = await fit(cluster, each, namespace, objects, s.nowMs());
        fits.push({ kind, namespace, name: each.name, ...found });
      }
      const paint = s.isColourful ? colours : plain;
      const table = (): string => formatRows(forecastColumns, rows, output, { nothing: 'there is no pool', paint });
      s.print(
        formatData({ pools: rows, fits }, output) ??
          `${table()}${fits.map((each) => `\n${fitSentence(each)}\n`).join('')}`,
      );
      if (fits.some(({ missing }) => missing > 0)) throw new Ended(1);
    });
}

interface Workload extends KubeObject {
  spec: { template: { metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> } } };
}

async function fit(
  cluster: Pick<Cluster, 'find'>,
  { kind, name, count }: Addition,
  namespace: string,
  objects: IpamObjects,
  nowMs: number,
): Promise<Fit> {
  const [plural, title] = workloads[kind] ?? ['', ''];
  const found = await cluster.find(resource<Workload>('apps', 'v1', plural, title, 'namespaced'), name, namespace);
  if (found === undefined) throw new Error(`there is no ${title} ${namespace}/${name}; name its namespace by -n`);
  const { labels = {}, annotations = {} } = found.spec.template.metadata ?? {};
  const pod = { metadata: { name: `${name}-more`, namespace, labels, annotations }, spec: {} };
  const home = objects.namespaces.find(({ metadata }) => metadata.name === namespace) ?? {
    metadata: { name: namespace },
  };
  return fitOf(`${kind}/${name}`, count, pod, home, objects.pools, bookOf(objects), nowMs);
}
