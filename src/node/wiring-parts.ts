// SPDX-License-Identifier: Apache-2.0
// The parts of the agent that touch the kernel, put together. What they know of the cluster is passed in, so a test runs
// them in a namespace of its own with records in memory.
import type { BpfMap } from 'ebpf-native';
import { maps } from '../datapath/generated/layout.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Ips } from '../api/generated/ips.ts';
import { type Mode, vxlanPort } from '../api/names.ts';
import { realClock } from '../kube/clock.ts';
import { RangeSet } from '../ip/range-set.ts';
import type { Log } from '../kube/log.ts';
import type { PodIdentity } from '../protocol/messages.ts';
import type { ConditionFact, NodeReport } from '../wiring/endpoint-status.ts';
import { Attachments } from './attachments.ts';
import { Comparison } from './comparison.ts';
import type { Part } from './comparison.ts';
import { hasOverlayAddress } from './device.ts';
import type { RecordMet } from './cni-metrics.ts';
import { wakeConntrack } from './flows.ts';
import type { Host } from './host.ts';
import { IdentityQueue } from './identity-queue.ts';
import { NodeParts } from './node-parts.ts';
import { DevicePrograms } from './device-programs.ts';
import { loadDatapath } from './programs.ts';
import type { Records } from './records.ts';
import type { Unavailable } from './requests.ts';
import type { StepObserver } from './steps.ts';
import { WireBook } from './wire-book.ts';
import { WireRemover } from './wire-remover.ts';
import { WiresPart } from './wires-part.ts';

/** The part that looks at each wire: what it finds is some pods' matter and keeps no other from being wired. */
const singleWires = 'single-wires';

export interface Wiring {
  readonly attachments: Attachments;
  readonly comparison: Comparison;
  readonly book: WireBook;
  readonly remover: WireRemover;
  readonly hasOverlayAddress: (address: string) => boolean;
  readonly unavailable: () => Unavailable | undefined;
  /** What keeps the node from taking pods at all, "part: why" joined; undefined when nothing does. */
  readonly obstacle: () => string | undefined;
  readonly report: (fastPath: ConditionFact) => NodeReport;
  readonly counters: BpfMap;
}

export interface WiringOptions {
  readonly host: Host;
  readonly bpfObject: string;
  readonly pinFolder: string;
  readonly uplink: string;
  readonly mode: Mode;
  /** For tests of upgrades: the layout's version, where it is not this build's. */
  readonly layout?: number | undefined;
  /** Destinations outside that see pods by their own addresses; none by default. */
  readonly masqueradeExclude?: RangeSet;
  /** As in AgentOptions; absent: auto, and IANA's port. */
  readonly mtu?: number | 'auto';
  readonly tunnelPort?: number;
  readonly node: string;
  readonly records: Records;
  readonly endpoints: () => readonly NodeEndpoint[];
  readonly pools: () => readonly Ips[];
  /** Compared behind all others, such as the files of the CNI. */
  readonly moreParts: readonly Part[];
  readonly everyMs: number;
  readonly onChange: (address: string) => void;
  readonly onRun: () => void;
  readonly onAdd?: ((met: RecordMet) => void) | undefined;
  /** Sees the steps of ADD and DEL. */
  readonly observer?: StepObserver | undefined;
  readonly log: Log;
}

/** Loads the programs and builds the parts; nothing else is touched before the first comparison. */
export function buildWiring(o: WiringOptions): Wiring {
  const { host, records, log, endpoints, onChange, node } = o;
  wakeConntrack(host, log);
  const datapath = loadDatapath(o.bpfObject, o.pinFolder, o.layout);
  const own = (): NodeEndpoint | undefined => endpoints().find((one) => one.metadata.name === node);
  const nodeParts = new NodeParts({
    host,
    datapath,
    programs: new DevicePrograms(host, o.pinFolder, o.layout),
    pinFolder: o.pinFolder,
    layout: o.layout,
    uplink: o.uplink,
    mode: o.mode,
    masqueradeExclude: o.masqueradeExclude ?? RangeSet.empty,
    mtu: o.mtu ?? 'auto',
    tunnelPort: o.tunnelPort ?? vxlanPort,
    ownName: node,
    endpoints,
    own,
    pools: o.pools,
    problems: () => comparison.problems(),
    clock: realClock,
    log,
  });
  const facts = () => nodeParts.facts();
  const book = new WireBook();
  const { observer } = o;
  const remover = new WireRemover({ host, datapath, book, log, observer, onGone: (wire) => onChange(wire.address) });
  const shared = { host, datapath, records, book, remover, facts, onChange, log };
  const attachments = new Attachments({
    ...shared,
    queue: new IdentityQueue(),
    reasonOf: (pod) => waitingReason(own(), pod),
    onAdd: o.onAdd,
    observer,
  });
  const wires = new WiresPart({ ...shared, attachments, endpoints, ownName: node });
  const parts = [
    ...nodeParts.foundation(),
    { name: 'wires', run: (full: boolean) => wires.run(full) },
    { name: singleWires, run: (full: boolean) => wires.mend(full) },
    ...nodeParts.programs(),
    ...o.moreParts,
  ];
  const comparison: Comparison = new Comparison({ parts, log, everyMs: o.everyMs, onRun: o.onRun });
  return {
    attachments,
    comparison,
    book,
    remover,
    hasOverlayAddress: (address) => hasOverlayAddress(host, address),
    unavailable: () => unavailable(comparison, book),
    obstacle: () =>
      comparison
        .problems()
        .filter((one) => !one.startsWith(`${singleWires}: `))
        .join('; ') || undefined,
    report: (fastPath) => ({
      mtu: nodeParts.mtu(),
      maps: fillOf(book.list().length, nodeParts.clusterEntries),
      orphans: wires.orphans(),
      conditions: { DatapathReady: datapathFact(comparison.problems()), FastPath: fastPath, ...nodeParts.directFact() },
    }),
    counters: datapath.counters,
  };
}

function fillOf(local: number, cluster: number): NodeReport['maps'] {
  return [
    { name: maps.localPodIps.name, entries: local, maxEntries: maps.localPodIps.maxEntries },
    { name: maps.clusterPodIps.name, entries: cluster, maxEntries: maps.clusterPodIps.maxEntries },
  ];
}

/**
 * What stands in the way of every ADD. A part that only some traffic needs, such as the masquerading rules, is told in
 * the NodeEndpoint's conditions and is no reason to keep all pods away; and no pool is, however empty.
 */
function unavailable(comparison: Comparison, book: WireBook): Unavailable | undefined {
  const device = comparison.problemOf('device');
  if (device !== undefined)
    return { because: `the tunnel's device is not as it should be: ${device}`, isLimited: true };
  const programs = comparison.problemOf('programs');
  if (programs !== undefined)
    return { because: `the tunnel's programs are not as they should be: ${programs}`, isLimited: true };
  const wires = comparison.problemOf('wires');
  if (wires !== undefined) return { because: `wires cannot be compared: ${wires}`, isLimited: false };
  const { name, maxEntries } = maps.localPodIps;
  const entries = book.list().length;
  if (entries < maxEntries) return undefined;
  return { because: `the map ${name} is full, ${entries} of ${maxEntries}`, isLimited: false };
}

function datapathFact(problems: readonly string[]): ConditionFact {
  if (problems.length === 0) {
    return {
      isTrue: true,
      reason: 'AsDesired',
      message: 'Device, programs, maps, routes and rules are as they should be.',
    };
  }
  return { isTrue: false, reason: 'Differs', message: problems.join('; ').slice(0, 1024) };
}

/** The controller's reason why a pod of this node has no address yet. */
function waitingReason(own: NodeEndpoint | undefined, pod: PodIdentity): string | undefined {
  const found = own?.spec.waiting?.find(
    (one) => one.uid === pod.uid || (pod.uid === '' && one.namespace === pod.namespace && one.name === pod.name),
  );
  return found === undefined ? undefined : `${found.reason}: ${found.message}`;
}
