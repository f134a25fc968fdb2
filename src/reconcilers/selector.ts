// SPDX-License-Identifier: Apache-2.0
// Label selectors, as a pool's gates use them: apimachinery's metav1.LabelSelector, all requirements joined by "and".

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: Array<{ key: string; operator: string; values?: string[] }>;
}

/** Whether the labels meet every requirement. An empty selector matches everything, as everywhere in Kubernetes. */
export function matchesLabels(selector: LabelSelector, labels: Record<string, string> = {}): boolean {
  const exact = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  return exact && (selector.matchExpressions ?? []).every((each) => meets(each, labels[each.key]));
}

/** As `kubectl get -l` takes it, with everything that it asks for. */
export function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const exact = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  return [...exact, ...matchExpressions.map(requirementText)].join(',');
}

function requirementText({ key, operator, values = [] }: { key: string; operator: string; values?: string[] }): string {
  switch (operator) {
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      return `${key} ${operator.toLowerCase()} (${values.join(',')})`;
  }
}

function meets(requirement: { operator: string; values?: string[] }, value: string | undefined): boolean {
  const values = requirement.values ?? [];
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      // The CRD knows four operators. A gate that we cannot read stays shut.
      return false;
  }
}
