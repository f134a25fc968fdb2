// SPDX-License-Identifier: Apache-2.0
// Every object that an install of Fast consists of, whichever way it was made, in the order of its removal. A test
// compares the list with config/default.
import { agentName, controllerName, installNamespace } from '../api/names.ts';
import { type KubeObject, type Resource, resource } from '../kube/object.ts';
import { daemonSets, deployments, namespaces } from '../kube/resources.ts';

export interface Installed {
  readonly resource: Resource<KubeObject>;
  readonly name: string;
  readonly namespace?: string;
}

const admission = 'admissionregistration.k8s.io';
const rbac = 'rbac.authorization.k8s.io';
const policies = resource(admission, 'v1', 'validatingadmissionpolicies', 'ValidatingAdmissionPolicy', 'cluster');
const policyBindings = resource(
  admission,
  'v1',
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
  'cluster',
);
const clusterRoles = resource(rbac, 'v1', 'clusterroles', 'ClusterRole', 'cluster');
const clusterRoleBindings = resource(rbac, 'v1', 'clusterrolebindings', 'ClusterRoleBinding', 'cluster');
const flowSchemas = resource('flowcontrol.apiserver.k8s.io', 'v1', 'flowschemas', 'FlowSchema', 'cluster');
export const definitions = resource(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  'cluster',
);

const named = (of: Resource<KubeObject>, ...names: string[]): Installed[] =>
  names.map((name) => ({ resource: of, name }));

/** They guard what is to be removed, so they go first of it; but after the controller, which would say that they are missing. */
export const guards: readonly Installed[] = [
  ...named(policyBindings, 'fast-records', 'fast-agents', 'fast-removal', 'fast-pods'),
  ...named(policies, 'fast-records', 'fast-agents', 'fast-removal', 'fast-pods'),
];

/** It would make again what is removed, so it goes before all that it makes. */
export const controller: Installed = { resource: deployments, name: controllerName, namespace: installNamespace };

export const agents: Installed = { resource: daemonSets, name: agentName, namespace: installNamespace };

export const kinds: readonly Installed[] = named(
  definitions,
  'ipallocations.sample.fast.io',
  'ipses.sample.fast.io',
  'nodeendpoints.sample.fast.io',
);

/** Roles, accounts and knobs are in the namespace and go with it. */
export const rest: readonly Installed[] = [
  ...named(clusterRoleBindings, controllerName, agentName, 'fast-events'),
  ...named(clusterRoles, controllerName, agentName, 'fast-events'),
  ...named(flowSchemas, 'fast'),
  ...named(namespaces, installNamespace),
];

export const installed: readonly Installed[] = [controller, ...guards, agents, ...kinds, ...rest];
