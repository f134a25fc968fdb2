// SPDX-License-Identifier: Apache-2.0
// The lines of kubectl that reach the pod that is meant. `deploy/…` and `ds/…` reach whichever pod comes first: not the
// leader, and not the agent of the node that is looked at.
import { agentName, controllerName, installNamespace } from '../api/names.ts';

const label = 'app.kubernetes.io/name';

/** Of all replicas, each line with its pod: who leads is seen in it. With a selector alone kubectl shows ten lines. */
export const controllerLogs = `kubectl logs -n ${installNamespace} -l ${label}=${controllerName} --prefix --tail=-1`;

/** As many as config/controller has; a test compares the two. */
export const controllerReplicas = 2;
export const startController = `kubectl scale -n ${installNamespace} deployment/${controllerName} --replicas=${controllerReplicas}`;

/** What selects the pods of all agents. */
export const agentSelector = `-n ${installNamespace} -l ${label}=${agentName}`;

const onNode = (node: string): string => `${agentSelector} --field-selector spec.nodeName=${node}`;

/** A restart of the agent: running pods lose no packet. */
export const deleteAgent = (node: string): string => `kubectl delete pods ${onNode(node)}`;
/** `kubectl logs` and `kubectl describe` take no field selector. */
const agentOn = (node: string): string => `$(kubectl get pods ${onNode(node)} -o name)`;
export const agentLogs = (node: string): string => `kubectl logs -n ${installNamespace} ${agentOn(node)}`;
export const describeAgent = (node: string): string => `kubectl describe -n ${installNamespace} ${agentOn(node)}`;
