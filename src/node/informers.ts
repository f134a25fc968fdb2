// SPDX-License-Identifier: Apache-2.0
// All that an agent watches. Its cost is paid once per node, by the API server as much as by the node, so that this is
// the one place that says what is watched and how much of it is kept.
import { type IpAllocation, ipAllocationResource } from '../api/generated/ip-allocation.ts';
import { type Ips, ipsResource } from '../api/generated/ips.ts';
import { type NodeEndpoint, nodeEndpointResource } from '../api/generated/node-endpoint.ts';
import type { ObjectMeta } from '../api/object.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../kube/clock.ts';
import { Informer } from '../kube/informer.ts';
import type { Log } from '../kube/log.ts';
import { directCondition } from '../datapath/way.ts';
import { recordIndexes } from './records.ts';

export interface AgentInformers {
  /** The records of this node alone. */
  readonly records: Informer<IpAllocation>;
  /** Every node's. */
  readonly endpoints: Informer<NodeEndpoint>;
  readonly pools: Informer<Ips>;
}

/** What an informer takes of time and chance, where a simulation plays both. */
export interface Played {
  readonly clock: Clock;
  readonly random: () => number;
}

export function agentInformers(
  client: Pick<KubeClient, 'pages' | 'watch'>,
  nodeName: string,
  log: Log,
  played?: Played,
): AgentInformers {
  const parts = { client, log, ...played };
  return {
    records: new Informer({
      ...parts,
      resource: ipAllocationResource,
      fieldSelector: `spec.nodeName=${nodeName}`,
      transform: (record) => ({ ...record, metadata: withoutManagers(record.metadata) }),
      indexes: recordIndexes,
    }),
    endpoints: new Informer({
      ...parts,
      resource: nodeEndpointResource,
      transform: (endpoint) => stripEndpoint(endpoint, nodeName),
    }),
    pools: new Informer({ ...parts, resource: ipsResource, transform: stripPool }),
  };
}

/**
 * Of 5,000 other nodes an agent reads where they are and what is behind them. Its own it writes back, so that it keeps
 * whole.
 */
export function stripEndpoint(endpoint: NodeEndpoint, ownName: string): NodeEndpoint {
  if (endpoint.metadata.name === ownName) return { ...endpoint, metadata: withoutManagers(endpoint.metadata) };
  const { nodeUID, tunnelAddress, overlayAddress, podAddresses } = endpoint.spec;
  return {
    metadata: identityOf(endpoint.metadata),
    spec: {
      nodeUID,
      tunnelAddress,
      ...(overlayAddress === undefined ? {} : { overlayAddress }),
      ...(podAddresses === undefined ? {} : { podAddresses }),
    },
    ...listeningOf(endpoint),
  };
}

/** Whether the node says that it listens for what comes without a tunnel: all that its neighbours read of its status. */
function listeningOf({ status }: NodeEndpoint): Pick<NodeEndpoint, 'status'> {
  const conditions = status?.conditions?.filter(({ type }) => type === directCondition) ?? [];
  return conditions.length === 0 ? {} : { status: { conditions } };
}

/** Counts and conditions of a pool are for people. */
function stripPool({ metadata, spec }: Ips): Ips {
  return { metadata: identityOf(metadata), spec };
}

/** The API server keeps the managers of an object that is written back without them. */
function withoutManagers(metadata: ObjectMeta): ObjectMeta {
  const { managedFields: _, ...rest } = metadata as ObjectMeta & { managedFields?: unknown };
  return rest;
}

function identityOf({ name, uid, resourceVersion }: ObjectMeta): ObjectMeta {
  return {
    name,
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}
