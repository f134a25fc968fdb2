// SPDX-License-Identifier: Apache-2.0
// Rights as words, `update ipallocations.sample.fast.io/status`: what rules grant, and what requests ask for.
import type { Exchange } from './api-lines.ts';

/** A rule of RBAC. */
export interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}

/** `update ipallocations.sample.fast.io/status` */
function right(verb: string, plural: string, group: string, subresource?: string): string {
  return `${verb} ${plural}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;
}

/** What a rule grants, names left out. */
export function rightsOf({ apiGroups, resources, verbs }: Rule): string[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) => {
      const [plural = '', subresource] = resource.split('/');
      return verbs.map((verb) => right(verb, plural, group, subresource));
    }),
  );
}

/** What the API server's authorizer makes of a request (RequestInfo). */
export function rightOf({ method, path }: Exchange): string {
  const { pathname, searchParams } = new URL(path, 'http://x');
  const parts = pathname.split('/').slice(1);
  const group = parts[0] === 'api' ? '' : (parts[1] ?? '');
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  const [plural = '', name, subresource] = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest;
  const reading = name === undefined ? 'list' : 'get';
  const verbs: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };
  const verb = searchParams.has('watch') ? 'watch' : (verbs[method] ?? reading);
  return right(verb, plural, group, subresource);
}
