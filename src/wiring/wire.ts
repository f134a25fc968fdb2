// SPDX-License-Identifier: Apache-2.0
// A pod's wire and how the kernel itself remembers whose it is: the host veth's alias names the pod, the sandbox and
// the address. A restarted agent reads its wires from there, so no file can contradict the kernel.
import { isAddress, parseAddress } from '../ip/address.ts';

/** The host's end of one sandbox's wire. */
export interface Wire {
  /** The pod's identity, as in IpAllocation spec.owner.uid. */
  readonly identity: string;
  readonly containerId: string;
  readonly address: string;
  /** The name inside the pod. With the container id it is what CNI knows an attachment by. */
  readonly podInterface: string;
  /** The host veth's name. */
  readonly interface: string;
  readonly ifindex: number;
  /** Its pod has a bandwidth limit, which queues on the host veth hold it to: all of its traffic takes the stack. */
  readonly isLimited?: true;
}

/** What the alias tells of a wire. */
export type WireLabel = Pick<Wire, 'identity' | 'containerId' | 'address' | 'podInterface'>;

const prefix = 'fast';
/** The kernel's IFALIASZ less the closing zero, in bytes. */
const maxAliasLength = 255;
const hostVeth = /^fast[0-9a-f]{10}$/;
const plain = /^[\w.-]+$/;
/** As environment.ts of src/cni lets it pass. */
const podInterfaceName = /^[^\s/:%]{1,15}$/;
/** What every runtime of Kubernetes asks for. It stands in no alias, which agents of former releases read as well. */
const usualPodInterface = 'eth0';

/**
 * The host veth's alias, such as `fast:<identity>:<container id>:10.244.10.0`, and `:<name>` for a pod's interface that is
 * not eth0.
 * @throws RangeError naming the part that an alias cannot hold
 */
export function formatAlias({ identity, containerId, address, podInterface }: WireLabel): string {
  for (const [name, value] of Object.entries({ identity, containerId, address })) {
    if (!plain.test(value)) {
      throw new RangeError(`the ${name} "${value}" cannot stand in a link's alias: letters, digits, ".", "_", "-" can`);
    }
  }
  const parts = [prefix, identity, containerId, address, ...(podInterface === usualPodInterface ? [] : [podInterface])];
  const alias = parts.join(':');
  const bytes = new TextEncoder().encode(alias).length;
  if (bytes > maxAliasLength) {
    throw new RangeError(`the alias "${alias}" has ${bytes} bytes, the kernel takes ${maxAliasLength}`);
  }
  return alias;
}

/** What an alias of ours says; undefined for anything else, an empty alias too. */
export function parseAlias(alias: string): WireLabel | undefined {
  const [word, identity = '', containerId = '', address = '', podInterface = usualPodInterface, ...more] =
    alias.split(':');
  if (word !== prefix || more.length > 0 || !plain.test(identity) || !plain.test(containerId)) return undefined;
  if (!isAddress(address) || !podInterfaceName.test(podInterface)) return undefined;
  return { identity, containerId, address, podInterface };
}

/** The host veth's name, within the kernel's 15 characters. `digest` gives at least ten hexadecimal digits. */
export function hostVethName(identity: string, containerId: string, digest: (text: string) => string): string {
  return `${prefix}${digest(`${identity}/${containerId}`).slice(0, 10)}`;
}

/** Whether a link's name is one that {@link hostVethName} gives; such a veth without an alias is half made. */
export function isHostVethName(name: string): boolean {
  return hostVeth.test(name);
}

/** A MAC of local administration (IEEE 802, the second bit of the first octet) that ends in an IPv4 address. */
function macOf(prefix: string, address: string): string {
  const hex = parseAddress(address).toString(16).padStart(8, '0');
  return [prefix, ...(hex.match(/../g) ?? [])].join(':');
}

/** The pod veth's MAC, made of the address: whoever knows the address knows the MAC, after a restart too. */
export function podMacOf(address: string): string {
  return macOf('0a:fa', address);
}

/**
 * The MAC of a node's tunnel device. No two nodes have the same: the kernel's vxlan drops a frame from its own MAC as a
 * loop (drivers/net/vxlan, vxlan_set_mac), and the stack writes the device's MAC into what it routes there.
 */
export function tunnelMacOf(overlayAddress: string): string {
  return macOf('0e:fa', overlayAddress);
}
