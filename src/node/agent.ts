// SPDX-License-Identifier: Apache-2.0
// The agent's life: it learns the cluster, makes the node right, and only then opens its socket and installs the CNI.
// Its end touches nothing of the datapath, so a restart loses no packet.
import { probeKfunc, startThreadPool } from 'ebpf-native';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { agentName, removalAnnotation, removedCondition } from '../api/names.ts';
import { connect, type KubeClient } from '../kube/client.ts';
import { HealthServer } from '../kube/health.ts';
import type { Log } from '../kube/log.ts';
import { Metrics } from '../kube/metrics.ts';
import type { ConditionFact, NodeReport } from '../wiring/endpoint-status.ts';
import { conntrackFunction, fastPathFact } from '../wiring/fast-path.ts';
import { installCni, type Verified } from './cni-install.ts';
import { CniMetrics } from './cni-metrics.ts';
import { EndpointReport } from './endpoint-report.ts';
import { openHost } from './host.ts';
import { ensureHostFiles } from './host-files.ts';
import { type AgentInformers, agentInformers } from './informers.ts';
import { NodeMetrics } from './node-metrics.ts';
import type { AgentOptions } from './options.ts';
import { RecordReports } from './record-reports.ts';
import { Records } from './records.ts';
import { removeFromNode } from './removal.ts';
import { Requests } from './requests.ts';
import { slowSteps } from './slow-steps.ts';
import { SocketServer } from './socket-server.ts';
import { buildWiring, type Wiring } from './wiring-parts.ts';

/** The full comparison's period. */
const compareEveryMs = 30_000;
const syncPatienceMs = 10_000;
const startRetryMs = 1000;
const socketStopMs = 2000;
const removalRetryMs = 5000;

export class Agent {
  readonly #o: AgentOptions;
  readonly #log: Log;
  readonly #client: KubeClient;
  readonly #health: HealthServer;
  readonly #cniMetrics: CniMetrics;
  readonly #informers: AgentInformers;
  readonly #endpointReport: EndpointReport;
  readonly #verifiedPrograms: Verified = new Map();
  readonly #measured: NodeMetrics;
  #fastPath: ConditionFact = { isTrue: false, reason: 'Starting', message: 'The programs are not loaded yet.' };
  #wiring: Wiring | undefined;
  #reports: RecordReports | undefined;
  #socket: SocketServer | undefined;
  #isServing = false;
  #isStopping = false;
  /** Somebody asked this node to be without Fast: nothing is made or repaired any more. */
  #isLeaving = false;

  constructor(options: AgentOptions, log: Log) {
    this.#o = options;
    this.#log = log;
    const metrics = new Metrics();
    this.#cniMetrics = new CniMetrics(metrics.registry);
    metrics.collectProcess();
    this.#measured = new NodeMetrics(metrics.registry, {
      report: () => this.#wiring?.report(this.#fastPath),
      counters: () => this.#wiring?.counters,
    });
    const { kubeconfig } = options;
    this.#client = connect({
      fieldManager: agentName,
      log,
      metrics,
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
    });
    this.#health = new HealthServer({ port: options.healthPort, host: options.healthHost, metrics, log });
    this.#informers = agentInformers(this.#client, options.node, log);
    this.#endpointReport = new EndpointReport({ client: this.#client, own: () => this.#own(), log });
  }

  /** Resolves when the node takes pods. @throws Error for what waiting does not mend, such as a missing bpffs */
  async start(): Promise<void> {
    // Before any work in another namespace: the pool's threads stay in the one that they are born in.
    await startThreadPool();
    this.#health.readyz('informers', () => this.#unsynced());
    this.#health.readyz('datapath', () => this.#datapathProblem());
    this.#health.readyz('socket', () => (this.#isServing ? undefined : 'the CNI socket is not open yet'));
    await this.#health.start();
    for (const informer of Object.values(this.#informers)) informer.start();
    await this.#until('the first lists of the API server', () => this.#unsynced());
    this.#informers.endpoints.on(() => this.#lookForRemoval());
    this.#lookForRemoval();
    if (this.#isLeaving) return;
    const wiring = this.#build();
    await this.#until('the wires of this node', async () => {
      await wiring.comparison.runNow(true);
      return wiring.book.isRead ? undefined : wiring.comparison.problems().join('; ');
    });
    if (this.#isStopping || this.#isLeaving) return;
    // Before the node is right: what it lets go of may be all that there is to make it so.
    this.#reports?.start();
    this.#endpointReport.start();
    for (const informer of Object.values(this.#informers)) {
      informer.on(() => {
        wiring.comparison.request();
      });
    }
    await this.#until('the overlay address of this node', () => this.#noOverlayAddress());
    await this.#until('the datapath', async () => {
      await wiring.comparison.runNow(true);
      return wiring.obstacle();
    });
    if (this.#isStopping || this.#isLeaving) return;
    await this.#serve(wiring);
  }

  /** Leaves the datapath as it is; only the socket goes. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#isServing = false;
    await this.#stopWiring();
    await Promise.all([this.#reports?.stop(), this.#endpointReport.stop(), this.#wiring?.remover.settled()]);
    for (const informer of Object.values(this.#informers)) await informer.stop();
    await this.#health.stop();
    await this.#client.close();
  }

  async #stopWiring(): Promise<void> {
    await this.#socket?.stop(socketStopMs);
    await this.#wiring?.comparison.stop();
  }

  /** By the own NodeEndpoint. Who takes the wish back gets a fresh agent, since this one has let go of everything. */
  #lookForRemoval(): void {
    const isAsked = this.#own()?.metadata.annotations?.[removalAnnotation] !== undefined;
    if (isAsked === this.#isLeaving || this.#isStopping) return;
    if (this.#isLeaving) {
      this.#log.info({}, 'this node is to have Fast again; starting anew');
      process.exit(0);
    }
    this.#isLeaving = true;
    void this.#leave();
  }

  /** Takes everything off the node and says so. Tries again for as long as something is left. */
  async #leave(): Promise<void> {
    this.#log.warn({ annotation: removalAnnotation }, 'taking Fast off this node; its pods lose their network');
    this.#isServing = false;
    this.#wiring?.attachments.refuse(`the node ${this.#o.node} is to be without Fast; nothing is wired any more`);
    await this.#stopWiring();
    await Promise.all([this.#reports?.stop(), this.#wiring?.remover.settled()]);
    this.#endpointReport.start();
    const host = openHost();
    for (;;) {
      const { pinFolder, cniSource: source, cniBinDir, cniConfDir, socket } = this.#o;
      const cni = { source, binFolder: cniBinDir, confFolder: cniConfDir, socket };
      const problems = await removeFromNode({ host, pinFolder, cni, hostRun: this.#o.hostRun });
      this.#endpointReport.say(removalReport(problems));
      if (problems.length === 0 || this.#isStopping) return;
      this.#log.error({ problems }, 'something of Fast is left on this node; trying again');
      await new Promise((resolve) => {
        setTimeout(resolve, removalRetryMs);
      });
    }
  }

  #build(): Wiring {
    const { node, bpfObject, pinFolder, uplink, mode, masqueradeExclude, mtu, tunnelPort } = this.#o;
    const records = new Records(this.#informers.records);
    const wiring = buildWiring({
      host: openHost(),
      bpfObject,
      pinFolder,
      uplink,
      mode,
      masqueradeExclude,
      mtu,
      tunnelPort,
      node,
      records,
      endpoints: () => this.#informers.endpoints.list(),
      pools: () => this.#informers.pools.list(),
      moreParts: [
        { name: 'cni', run: (full) => (full && this.#isServing ? this.#installCni() : 0) },
        { name: 'host-files', run: (full) => (full ? ensureHostFiles(this.#o.hostRun) : 0) },
      ],
      everyMs: compareEveryMs,
      onChange: (address) => this.#reports?.look(address),
      onRun: () => {
        this.#measured.compared();
        this.#say();
      },
      onAdd: (met) => this.#cniMetrics.added(met),
      observer: slowSteps(this.#log),
      log: this.#log,
    });
    this.#wiring = wiring;
    this.#fastPath = fastPathFact(probeKfunc(conntrackFunction));
    this.#reports = new RecordReports({
      client: this.#client,
      records,
      book: wiring.book,
      attachments: wiring.attachments,
      hasOverlayAddress: wiring.hasOverlayAddress,
      log: this.#log,
    });
    return wiring;
  }

  async #serve(wiring: Wiring): Promise<void> {
    const requests = new Requests({
      attachments: wiring.attachments,
      unavailable: () => wiring.unavailable(),
      log: this.#log,
    });
    this.#socket = new SocketServer({
      path: this.#o.socket,
      handle: (request, gone) => requests.handle(request, gone),
      undelivered: (request, response) => requests.undelivered(request, response),
      log: this.#log,
    });
    await this.#socket.start();
    if (this.#isStopping || this.#isLeaving) return await this.#socket.stop(0);
    this.#isServing = true;
    this.#installCni();
    this.#say();
    this.#log.info({ node: this.#o.node, socket: this.#o.socket }, 'ready for pods');
  }

  #installCni(): number {
    const { cniSource, cniBinDir, cniConfDir, socket } = this.#o;
    const paths = { source: cniSource, binFolder: cniBinDir, confFolder: cniConfDir, socket };
    return installCni(paths, this.#verifiedPrograms);
  }

  #own(): NodeEndpoint | undefined {
    return this.#informers.endpoints.get(this.#o.node);
  }

  #say(): void {
    if (this.#wiring !== undefined && !this.#isLeaving) this.#endpointReport.say(this.#wiring.report(this.#fastPath));
  }

  #unsynced(): string | undefined {
    const { records, endpoints, pools } = this.#informers;
    const late = { ipallocations: records, nodeendpoints: endpoints, ipses: pools };
    const names = Object.entries(late).filter(([, informer]) => !informer.hasSynced);
    return names.length === 0 ? undefined : `no complete list yet of ${names.map(([name]) => name).join(', ')}`;
  }

  #noOverlayAddress(): string | undefined {
    const own = this.#own();
    if (own === undefined) return `there is no NodeEndpoint ${this.#o.node}; fast-controller-manager makes it`;
    if (own.spec.overlayAddress !== undefined) return undefined;
    return `NodeEndpoint ${this.#o.node} has no overlayAddress; is the pool fast-nodes there, with a free address?`;
  }

  #datapathProblem(): string | undefined {
    if (this.#isLeaving) return `this node is without Fast, as the annotation ${removalAnnotation} asks`;
    if (this.#wiring === undefined) return 'the programs are not loaded yet';
    return this.#wiring.obstacle();
  }

  /** Asks again and again until there is no obstacle, and says now and then what it is. */
  async #until(what: string, obstacle: () => string | undefined | Promise<string | undefined>): Promise<void> {
    let saidAtMs = performance.now() - syncPatienceMs + startRetryMs;
    while (!this.#isStopping && !this.#isLeaving) {
      const because = await obstacle();
      if (because === undefined) return;
      if (performance.now() - saidAtMs >= syncPatienceMs) {
        this.#log.warn({ because }, `waiting for ${what}`);
        saidAtMs = performance.now();
      }
      await new Promise((resolve) => {
        setTimeout(resolve, startRetryMs / 4);
      });
    }
  }
}

/** What the node says of itself when Fast is off it, or not wholly yet. */
function removalReport(problems: readonly string[]): NodeReport {
  const left = problems.join('; ').slice(0, 1024);
  const removed: ConditionFact =
    left === ''
      ? {
          isTrue: true,
          reason: 'NothingLeft',
          message: 'Wires, device, routes, rules, programs and CNI files are gone.',
        }
      : { isTrue: false, reason: 'SomethingLeft', message: left };
  const ready = { isTrue: false, reason: 'Removed', message: 'Fast was asked to leave this node.' };
  return { mtu: 0, maps: [], orphans: [], conditions: { DatapathReady: ready, [removedCondition]: removed } };
}
