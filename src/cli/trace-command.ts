// SPDX-License-Identifier: Apache-2.0
// `fast-ctl trace POD DEST`: which program, entry and route the first packet of a flow takes.
import { Command, InvalidArgumentError, Option } from 'commander';
import { bpfPinFolder } from '../api/names.ts';
import { encodeAddressKey } from '../datapath/codecs.ts';
import { maps } from '../datapath/generated/layout.ts';
import { isAddress } from '../ip/address.ts';
import { runOnNode } from './agent-pod.ts';
import { recordKind } from './kinds.ts';
import { formatData, formatRows, type OutputFormat, outputOption } from './output.ts';
import { type Cluster, type ClusterChoice, Ended, type Surroundings } from './surroundings.ts';
import type { Column } from './table.ts';
import { type Question, type Step, Trace } from './trace.ts';
import type { Flow } from './trace-packet.ts';

interface Options extends ClusterChoice {
  readonly protocol: Flow['protocol'];
  readonly port: number;
  readonly sourcePort: number;
  readonly bpfObject: string;
  readonly pinFolder: string;
  readonly output: OutputFormat;
}

const columns: Column[] = [
  { title: 'STEP', field: 'kind' },
  { title: 'WHERE', field: 'where' },
  { title: 'WHAT', field: 'what' },
];

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('give a port from 1 to 65535.');
}

interface Place {
  readonly address: string;
  /** Absent where an address was given and nobody was asked. */
  readonly node?: string;
}

const looksLikeAddress = /^[\d.]+$/;
const podName = /^(?:([a-z0-9-]+)\/)?([a-z0-9][a-z0-9.-]*)$/;

/** An address, or a pod as NAMESPACE/NAME by its record. @throws Error with the value and the cure */
export async function placeOf(text: string, cluster: () => Promise<Pick<Cluster, 'list'>>): Promise<Place> {
  if (isAddress(text)) return { address: text };
  const [, namespace = 'default', name] = podName.exec(text) ?? [];
  if (name === undefined || looksLikeAddress.test(text)) {
    throw new Error(`"${text}" is neither an IPv4 address such as 10.244.10.0 nor a pod as NAMESPACE/NAME`);
  }
  const { items } = await (await cluster()).list(recordKind);
  const found = items.find(
    ({ spec: { owner, state } }) =>
      owner.kind === 'Pod' && owner.namespace === namespace && owner.name === name && state === 'Bound',
  );
  if (found === undefined) throw new Error(`no pod ${namespace}/${name} has an address; kubectl get ipallocations`);
  return { address: found.spec.address, node: found.spec.nodeName };
}

async function traceHere(s: Surroundings, question: Question, folder: string): Promise<Step[]> {
  const kernel = await s.openKernel(folder);
  try {
    return new Trace(kernel, question).run();
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

/** What is to be said on the pod's node to ask the same. */
function wordsOf({ source, destination, protocol, port, sourcePort }: Question, output: OutputFormat): string[] {
  const flags = ['--protocol', protocol, '--port', `${port}`, '--source-port', `${sourcePort}`, '-o', output];
  return ['trace', source, destination, ...flags];
}

export function traceCommand(s: Surroundings): Command {
  return new Command('trace')
    .description('which way the first packet of a flow takes on the node of its pod: programs, entries, routes')
    .argument('<pod>', 'who sends: NAMESPACE/NAME, or an address of a pod of this node')
    .argument('<destination>', 'an address, or a pod as NAMESPACE/NAME')
    .addOption(new Option('--protocol <name>', 'what is sent').choices(['tcp', 'udp', 'icmp']).default('tcp'))
    .option('--port <n>', 'the port of the destination', portOf, 80)
    .option('--source-port <n>', "the pod's own port", portOf, 40_000)
    .addOption(outputOption())
    .option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder)
    .option('--bpf-object <file>', "the agent's compiled programs", '/opt/fast/fast.bpf.o')
    .action(async (pod: string, to: string, own: Options, command: Command) => {
      const options = { ...command.optsWithGlobals<ClusterChoice>(), ...own };
      const cluster = (): Promise<Cluster> => s.cluster(options);
      const [from, destination] = [await placeOf(pod, cluster), await placeOf(to, cluster)];
      const { protocol, port, sourcePort, bpfObject: objectFile, pinFolder, output } = options;
      const question = {
        source: from.address,
        destination: destination.address,
        protocol,
        port,
        sourcePort,
        objectFile,
      };
      // A name leads to its node, wherever this is; an address is asked for here.
      if (from.node !== undefined && !(await isHere(s, from.address, pinFolder))) {
        throw new Ended(await runOnNode(await cluster(), from.node, wordsOf(question, output), s));
      }
      const steps = await traceHere(s, question, pinFolder);
      s.print(
        formatData(steps, output) ??
          formatRows(
            columns,
            steps.map((step) => ({ ...step })),
            output,
            { nothing: '' },
          ),
      );
    });
}
