// SPDX-License-Identifier: Apache-2.0
// The eBPF programs and their pinned maps. A new agent adopts the maps and puts its programs in the place of the old
// ones, each by one atomic exchange, so that no packet meets a moment without a program.
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  BpfLink,
  type BpfMap,
  BpfObject,
  type BpfProgram,
  ensureClsact,
  isBpffs,
  listFilters,
  probeTcx,
  replaceFilter,
} from 'ebpf-native';
import { maps } from '../datapath/generated/layout.ts';
import { mapPins, pinFolder } from '../datapath/pins.ts';
import { filterHandle, filterName, filterPriority } from './constants.ts';
import type { Host } from './host.ts';

export interface Datapath {
  readonly localPods: BpfMap;
  readonly clusterPods: BpfMap;
  readonly localDev: BpfMap;
  readonly fromPod: BpfProgram;
  readonly toOverlay: BpfProgram;
  readonly fromOverlay: BpfProgram;
}

/**
 * Loads the object file with its maps pinned below `folder`; pins that are there are adopted with what is in them.
 * @throws Error where `folder` is in no bpffs, SysError with the verifier's words
 */
export function loadDatapath(objectFile: string, folder: string): Datapath {
  if (!isBpffs(dirname(folder))) {
    throw new Error(`${dirname(folder)} is no bpffs, so maps cannot outlive the agent; mount -t bpf bpf /sys/fs/bpf`);
  }
  mkdirSync(pinFolder(folder), { recursive: true });
  const object = BpfObject.open(objectFile, { pinPaths: mapPins(folder) });
  return {
    localPods: object.map(maps.localPodIps.name),
    clusterPods: object.map(maps.clusterPodIps.name),
    localDev: object.map(maps.localDev.name),
    fromPod: object.program('from_pod'),
    toOverlay: object.program('to_overlay'),
    fromOverlay: object.program('from_overlay'),
  };
}

/** Puts `from_pod` on a host veth, in place of an older one. No packet passes in between. */
export function attachFromPod(host: Host, ifindex: number, program: BpfProgram): void {
  ensureClsact(host.socket, ifindex);
  const spec = { priority: filterPriority, handle: filterHandle, name: filterName, program };
  replaceFilter(host.socket, ifindex, 'ingress', spec);
}

/** Whether this very program is on the veth, where we put it. */
export function hasFromPod(host: Host, ifindex: number, program: BpfProgram): boolean {
  return listFilters(host.socket, ifindex, 'ingress').some(
    (one) => one.priority === filterPriority && one.handle === filterHandle && one.programId === program.id,
  );
}

type Direction = 'ingress' | 'egress';

/** Keeps both programs of `fast_vxlan` where they belong: as pinned tcx links, or as filters on kernels before 6.6. */
export class OverlayPrograms {
  readonly #host: Host;
  readonly #folder: string;
  readonly #programs: ReadonlyArray<[direction: Direction, name: string, program: BpfProgram]>;
  readonly #links = new Map<string, BpfLink>();
  readonly #hasTcx: boolean;

  constructor(host: Host, folder: string, datapath: Datapath) {
    this.#host = host;
    this.#folder = pinFolder(folder);
    this.#hasTcx = probeTcx() !== 'no';
    this.#programs = [
      ['ingress', 'from_overlay', datapath.fromOverlay],
      ['egress', 'to_overlay', datapath.toOverlay],
    ];
  }

  /** Makes it so; answers whether something had to be done. */
  ensure(ifindex: number): boolean {
    const changes = this.#programs.map(([direction, name, program]) =>
      this.#hasTcx
        ? this.#ensureLink(ifindex, direction, name, program)
        : this.#ensureFilter(ifindex, direction, name, program),
    );
    return changes.includes(true);
  }

  #ensureLink(ifindex: number, direction: Direction, name: string, program: BpfProgram): boolean {
    const pin = join(this.#folder, `link_${name}`);
    const known = this.#links.get(name) ?? openLink(pin);
    if (known !== undefined) {
      const info = known.info();
      if (info.ifindex === ifindex && info.direction === direction) {
        this.#links.set(name, known);
        if (info.programId === program.id) return false;
        known.update(program);
        return true;
      }
      // The device it hung on is gone or was made anew; an ifindex of 0 says so.
      known.close();
      this.#links.delete(name);
      rmSync(pin, { force: true });
    }
    const link = this.#host.netns.run(() => BpfLink.attachTcx(program, ifindex, direction));
    link.pin(pin);
    this.#links.set(name, link);
    return true;
  }

  #ensureFilter(ifindex: number, direction: Direction, name: string, program: BpfProgram): boolean {
    const { socket } = this.#host;
    ensureClsact(socket, ifindex);
    const present = listFilters(socket, ifindex, direction).some(
      (one) => one.priority === filterPriority && one.handle === filterHandle && one.programId === program.id,
    );
    if (present) return false;
    const spec = { priority: filterPriority, handle: filterHandle, name: `fast_${name}`, program };
    replaceFilter(socket, ifindex, direction, spec);
    return true;
  }
}

function openLink(pin: string): BpfLink | undefined {
  try {
    return BpfLink.openPinned(pin);
  } catch {
    return undefined;
  }
}
