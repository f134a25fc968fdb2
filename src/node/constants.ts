// SPDX-License-Identifier: Apache-2.0
// What the agent marks its own things in the kernel by, so that it finds them again and touches nobody else's.

/** Every host veth has this MAC: pods keep one permanent neighbour for their gateway, whatever veth is behind it. */
export const hostVethMac = '02:fa:57:00:00:01';
/** Where frames into the tunnel are addressed to. No device has it: from_overlay takes frames whatever their MAC. */
export const overlayNextHopMac = '02:fa:57:00:00:02';
/** The onlink next hop of routes into the tunnel. Link-local (RFC 3927), never sent: only its MAC is used. */
export const overlayNextHop = '169.254.1.1';
/** rtm_protocol of our routes; rt_protos of iproute2 leaves the numbers from 200 on to administrators. */
export const routeProtocol = 250;
/** RT_TABLE_MAIN. */
export const mainTable = 254;
/** Where our filter stands on a host veth: behind observers, and at no number that others are known to take. */
export const filterPriority = 87;
export const filterHandle = 0xfa57;
export const filterName = 'fast_from_pod';
/** The device group of host veths on their way out. Groups are administrators' to give; a host veth leaves it by its end. */
export const leavingGroup = 0xfa57;
