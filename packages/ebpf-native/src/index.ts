// SPDX-License-Identifier: Apache-2.0
// What of the kernel's eBPF and routing a Node.js program can use: objects, maps, programs, links; devices, addresses,
// routes, neighbours, filters; network namespaces.
export { NetlinkError, SysError } from './errors.ts';
export { Netns, startThreadPool } from './netns.ts';
export { isBpffs } from './bpf/object-info.ts';
export { libbpfVersion, possibleCpus } from './bpf/libbpf.ts';
export { BpfLink, tcxPrograms } from './bpf/link.ts';
export type { Anchor, Direction, LinkInfo } from './bpf/link.ts';
export { BpfMap, mapTypes } from './bpf/map.ts';
export type { MapBlueprint, MapType, UpdateFlag } from './bpf/map.ts';
export { BpfObject } from './bpf/object.ts';
export type { ObjectOptions } from './bpf/object.ts';
export { probeKfunc, probeTcx } from './bpf/probe.ts';
export type { Probe } from './bpf/probe.ts';
export { BpfProgram } from './bpf/program.ts';
export type { TestRunInput, TestRunOutput } from './bpf/program.ts';
