// SPDX-License-Identifier: Apache-2.0
// How the API server treats the objects of each kind that the simulation knows.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { poolProblems, recordProblems } from './rules.ts';
import { type CustomKind, type Problem, readCustomKind } from './schema.ts';

export interface KindRules {
  /** A kind of ours: its schema holds, and its generation counts the changes of its spec. */
  readonly custom?: CustomKind;
  readonly hasStatus: boolean;
  /** Fields that a selector may name. */
  readonly selectable: readonly string[];
  readonly problems: (now: KubeObject, old: KubeObject | undefined) => Problem[];
}

const noProblems = (): Problem[] => [];

function custom(plural: string, problems: KindRules['problems']): KindRules {
  const kind = readCustomKind(plural);
  return { custom: kind, hasStatus: true, selectable: ['metadata.name', ...kind.selectable], problems };
}

function builtIn(hasStatus: boolean, ...selectable: string[]): KindRules {
  return { hasStatus, selectable: ['metadata.name', ...selectable], problems: noProblems };
}

export const kindRules: Readonly<Record<string, KindRules>> = {
  ipallocations: custom('ipallocations', (now, old) =>
    recordProblems(now as IpAllocation, old as IpAllocation | undefined),
  ),
  ipses: custom('ipses', (now, old) => poolProblems(now as Ips, old as Ips | undefined)),
  nodeendpoints: custom('nodeendpoints', noProblems),
  pods: builtIn(true, 'spec.nodeName', 'status.phase'),
  nodes: builtIn(true),
  namespaces: builtIn(true),
  configmaps: builtIn(false),
  daemonsets: builtIn(true),
  statefulsets: builtIn(true),
  leases: builtIn(false),
  servicecidrs: builtIn(true),
};
