// SPDX-License-Identifier: Apache-2.0
// One certificate authority and what it signs, by openssl: every part of the cluster proves who it is, as in a cluster
// that is meant to be used.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './run.ts';

export interface CertificateOrder {
  /** The files are `<file>.crt` and `<file>.key`, PEM. */
  file: string;
  /** The user's name as the API server reads it (CN). */
  commonName: string;
  /** The user's group as the API server reads it (O). */
  organization?: string;
  /** subjectAltName entries, e.g. `IP:127.0.0.1` or `DNS:kubernetes`; a certificate with any may serve. */
  alternativeNames?: string[];
  /** Who signs it; default `ca`. */
  authority?: string;
}

// Debian's openssl.cnf would make every certificate of `req -x509` an authority; this file says nothing of its own.
const configuration = '[req]\nprompt = no\ndistinguished_name = dn\n[dn]\n';
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

async function createAuthority(folder: string, name: string, signal?: AbortSignal): Promise<void> {
  await must(
    ['openssl', 'req', '-x509', '-config', 'openssl.cnf', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.crt`]
      .concat(['-days', '3650', '-subj', `/CN=fast-test-${name}`, '-addext', 'basicConstraints=critical,CA:TRUE'])
      .concat(['-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature']),
    { cwd: folder, ...(signal === undefined ? {} : { signal }) },
  );
}

/**
 * Makes the authority `ca`, the authority `front-proxy-ca` (whoever it vouches for may speak for others to extension API
 * servers, so it is another), and the key that signs service account tokens, `service-accounts.key` and `.pub`.
 */
export async function createAuthorities(folder: string, signal?: AbortSignal): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'openssl.cnf'), configuration);
  await Promise.all(['ca', 'front-proxy-ca'].map((name) => createAuthority(folder, name, signal)));
  const options = { cwd: folder, ...(signal === undefined ? {} : { signal }) };
  await must(
    ['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'service-accounts.key'],
    options,
  );
  await must(['openssl', 'pkey', '-in', 'service-accounts.key', '-pubout', '-out', 'service-accounts.pub'], options);
}

/** Signs one certificate with an authority of the folder. Valid for ten years: the cluster will not live as long. */
export async function sign(folder: string, order: CertificateOrder, signal?: AbortSignal): Promise<void> {
  const organization = order.organization === undefined ? '' : `/O=${order.organization}`;
  const serves = (order.alternativeNames ?? []).length > 0;
  const authority = order.authority ?? 'ca';
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    'keyUsage=critical,digitalSignature',
    `extendedKeyUsage=clientAuth${serves ? ',serverAuth' : ''}`,
    ...(serves ? [`subjectAltName=${(order.alternativeNames ?? []).join(',')}`] : []),
  ];
  await must(
    ['openssl', 'req', '-x509', '-config', 'openssl.cnf', '-CA', `${authority}.crt`, '-CAkey', `${authority}.key`]
      .concat([...newKey, '-keyout', `${order.file}.key`, '-out', `${order.file}.crt`, '-days', '3650'])
      .concat(['-subj', `${organization}/CN=${order.commonName}`])
      .concat(extensions.flatMap((extension) => ['-addext', extension])),
    { cwd: folder, ...(signal === undefined ? {} : { signal }) },
  );
}

/** What the API server serves with, at `addresses` besides the names that pods use. */
export const apiServerOrder = (addresses: readonly string[]): CertificateOrder => ({
  file: 'apiserver',
  commonName: 'kube-apiserver',
  alternativeNames: [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ]
    .concat('localhost')
    .map((name) => `DNS:${name}`)
    .concat(addresses.map((address) => `IP:${address}`)),
});

export const adminOrder: CertificateOrder = { file: 'admin', commonName: 'admin', organization: 'system:masters' };

/** What the programs of the control plane and the proxies show to the API server, and it to the kubelets. */
export const controlPlaneOrders: CertificateOrder[] = [
  adminOrder,
  { file: 'apiserver-kubelet-client', commonName: 'kube-apiserver-kubelet-client' },
  { file: 'front-proxy-client', commonName: 'front-proxy-client', authority: 'front-proxy-ca' },
  { file: 'kube-controller-manager', commonName: 'system:kube-controller-manager' },
  { file: 'kube-scheduler', commonName: 'system:kube-scheduler' },
  { file: 'kube-proxy', commonName: 'system:kube-proxy' },
];

/** A kubelet's certificate: its name for the Node authorizer, its address for those who call it. */
export const kubeletOrder = (name: string, address: string): CertificateOrder => ({
  file: `kubelet-${name}`,
  commonName: `system:node:${name}`,
  organization: 'system:nodes',
  alternativeNames: [`DNS:${name}`, `IP:${address}`],
});
