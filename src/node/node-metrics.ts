// SPDX-License-Identifier: Apache-2.0
// What an agent measures of its node: how full its maps are, what its programs did with packets, and whether the node is
// as it should be. Everything is read when somebody asks, so that no timer runs.
import type { BpfMap } from 'ebpf-native';
import { Counter, Gauge, type Registry } from 'prom-client';
import { decodeCounters } from '../datapath/codecs.ts';
import type { NodeReport } from '../wiring/endpoint-status.ts';

export interface Measured {
  /** Undefined before the programs are loaded. */
  readonly report: () => NodeReport | undefined;
  readonly counters: () => BpfMap | undefined;
}

/** A gauge that is set by `read` when it is asked for. */
function gauge<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: L[],
  read: (made: Gauge<L>) => void,
): void {
  const made: Gauge<L> = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      made.reset();
      read(made);
    },
  });
}

export class NodeMetrics {
  readonly #compared: Gauge;

  constructor(registry: Registry, { report, counters }: Measured) {
    gauge(registry, 'fast_map_entries', 'Entries in an eBPF map', ['map'], (made) => {
      for (const { name, entries } of report()?.maps ?? []) made.set({ map: name }, entries);
    });
    gauge(registry, 'fast_map_max_entries', 'Entries that an eBPF map has room for', ['map'], (made) => {
      for (const { name, maxEntries } of report()?.maps ?? []) made.set({ map: name }, maxEntries);
    });
    gauge(
      registry,
      'fast_node_condition',
      "1 while a condition of the node's NodeEndpoint is True",
      ['type'],
      (made) => {
        for (const [type, { isTrue }] of Object.entries(report()?.conditions ?? {})) made.set({ type }, isTrue ? 1 : 0);
      },
    );
    gauge(registry, 'fast_orphan_wires', 'Wires that no IpAllocation explains', [], (made) => {
      made.set(report()?.orphans.length ?? 0);
    });
    this.#compared = new Gauge({
      name: 'fast_last_comparison_timestamp_seconds',
      help: 'When the node was last compared with the state of the API server, in seconds since 1970',
      registers: [registry],
    });
    packets(registry, counters);
  }

  /** The node has just been compared. */
  compared(): void {
    this.#compared.setToCurrentTime();
  }
}

function packets(registry: Registry, counters: Measured['counters']): void {
  const made: Counter<'program' | 'verdict' | 'reason'> = new Counter({
    name: 'fast_packets_total',
    help: 'Packets by program, verdict (next: left to the stack, redirect: past the stack, drop) and reason',
    labelNames: ['program', 'verdict', 'reason'],
    registers: [registry],
    collect: () => {
      const map = counters();
      made.reset();
      if (map === undefined) return;
      for (const { program, verdict, reason, packets: count } of decodeCounters(map.entries())) {
        made.inc({ program, verdict, reason }, Number(count));
      }
    },
  });
}
