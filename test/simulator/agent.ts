// SPDX-License-Identifier: Apache-2.0
// One process of fast-agent: its real informers, book, wires, reports and comparison, put together as agent.ts and
// wiring-parts.ts do it. The kernel below is the model's, and what has no part in addresses (the tunnel's device, routes,
// masquerading, the socket) is left out.
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { byTunnel } from '../../src/datapath/way.ts';
import type { Clock } from '../../src/kube/clock.ts';
import type { Log } from '../../src/kube/log.ts';
import { Slices } from '../../src/kube/slices.ts';
import { Attachments } from '../../src/node/attachments.ts';
import { Comparison } from '../../src/node/comparison.ts';
import { EndpointReport } from '../../src/node/endpoint-report.ts';
import type { Host } from '../../src/node/host.ts';
import { IdentityQueue } from '../../src/node/identity-queue.ts';
import { type AgentInformers, agentInformers } from '../../src/node/informers.ts';
import { syncClusterPods } from '../../src/node/maps.ts';
import type { NodeFacts } from '../../src/node/node-facts.ts';
import type { Datapath } from '../../src/node/programs.ts';
import { RecordReports } from '../../src/node/record-reports.ts';
import { Records } from '../../src/node/records.ts';
import { Requests } from '../../src/node/requests.ts';
import { WireBook } from '../../src/node/wire-book.ts';
import { WireRemover } from '../../src/node/wire-remover.ts';
import { WiresPart } from '../../src/node/wires-part.ts';
import type { NodeReport } from '../../src/wiring/endpoint-status.ts';
import type { MemoryClient } from './memory-client.ts';

const compareEveryMs = 30_000;
/** Rarer than in agent.ts, so that waiting is few steps. */
const startRetryMs = 1_000;
const podMtu = 1_450;

export interface AgentParts {
  readonly node: string;
  readonly host: Host;
  readonly datapath: Datapath;
  readonly client: MemoryClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

export class SimulatedAgent {
  /** What the CNI socket serves; undefined until it is open. */
  requests: Requests | undefined;
  readonly book = new WireBook();
  readonly #o: AgentParts;
  readonly #informers: AgentInformers;
  readonly #records: Records;
  readonly #remover: WireRemover;
  readonly #attachments: Attachments;
  readonly #wires: WiresPart;
  readonly #comparison: Comparison;
  readonly #reports: RecordReports;
  readonly #endpointReport: EndpointReport;
  #facts: NodeFacts | undefined;

  constructor(parts: AgentParts) {
    this.#o = parts;
    const { node, host, datapath, client, clock, random, log } = parts;
    this.#informers = agentInformers(client, node, log, { clock, random });
    this.#records = new Records(this.#informers.records, clock);
    const { book } = this;
    const records = this.#records;
    const onChange = (address: string): void => this.#reports.look(address);
    this.#remover = new WireRemover({ host, datapath, book, log, clock, onGone: ({ address }) => onChange(address) });
    const shared = { host, datapath, records, book, remover: this.#remover, facts: () => this.#needFacts(), log };
    const queue = new IdentityQueue();
    const reasonOf = (): undefined => undefined;
    this.#attachments = new Attachments({ ...shared, queue, reasonOf, onChange, clock });
    const endpoints = (): NodeEndpoint[] => this.#informers.endpoints.list();
    this.#wires = new WiresPart({ ...shared, attachments: this.#attachments, endpoints, ownName: node, onChange });
    const comparisonParts = [
      { name: 'device', run: () => this.#device() },
      { name: 'cluster-pods', run: () => this.#clusterPods() },
      { name: 'wires', run: (full: boolean) => this.#wires.run(full) },
      { name: 'single-wires', run: (full: boolean) => this.#wires.mend(full) },
    ];
    const onRun = (): void => this.#endpointReport.say(this.#report());
    this.#comparison = new Comparison({ parts: comparisonParts, log, everyMs: compareEveryMs, onRun, clock });
    const hasOverlayAddress = (address: string): boolean => this.#facts?.overlayAddress === address;
    const reported = { client, records, book, attachments: this.#attachments, hasOverlayAddress };
    this.#reports = new RecordReports({ ...reported, log, clock });
    this.#endpointReport = new EndpointReport({ client, own: () => this.#own(), log, clock });
  }

  /** Resolves when the node takes pods. */
  async start(): Promise<void> {
    const informers = Object.values(this.#informers);
    for (const informer of informers) informer.start();
    await this.#until(() => informers.every((informer) => informer.hasSynced));
    await this.#until(async () => {
      await this.#comparison.runNow(true);
      return this.book.isRead;
    });
    this.#reports.start();
    this.#endpointReport.start();
    for (const informer of informers) informer.on(() => this.#comparison.request());
    await this.#until(() => this.#own()?.spec.overlayAddress !== undefined);
    await this.#until(async () => {
      await this.#comparison.runNow(true);
      return this.#comparison.problems().length === 0;
    });
    this.requests = new Requests({ attachments: this.#attachments, unavailable: () => undefined, log: this.#o.log });
    this.#endpointReport.say(this.#report());
  }

  async #until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isSo())) await this.#o.clock.sleep(startRetryMs);
  }

  #own(): NodeEndpoint | undefined {
    return this.#informers.endpoints.get(this.#o.node);
  }

  #needFacts(): NodeFacts {
    if (this.#facts === undefined) throw new Error('the tunnel device is not there yet');
    return this.#facts;
  }

  async #clusterPods(): Promise<number> {
    const { node, datapath, clock } = this.#o;
    const [endpoints, slices] = [this.#informers.endpoints.list(), new Slices(clock)];
    return (await syncClusterPods(datapath.clusterPods, endpoints, node, () => byTunnel, slices)).changes;
  }

  /** Stands for the part that makes the device: what it needs of the cluster, and what the others know by it. */
  #device(): number {
    const { tunnelAddress, overlayAddress } = this.#own()?.spec ?? {};
    if (tunnelAddress === undefined || overlayAddress === undefined) {
      if (tunnelAddress !== undefined && this.#facts !== undefined)
        this.#facts = { ...this.#facts, overlayAddress: '' };
      throw new Error('no overlay address');
    }
    const indexes = { deviceIndex: 1, uplinkIndex: 2, uplinkNetworks: [], neighbourNetworks: [] };
    this.#facts = { nodeAddress: tunnelAddress, overlayAddress, mtu: podMtu, ...indexes };
    return 0;
  }

  #report(): NodeReport {
    const isTrue = this.#comparison.problems().length === 0;
    const fact = { isTrue, reason: isTrue ? 'AsDesired' : 'Differs', message: this.#comparison.problems().join('; ') };
    return { mtu: podMtu, maps: [], orphans: this.#wires.orphans(), conditions: { DatapathReady: fact } };
  }
}
