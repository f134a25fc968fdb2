// SPDX-License-Identifier: Apache-2.0
// Kubeconfig files with the certificates inside, so that one can be copied anywhere on the machine.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes a kubeconfig to `path` for the user whose certificate is `<pki>/<user>.crt`. Mode 0600: it holds a key. */
export function writeKubeconfig(path: string, pki: string, user: string, server: string): void {
  const data = (file: string): string => readFileSync(join(pki, file)).toString('base64');
  const configuration = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'fast', cluster: { server, 'certificate-authority-data': data('ca.crt') } }],
    users: [
      { name: user, user: { 'client-certificate-data': data(`${user}.crt`), 'client-key-data': data(`${user}.key`) } },
    ],
    contexts: [{ name: 'fast', context: { cluster: 'fast', user } }],
    'current-context': 'fast',
  };
  // JSON is YAML.
  writeFileSync(path, `${JSON.stringify(configuration, undefined, 2)}\n`, { mode: 0o600 });
}
