// SPDX-License-Identifier: Apache-2.0
// The last words of an uninstall: what is left on nodes that were cleaned, and on those that were not.
import { paragraph } from './wrap.ts';

const gone = `Fast is gone. What is left on a node: the empty folder /run/fast until it boots again, net.ipv4.ip_forward=1, and where a
pod had a hostPort portmap's shared chains CNI-HOSTPORT-* in the table nat, which change no packet then and which portmap takes
up again for any network plugin.`;
const next = `Nodes are NotReady until another network plugin is installed; then delete the pods that had an address of Fast.`;

/** What an agent puts on the disk of its node. */
const files = [
  '/etc/cni/net.d/10-fast.conflist',
  ...['cni', 'portmap', 'bandwidth'].map((of) => `/opt/cni/bin/fast-${of}`),
];

/** Of an agent itself nothing comes back with the node: its pod is deleted, and no DaemonSet makes another. */
const dirtyNow = `Fast's CNI files are still on the disk there, and until the next boot its device, routes, rules and pins. Once such a
node is on, its kubelet finds the files and may call it Ready, but a pod that starts there gets no network. To clean it, on the
node itself:`;
const orAnew = `Or install Fast again when it is on, and uninstall it once more. A machine that is gone for good, or never had an agent,
needs nothing.`;

/**
 * @param dirty the nodes that the uninstall left as they are
 * @param width of the terminal
 */
export function farewell(dirty: readonly string[], width?: number): string {
  const all = [gone, next].map((text) => paragraph(text, width));
  if (dirty.length === 0) return all.join('');
  const not = paragraph(`Not cleaned: ${dirty.join(', ')}. ${dirtyNow}`, width);
  return [...all, '\n', not, `  rm -f ${files.join(' ')} && reboot\n`, paragraph(orAnew, width)].join('');
}
