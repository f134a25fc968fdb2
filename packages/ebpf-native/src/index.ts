// SPDX-License-Identifier: Apache-2.0
// What of the kernel's eBPF and routing a Node.js program can use: objects, maps, programs, links; devices, addresses,
// routes, neighbours, filters; network namespaces.
export { NetlinkError, SysError } from './errors.ts';
export { Netns, startThreadPool } from './netns.ts';
export { isBpffs } from './bpf/object-info.ts';
export { libbpfVersion, possibleCpus } from './bpf/libbpf.ts';
export { layoutDifferences } from './bpf/btf.ts';
export type { Layout } from './bpf/btf.ts';
export { BpfLink, tcxChain } from './bpf/link.ts';
export type { Anchor, AttachOptions, Direction, LinkInfo, TcxChain } from './bpf/link.ts';
export { BpfMap, mapTypes } from './bpf/map.ts';
export type { MapBlueprint, MapType, UpdateFlag } from './bpf/map.ts';
export { BpfObject } from './bpf/object.ts';
export type { ObjectOptions } from './bpf/object.ts';
export { probeHelper, probeKfunc, probeMapType, probeProgramType, probeTcx } from './bpf/probe.ts';
export type { Probe, ProgramType } from './bpf/probe.ts';
export { BpfProgram } from './bpf/program.ts';
export type { TestRunInput, TestRunOutput } from './bpf/program.ts';
export { RingBuffer } from './bpf/ring-buffer.ts';
export { codecs, PerCpuMap, struct, TypedMap } from './bpf/typed-map.ts';
export type { Codec } from './bpf/typed-map.ts';
export { addAddress, deleteAddress, listAddresses, replaceAddress } from './netlink/address.ts';
export type { Address, AddressSpec } from './netlink/address.ts';
export { countFlows, deleteFlows } from './netlink/conntrack.ts';
export { deleteFilter, ensureClsact, listFilters, replaceFilter } from './netlink/filter.ts';
export type { Filter, FilterDirection, FilterSpec } from './netlink/filter.ts';
export {
  createVeth,
  createVxlan,
  deleteGroupAsync,
  deleteLink,
  deleteLinkAsync,
  findLink,
  listLinks,
  setLink,
} from './netlink/link.ts';
export type { Link, LinkChange, VethSpec, VxlanSpec } from './netlink/link.ts';
export { namespaceId } from './netlink/namespace-id.ts';
export { deleteNeighbour, listNeighbours, replaceNeighbour } from './netlink/neighbour.ts';
export type { Neighbour, NeighbourSpec, NeighbourState } from './netlink/neighbour.ts';
export { addRoute, deleteRoute, listRoutes, lookUpRoute, replaceRoute } from './netlink/route.ts';
export type { PacketQuestion, Route, RouteFilter, RouteSpec, RouteType, Scope } from './netlink/route.ts';
export { RouteSocket } from './netlink/socket.ts';
export type { NetlinkFamily } from './netlink/socket.ts';
