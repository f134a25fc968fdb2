// SPDX-License-Identifier: Apache-2.0
// Whether who asks is the pod that this program runs in. Apart from the reading of kubeconfigs, which loads a library.
import { existsSync } from 'node:fs';
import type { ConfigSource } from './kubeconfig.ts';

const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount/token';

type Environment = Readonly<Record<string, string | undefined>>;

/** A kubeconfig that is named comes before the pod's own account, and that before ~/.kube/config. */
export function usesPodAccount(
  { kubeconfig }: Pick<ConfigSource, 'kubeconfig'>,
  env: Environment = process.env,
  exists: (path: string) => boolean = existsSync,
): boolean {
  const isNamed = kubeconfig !== undefined || (env['KUBECONFIG'] ?? '') !== '';
  return !isNamed && (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && exists(tokenPath);
}
