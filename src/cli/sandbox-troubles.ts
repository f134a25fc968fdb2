// SPDX-License-Identifier: Apache-2.0
// What the runtimes said last when they could not set up or take away a pod's sandbox: kubelets tell it by Events alone.
import { type KubeObject, resource } from '../kube/object.ts';
import type { Cluster } from './surroundings.ts';

interface PodEvent extends KubeObject {
  readonly involvedObject?: { readonly uid?: string };
  readonly message?: string;
}

/** As kubelets write them, and in which they can be selected by reason. */
const podEvents = resource<PodEvent>('', 'v1', 'events', 'Event', 'namespaced');

/**
 * kubelet pkg/kubelet/events/event.go, the least telling first. Once a sandbox cannot be taken away either, SandboxChanged is all
 * that comes again; an API server forgets events after an hour.
 */
const reasons = ['SandboxChanged', 'FailedCreatePodSandBox', 'FailedKillPod'] as const;

/** By the identity of the pod. */
export type SandboxTroubles = ReadonlyMap<string, string>;

/** Without what says nothing to a person: what is said anyway, gRPC's codes, 64 digits of a sandbox's name. */
function plainly(message: string): string {
  const [, said = message] = /^error killing pod: .* with \w+Error: "(.*)"$/s.exec(message) ?? [];
  return said
    .replace('Failed to create pod sandbox: ', '')
    .replaceAll(/rpc error: code = \w+ desc = /g, '')
    .replaceAll(/ \\?"[0-9a-f]{64}\\?"/g, '');
}

/** By reason, in that order. */
export function troublesOf(events: ReadonlyArray<readonly PodEvent[]>): SandboxTroubles {
  return new Map(
    events.flat().map(({ involvedObject, message = '' }) => [involvedObject?.uid ?? '', plainly(message)]),
  );
}

/** @throws KubeError where the account may not look */
export async function sandboxTroubles(cluster: Pick<Cluster, 'list'>): Promise<SandboxTroubles> {
  const lists = reasons.map((reason) => cluster.list(podEvents, { fieldSelector: `reason=${reason}` }));
  return troublesOf((await Promise.all(lists)).map(({ items }) => items));
}
