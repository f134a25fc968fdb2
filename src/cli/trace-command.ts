// SPDX-License-Identifier: Apache-2.0
// `fast-ctl trace POD DEST`: which program, entry and route the first packet of a flow takes.
import { Command, InvalidArgumentError, Option } from 'commander';
import { bpfPinFolder } from '../api/names.ts';
import { encodeAddressKey } from '../datapath/codecs.ts';
import { maps } from '../datapath/generated/layout.ts';
import { isAddress } from '../ip/address.ts';
import { allOfOurs, NotInstalled, recordKind } from './kinds.ts';
import { formatData, formatRows, type OutputFormat, outputOption } from './output.ts';
import { type Cluster, type ClusterChoice, Ended, type Surroundings } from './surroundings.ts';
import type { Column } from './table.ts';
import { serviceByName } from './backends.ts';
import type { NodeKernel } from './node-kernel.ts';
import { Trace } from './trace.ts';
import { Arrival, type Sender } from './trace-arrival.ts';
import { stepsBeyond } from './trace-beyond.ts';
import type { Question, Step } from './trace-steps.ts';
import { traceThere } from './trace-there.ts';
import { defaultPort, type Target, targetAt, targetOf, type Wish, withService, WrongBackend } from './trace-target.ts';
import type { Flow } from './trace-packet.ts';
import { wholeNumberOf } from './words.ts';

interface Options extends ClusterChoice {
  readonly protocol: Flow['protocol'];
  readonly port?: number;
  readonly backend?: string;
  readonly sourcePort: number;
  readonly arrivesFrom?: string;
  readonly direct?: boolean;
  readonly bpfObject: string;
  readonly pinFolder: string;
  readonly output: OutputFormat;
}

const columns: Column[] = [
  { title: 'STEP', field: 'kind' },
  { title: 'WHERE', field: 'where' },
  { title: 'WHAT', field: 'what' },
];

const portOf = wholeNumberOf(1, 65_535, 'give a port from 1 to 65535.');

function nodeAddressOf(text: string): string {
  if (isAddress(text)) return text;
  throw new InvalidArgumentError('give the IPv4 address of the other node, such as 10.29.15.50.');
}

const moreHelp = `
A Service's address is rewritten by kube-proxy on the pod's node. Which Service it is, and which backends are ready, is read
by the kubeconfig, which needs the rights to get and list services and to list endpointslices; without them name a backend by
--backend. That an address for Services is nobody's is known where it may also list servicecidrs (Kubernetes 1.33 on). As whom
a packet leaves the cluster is read from the node's own nftables rules.

The half of the node that receives is asked of that node's agent, for which the kubeconfig must be allowed to list
nodeendpoints and to exec in fast-system; whether that node is on is known by the rights to get nodes and to list leases in
kube-node-lease. Of a node's own address the pod or Service that has the port is named by the rights to list pods and services.
What could not be asked is said, with the command for the node itself.

It exits with 1 where the packet is dropped.`;

interface Place {
  readonly address: string;
  /** Absent where an address was given and nobody was asked. */
  readonly node?: string;
}

const looksLikeAddress = /^[\d.]+$/;
const podName = /^(?:([a-z0-9-]+)\/)?([a-z0-9][a-z0-9.-]*)$/;
const serviceName = /^(?:([a-z0-9-]+)\/)?(?:svc|service|services)\/([a-z0-9][a-z0-9-]*)$/;

/** An address, or a pod as NAMESPACE/NAME by its record. @throws Error with the value and the cure */
async function placeOf(text: string, cluster: () => Promise<Pick<Cluster, 'list'>>): Promise<Place> {
  if (isAddress(text)) return { address: text };
  const [, namespace = 'default', name] = podName.exec(text) ?? [];
  if (name === undefined || looksLikeAddress.test(text)) {
    throw new Error(`"${text}" is neither an IPv4 address such as 10.244.10.0 nor a pod as NAMESPACE/NAME`);
  }
  const found = (await allOfOurs(await cluster(), recordKind)).find(
    ({ spec: { owner, state } }) =>
      owner.kind === 'Pod' && owner.namespace === namespace && owner.name === name && state === 'Bound',
  );
  if (found === undefined) throw new Error(sayNoPod(namespace, name));
  return { address: found.spec.address, node: found.spec.nodeName };
}

/** Whether there is nothing more to look for. */
const isFinal = (error: unknown): boolean => error instanceof NotInstalled || error instanceof WrongBackend;

/** As kubectl takes them; here the namespace comes first. */
const kindWords = new Set('po pod pods deploy deployment deployments sts statefulset ds daemonset svc'.split(' '));

function sayNoPod(namespace: string, name: string): string {
  const hint = kindWords.has(namespace) ? `; before the / stands the namespace, such as default/${name}` : '';
  return `no pod ${namespace}/${name} has an address; kubectl get ipallocations${hint}`;
}

type Reader = Pick<Cluster, 'list' | 'find'>;

/** As `placeOf`, and a Service by its name or its address. */
async function targetBy(text: string, wish: Wish, cluster: () => Promise<Reader>): Promise<Target> {
  if (isAddress(text)) return targetAt(text, wish, cluster);
  const [, home = 'default', own] = serviceName.exec(text) ?? [];
  if (own !== undefined) {
    const reader = await cluster();
    const found = await serviceByName(reader, home, own);
    if (found === undefined) throw new Error(`there is no Service ${home}/${own}; kubectl get services -n ${home}`);
    return targetOf(found, wish, reader);
  }
  try {
    const { address } = await placeOf(text, cluster);
    if (wish.backend !== undefined)
      throw new WrongBackend(`--backend is of a Service, and ${text} is a pod; leave it out`);
    return { address, port: wish.port ?? defaultPort, said: [], isEnd: false };
  } catch (error) {
    const [, namespace = 'default', name] = podName.exec(text) ?? [];
    if (name === undefined || looksLikeAddress.test(text) || isFinal(error)) throw error;
    const reader = await cluster();
    const found = await serviceByName(reader, namespace, name);
    if (found === undefined) {
      throw new Error(`${sentenceOf(error)}; nor is there a Service ${namespace}/${name}`, { cause: error });
    }
    return targetOf(found, wish, reader);
  }
}

const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function here(
  s: Surroundings,
  folder: string,
  look: (kernel: NodeKernel) => Pick<Trace | Arrival, 'run'>,
): Promise<Step[]> {
  const kernel = await s.openKernel(folder);
  try {
    return look(kernel).run();
  } finally {
    kernel.close();
  }
}

/** Whether the pod is one of this machine, which need not be a node at all. */
async function isHere(s: Surroundings, address: string, folder: string): Promise<boolean> {
  try {
    const kernel = await s.openKernel(folder);
    try {
      return kernel.lookup(maps.localPodIps.name, encodeAddressKey(address)) !== undefined;
    } finally {
      kernel.close();
    }
  } catch {
    return false;
  }
}

async function stepsOf(s: Surroundings, pod: string, to: string, options: Options): Promise<Step[]> {
  const cluster = (): Promise<Cluster> => s.cluster(options);
  const from = await placeOf(pod, cluster);
  const { protocol, sourcePort, bpfObject: objectFile, pinFolder, arrivesFrom, direct = false } = options;
  if (direct && arrivesFrom === undefined) {
    throw new Error('--direct says how it came from where --arrives-from says; give both, or neither');
  }
  if (arrivesFrom !== undefined) {
    const { address: destination } = await placeOf(to, cluster);
    const { port = defaultPort } = options;
    const question = { source: from.address, destination, protocol, port, sourcePort, objectFile };
    const sender: Sender = { address: arrivesFrom, way: direct ? 'direct' : 'tunnel' };
    return here(s, pinFolder, (kernel) => new Arrival(kernel, question, sender));
  }
  const target = await targetBy(to, { ...options, ...(from.node === undefined ? {} : { node: from.node }) }, cluster);
  const { address: destination, port, backend } = target;
  const flow = { source: from.address, destination, protocol, port, sourcePort, objectFile };
  const question: Question = backend === undefined ? flow : { ...flow, backend };
  // A name leads to its node, wherever this is; an address is asked for here.
  const isThere = from.node !== undefined && !(await isHere(s, from.address, pinFolder));
  const found = isThere
    ? await traceThere(s, await cluster(), from.node ?? '', question)
    : await here(s, pinFolder, (kernel) => new Trace(kernel, question));
  const steps = withService(found, target);
  const beyond = {
    surroundings: s,
    cluster,
    choice: options,
    isPodAccount: s.usesPodAccount(options),
    ...(isThere ? {} : { clusterPods: () => s.openMaps(pinFolder)(maps.clusterPodIps.name) }),
  };
  return [...steps, ...(await stepsBeyond(steps, question, beyond))];
}

export function traceCommand(s: Surroundings): Command {
  return new Command('trace')
    .description(
      'which way the first packet of a flow takes, from its pod on: programs, entries, routes, the receiving node',
    )
    .argument('<pod>', 'who sends: NAMESPACE/NAME, or an address of a pod of this node')
    .argument('<destination>', 'an address, a pod or Service as NAMESPACE/NAME, or NAMESPACE/svc/NAME')
    .addHelpText('after', moreHelp)
    .addOption(new Option('--protocol <name>', 'what is sent').choices(['tcp', 'udp', 'icmp']).default('tcp'))
    .option('--port <n>', "the port of the destination (default: a Service's first, else 80)", portOf)
    .option('--backend <address>', 'of a Service, follow this backend: ADDRESS, ADDRESS:PORT or a pod')
    .option('--source-port <n>', "the pod's own port", portOf, 40_000)
    .option(
      '--arrives-from <address>',
      'the receiving half, on this node: of what the node with this address sends',
      nodeAddressOf,
    )
    .option('--direct', 'with --arrives-from: it comes without a tunnel')
    .addOption(outputOption())
    .option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder)
    .option('--bpf-object <file>', "the agent's compiled programs", '/opt/fast/fast.bpf.o')
    .action(async (pod: string, to: string, own: Options, command: Command) => {
      const options = { ...command.optsWithGlobals<ClusterChoice>(), ...own };
      const { output } = options;
      const steps = await stepsOf(s, pod, to, options);
      s.print(
        formatData(steps, output) ??
          formatRows(
            columns,
            steps.map((step) => ({ ...step })),
            output,
            { nothing: '', width: s.terminalWidth },
          ),
      );
      if (steps.findLast(({ outcome }) => outcome !== undefined)?.outcome === 'dropped') throw new Ended(1);
    });
}
