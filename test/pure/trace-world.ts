// SPDX-License-Identifier: Apache-2.0
// Two nodes and a pod on each, of which fast-ctl traces one to the other: what the agents answer, and what may be read.
import type { Cluster, Surroundings } from '../../src/cli/surroundings.ts';
import type { Step } from '../../src/cli/trace-steps.ts';
import { errorOfAnswer, type KubeError } from '../../src/kube/errors.ts';
import { fastCtl } from './cli-shell.ts';
import { condition, machine } from './cluster-view.ts';

export type Fields = Record<string, unknown>;
export type Exec = Cluster['exec'];

export const [client, far] = ['10.244.10.0', '10.244.10.9'];
export const [one, two] = ['10.0.0.1', '10.0.0.2'];

const record = (name: string, address: string, nodeName: string) => ({
  spec: { owner: { kind: 'Pod', namespace: 'shop', name }, state: 'Bound', address, nodeName },
});
export const endpoint = (
  name: string,
  tunnelAddress: string,
  datapath: object = condition('DatapathReady', 'True'),
) => ({
  metadata: { name },
  spec: { nodeUID: name, tunnelAddress },
  status: { conditions: [datapath] },
});
export const lease = (name: string, renewTime: string) => ({
  metadata: { name },
  spec: { renewTime, leaseDurationSeconds: 40 },
});

/** The sender's half, by the tunnel, or to a node's own address. */
const toFar: Step[] = [
  { kind: 'pod', where: 'fast0', what: 'the pod' },
  { kind: 'end', where: 'up0', what: 'leaves', outcome: 'toNode', toNode: { address: two, way: 'tunnel', from: one } },
];
export const toTwo: Step[] = [
  { kind: 'netfilter', where: 'the stack', what: 'sees it' },
  { kind: 'end', where: 'up0', what: 'leaves by the stack', outcome: 'leaves' },
];
export const toOne: Step[] = [{ kind: 'end', where: 'up0', what: "is this node's own address", outcome: 'host' }];
export const half: Step[] = [
  { kind: 'arrival', where: 'fast_vxlan', what: 'by the tunnel' },
  { kind: 'end', where: 'fast1', what: 'delivered', outcome: 'delivered' },
];

export const says =
  (steps: readonly Step[]): Exec =>
  async (_target, _command, { stdout }) => {
    stdout(JSON.stringify(steps));
    return 0;
  };
export const refused = (verb: string, plural: string): KubeError =>
  errorOfAnswer({ verb, target: plural }, 403, {
    code: 403,
    reason: 'Forbidden',
    message: `${plural} is forbidden: User "jane" cannot ${verb} resource "${plural}" in API group "" at the cluster scope`,
  });

export interface World {
  readonly sender?: readonly Step[];
  readonly receiver?: Exec;
  /** By plural, in place of what is there; an Error is thrown to who asks. */
  readonly kinds?: Record<string, object[] | Error>;
  readonly given?: Partial<Surroundings>;
}

interface Answer {
  readonly steps: readonly Step[];
  /** Behind the sender's half. */
  readonly beyond: readonly Step[];
  readonly asked: readonly string[];
  readonly stdout: string;
}

export async function trace(
  line: string,
  { sender = toFar, receiver = says(half), kinds = {}, given = {} }: World = {},
): Promise<Answer> {
  const objects: Record<string, object[] | Error> = {
    ipallocations: [record('client', client, 'one'), record('web', far, 'two')],
    nodeendpoints: [endpoint('one', one), endpoint('two', two)],
    nodes: [machine('one'), machine('two')],
    leases: [lease('one', '2026-11-25T11:59:58.000000Z'), lease('two', '2026-11-25T11:59:57.000000Z')],
    ...kinds,
  };
  const give = (plural: string): object[] => {
    const items = objects[plural] ?? [];
    if (items instanceof Error) throw items;
    return items;
  };
  const asked: string[] = [];
  const agentOn = (node: string) => [{ metadata: { name: `agent-${node}` }, status: { phase: 'Running' } }];
  const cluster = {
    list: async ({ plural }: { plural: string }, { namespace, fieldSelector = '' }: Record<string, string> = {}) => ({
      items:
        plural === 'pods' && namespace === 'fast-system' ? agentOn(fieldSelector.split('=')[1] ?? '') : give(plural),
    }),
    find: async ({ plural }: { plural: string }, name: string) =>
      give(plural).find((each) => (each as { metadata: Fields }).metadata['name'] === name),
    exec: (target: { pod: string }, command: string[], streams: Parameters<Exec>[2]) => {
      const isSender = target.pod === 'agent-one';
      if (!isSender) asked.push(command.join(' '));
      return (isSender ? says(sender) : receiver)(target as never, command, streams);
    },
  };
  const { code, stdout, stderr } = await fastCtl(line, { cluster: async () => cluster as never, ...given });
  if (stdout === '') throw new Error(`${code} ${stderr}`);
  const steps = line.includes('json') ? (JSON.parse(stdout) as Step[]) : [];
  return { steps, beyond: steps.slice(sender.length), asked, stdout };
}
