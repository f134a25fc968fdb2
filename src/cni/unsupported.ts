// SPDX-License-Identifier: Apache-2.0
// Fields with a meaning that everybody knows and fast-cni cannot give them. To pass over one would leave a person to
// believe in it: CNI 1.1.0, section 1, "well-known" keys, and CONVENTIONS.md, "Dynamic Plugin specific fields".
import { errorCode } from '../protocol/error-codes.ts';
import { CniError } from './cni-error.ts';

/** Capabilities by which a runtime wants an address, an interface or ports made; `bandwidth` and the like are others'. */
const runtimeKeys = ['ips', 'ipRanges', 'mac', 'infinibandGUID', 'deviceID', 'portMappings'];

const cures: Record<string, string> = {
  ipam: 'remove it: addresses come from pools (kubectl get ips)',
  'runtimeConfig.ips': 'remove the capability "ips": addresses come from pools (kubectl get ips)',
  'runtimeConfig.portMappings':
    'name the plugin portmap for it in "delegates", or move the capability to one behind fast-cni in the list',
};

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Throws code 2 with the key and the value of the first field that neither fast-cni nor a delegate can honour. */
export function refuseUnsupported(
  ipam: unknown,
  runtimeConfig: Record<string, unknown>,
  delegated: readonly string[],
): void {
  const own = runtimeKeys.filter((key) => !delegated.includes(key));
  const fields: [string, unknown][] = [
    ['ipam', ipam],
    ...own.map((key): [string, unknown] => [`runtimeConfig.${key}`, runtimeConfig[key]]),
  ];
  const found = fields.find(([, value]) => !isEmpty(value));
  if (found === undefined) return;
  const [key, value] = found;
  const msg = `fast-cni does not support the field "${key}", here ${JSON.stringify(value).slice(0, 200)}`;
  throw new CniError(errorCode.unsupportedField, msg, cures[key] ?? `remove the capability "${key.split('.')[1]}"`);
}
