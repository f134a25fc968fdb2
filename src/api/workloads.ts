// SPDX-License-Identifier: Apache-2.0
// The fields of Kubernetes' own objects that Fast decides by. Informers strip the rest while they parse.
import type { KubeObject } from './object.ts';

export interface Pod extends KubeObject {
  spec: { nodeName?: string; hostNetwork?: boolean; schedulingGates?: Array<{ name: string }> };
  status?: { phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'; podIP?: string };
}

export interface Node extends KubeObject {
  spec?: { taints?: Array<{ key: string; value?: string; effect: string }> };
  status?: {
    addresses?: Array<{ type: string; address: string }>;
    conditions?: Array<{ type: string; status: string; lastTransitionTime?: string }>;
  };
}

export interface Namespace extends KubeObject {
  status?: { phase?: 'Active' | 'Terminating' };
}
