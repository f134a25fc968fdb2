// SPDX-License-Identifier: Apache-2.0
// This machine's kernel as fast-ctl looks at it and changes it: pinned maps, what hangs on devices, routes, and runs of
// the programs on packets that nobody sent.
import { execFileSync } from 'node:child_process';
import type * as ebpfNative from 'ebpf-native';
import type { BpfMap, Link, RouteSocket } from 'ebpf-native';
import type { RawEntry } from '../datapath/codecs.ts';
import { mapPins } from '../datapath/pins.ts';
import { parseAddress } from '../ip/address.ts';
import { withCure } from './pinned-maps.ts';

export interface Device {
  readonly ifindex: number;
  readonly name: string;
  /** The agent's note on a host veth: whose wire it is. */
  readonly alias: string;
  /** RFC 2863. A veth is not `up` while either of its ends is down. */
  readonly state: Link['operState'];
}

/** A program at a hook of a device, in the order in which they run. */
export interface Attached {
  readonly device: string;
  readonly ifindex: number;
  readonly direction: 'ingress' | 'egress';
  readonly hook: 'tcx' | 'filter';
  readonly program: string;
  readonly programId: number;
  /** Hash of the program's instructions. */
  readonly tag: string;
}

export interface RouteAnswer {
  readonly type: string;
  readonly ifindex: number;
  readonly gateway?: string;
  readonly source?: string;
}

export interface RouteQuestion {
  readonly destination: string;
  readonly source?: string;
  readonly inputIndex?: number;
}

/** A packet that nobody sent, and how it comes to the program. */
export interface Sample {
  readonly packet: Uint8Array;
  readonly ifindex: number;
  readonly mark?: number;
}

/** A run of a program on one packet, with counters that only this run moves. */
export interface Ran {
  readonly verdict: number;
  readonly counters: readonly RawEntry[];
  readonly tag: string;
}

export interface NodeKernel {
  lookup(map: string, key: Uint8Array): Uint8Array | undefined;
  update(map: string, entry: RawEntry): void;
  /** Whether there was such an entry. */
  remove(map: string, key: Uint8Array): boolean;
  devices(): readonly Device[];
  attached(): readonly Attached[];
  /** @throws Error with the kernel's refusal and what it means */
  route(question: RouteQuestion): RouteAnswer;
  /**
   * The source that masquerading gives to what leaves by the device for the next hop, as the kernel selects it
   * (net/ipv4/devinet.c, inet_select_addr); undefined where the device has no address of the global scope.
   */
  sourceBy(ifindex: number, nextHop: string): string | undefined;
  /** The table `ip fast` as nft lists it, '' where there is none. @throws Error where nft cannot be asked */
  masqueradeListing(): string;
  /**
   * Loads the programs of `objectFile` over the node's own maps of pods, with counters and records of drops that are
   * nobody else's, and runs one of them.
   */
  run(objectFile: string, program: string, sample: Sample): Ran;
  close(): void;
}

/** struct __sk_buff (linux/bpf.h): its size, and the offsets of what BPF_PROG_TEST_RUN lets a caller set. */
const contextBytes = 192;
const contextMark = 8;
const contextIfindex = 40;
/** What a program reads of the node. All other maps of a run are its own. */
const sharedMaps = ['local_pod_ips', 'cluster_pod_ips', 'local_dev'];
/** A table that another holds locked is not waited for. */
const nftMs = 5_000;
const directions = ['ingress', 'egress'] as const;

type Native = typeof ebpfNative;

/** Loaded when it is needed: the help must work on machines without libbpf. */
export async function nodeKernel(folder: string): Promise<NodeKernel> {
  const native = await import('ebpf-native');
  const pins = mapPins(folder);
  const socket = native.RouteSocket.open();
  const withMap = <T>(name: string, work: (map: BpfMap) => T): T => {
    const pin = pins[name] ?? `${folder}/${name}`;
    try {
      const map = native.BpfMap.openPinned(pin);
      try {
        return work(map);
      } finally {
        map.close();
      }
    } catch (error) {
      throw withCure(error, name, pin);
    }
  };
  const devices = (): Device[] =>
    native
      .listLinks(socket)
      .map(({ index, name, alias, operState }) => ({ ifindex: index, name, alias, state: operState }));
  return {
    lookup: (name, key) => withMap(name, (map) => map.lookup(key)),
    update: (name, [key, value]) => withMap(name, (map) => map.update(key, value)),
    remove: (name, key) => withMap(name, (map) => map.delete(key)),
    devices,
    attached: () => devices().flatMap((device) => attachedTo(native, socket, device)),
    route: ({ destination, source, inputIndex }) => {
      const { type, index, gateway, source: from } = native.lookUpRoute(socket, { destination, source, inputIndex });
      return { type, ifindex: index, ...(gateway === undefined ? {} : { gateway }), ...(from ? { source: from } : {}) };
    },
    sourceBy: (ifindex, nextHop) => {
      // Those of one subnet come with the primary first.
      const all = native.listAddresses(socket, ifindex).filter(({ scope }) => scope === 0);
      const hop = parseAddress(nextHop);
      const near = all.find(({ address, prefixLength }) => {
        const blockSize = 2 ** (32 - prefixLength);
        return Math.floor(parseAddress(address) / blockSize) === Math.floor(hop / blockSize);
      });
      return (near ?? all[0])?.address;
    },
    masqueradeListing,
    run: (file, program, sample) => runOnce(native, { ...sample, file, pins, program }),
    close: () => socket.close(),
  };
}

function masqueradeListing(): string {
  const table = ['list', 'table', 'ip', 'fast'];
  try {
    return execFileSync('nft', ['--stateless', ...table], { encoding: 'utf8', stdio: 'pipe', timeout: nftMs });
  } catch (error) {
    const { stderr: said, code } = error as { stderr?: string | null; code?: unknown };
    const stderr = said ?? '';
    if (stderr.includes('No such file or directory')) return '';
    const why = code === 'ENOENT' ? 'nft is not installed here' : stderr.trim().split('\n')[0];
    throw new Error(`${why || String(error)}; in the agent's pod it can be read: --node NODE`, { cause: error });
  }
}

function attachedTo(native: Native, socket: RouteSocket, device: Device): Attached[] {
  const { ifindex, name } = device;
  const place = (direction: Attached['direction'], hook: Attached['hook'], programId: number): Attached => {
    const common = { device: name, ifindex, direction, hook, programId };
    const program = native.BpfProgram.openById(programId);
    try {
      return { ...common, program: program.name, tag: program.tag };
    } finally {
      program.close();
    }
  };
  return directions.flatMap((direction) => {
    const chain = native.probeTcx() === 'no' ? [] : native.tcxChain(ifindex, direction).programs;
    const filters = native.listFilters(socket, ifindex, direction).filter(({ programId }) => programId !== 0);
    // The kernel runs the tcx chain before the filters.
    return [
      ...chain.map(({ programId }) => place(direction, 'tcx', programId)),
      ...filters.map(({ programId }) => place(direction, 'filter', programId)),
    ];
  });
}

interface Run extends Sample {
  readonly file: string;
  readonly pins: Record<string, string>;
  readonly program: string;
}

function runOnce(native: Native, { file, pins, program: name, packet, ifindex, mark = 0 }: Run): Ran {
  const shared = Object.entries(pins).filter(([map]) => sharedMaps.includes(map));
  const object = native.BpfObject.open(file, { pinPaths: Object.fromEntries(shared) });
  try {
    const context = new DataView(new ArrayBuffer(contextBytes));
    context.setUint32(contextMark, mark, true);
    context.setUint32(contextIfindex, ifindex, true);
    const program = object.program(name);
    const { verdict } = program.testRun({ data: packet, context: new Uint8Array(context.buffer) });
    return { verdict, counters: object.map('counters').entries(), tag: program.tag };
  } finally {
    object.close();
  }
}
