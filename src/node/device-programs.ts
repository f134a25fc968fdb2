// SPDX-License-Identifier: Apache-2.0
// The programs on the node's own devices: as pinned tcx links, or as filters on kernels before 6.6. A new agent puts its
// program into the link that a former one left, whichever layout that one's maps had; no packet passes in between.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  BpfLink,
  BpfProgram,
  deleteFilter,
  type Direction,
  ensureClsact,
  listFilters,
  probeTcx,
  replaceFilter,
  SysError,
  tcxChain,
} from 'ebpf-native';
import { isLayoutFolder, pinFolder } from '../datapath/pins.ts';
import { filterHandle, filterPriority } from './constants.ts';
import type { Host } from './host.ts';
import { removeStrayFilters } from './programs.ts';

/** Where a program belongs. */
export interface DevicePlace {
  readonly ifindex: number;
  readonly direction: Direction;
  readonly program: BpfProgram;
}

export class DevicePrograms {
  readonly #host: Host;
  readonly #root: string;
  readonly #folder: string;
  readonly #links = new Map<string, BpfLink>();
  readonly #hasTcx: boolean;

  constructor(host: Host, folder: string, version?: number, hasTcx: boolean = probeTcx() !== 'no') {
    this.#host = host;
    this.#root = folder;
    this.#folder = pinFolder(folder, version);
    this.#hasTcx = hasTcx;
  }

  /** Makes it so; `full` also looks for second ones and for a lost pin. Answers how much had to be done. */
  ensure(place: DevicePlace, full: boolean): number {
    return this.#hasTcx ? this.#ensureLink(place, full) : this.#ensureFilter(place);
  }

  /** Whether a program of that name hangs there, by this agent or a former one. */
  has(name: string, ifindex: number): boolean {
    if (!this.#hasTcx)
      return listFilters(this.#host.socket, ifindex, 'ingress').some((one) => one.name === `fast_${name}`);
    const link = this.#links.get(name) ?? this.#openLink(name);
    if (link === undefined) return false;
    this.#links.set(name, link);
    return link.info().ifindex === ifindex;
  }

  /** Takes a program of that name off whichever device it is on. */
  remove(name: string, ifindex: number, direction: Direction): number {
    if (!this.#hasTcx) return this.#removeFilter(name, ifindex, direction);
    const link = this.#links.get(name) ?? this.#openLink(name);
    if (link === undefined) return 0;
    link.detach();
    link.close();
    this.#links.delete(name);
    rmSync(this.#pin(name), { force: true });
    return 1;
  }

  #pin(name: string): string {
    return join(this.#folder, `link_${name}`);
  }

  #ensureLink(place: DevicePlace, full: boolean): number {
    const { name } = place.program;
    const known = this.#links.get(name) ?? this.#openLink(name);
    if (known === undefined || !this.#isOn(known, place)) {
      known?.close();
      this.#links.delete(name);
      this.#attach(place);
      return 1;
    }
    this.#links.set(name, known);
    let changes = 0;
    const { id, programId } = known.info();
    if (programId !== place.program.id) {
      known.update(place.program);
      changes += 1;
    }
    if (!full) return changes;
    if (!existsSync(this.#pin(name))) {
      known.pin(this.#pin(name));
      changes += 1;
    }
    return changes + this.#removeStrays(place, id);
  }

  /** A link of a device that is gone says 0. */
  #isOn(link: BpfLink, { ifindex, direction }: DevicePlace): boolean {
    const info = link.info();
    return info.ifindex === ifindex && info.direction === direction;
  }

  #attach({ ifindex, direction, program }: DevicePlace): void {
    const pin = this.#pin(program.name);
    rmSync(pin, { force: true });
    const link = this.#host.netns.run(() => BpfLink.attachTcx(program, ifindex, direction));
    link.pin(pin);
    this.#links.set(program.name, link);
  }

  /** This layout's pin, else that of any other: its link is taken over and, by `ensure`, pinned here too. */
  #openLink(name: string): BpfLink | undefined {
    const others = readdirSync(this.#root).filter(isLayoutFolder);
    for (const folder of [this.#folder, ...others.map((other) => join(this.#root, other))]) {
      const pin = join(folder, `link_${name}`);
      if (existsSync(pin)) return BpfLink.openPinned(pin);
    }
    return undefined;
  }

  /** Ours a second time, as two agents at once or a lost pin leave it. What others hang there is theirs. */
  #removeStrays({ ifindex, direction, program }: DevicePlace, ownLink: number): number {
    const { name } = program;
    const chain = this.#host.netns.run(() => tcxChain(ifindex, direction).programs);
    const strays = chain.filter(({ linkId, programId }) => {
      return linkId !== ownLink && linkId !== 0 && nameOfProgram(programId) === name;
    });
    for (const { linkId } of strays) {
      const link = BpfLink.openById(linkId);
      link.detach();
      link.close();
    }
    return strays.length + removeStrayFilters(this.#host, ifindex, direction, `fast_${name}`);
  }

  #ensureFilter({ ifindex, direction, program }: DevicePlace): number {
    const { socket } = this.#host;
    ensureClsact(socket, ifindex);
    const isThere = listFilters(socket, ifindex, direction).some(
      (one) => one.priority === filterPriority && one.handle === filterHandle && one.programId === program.id,
    );
    if (isThere) return removeStrayFilters(this.#host, ifindex, direction, `fast_${program.name}`);
    const spec = { priority: filterPriority, handle: filterHandle, name: `fast_${program.name}`, program };
    replaceFilter(socket, ifindex, direction, spec);
    return 1;
  }

  #removeFilter(name: string, ifindex: number, direction: Direction): number {
    const { socket } = this.#host;
    const ours = listFilters(socket, ifindex, direction).filter((one) => one.name === `fast_${name}`);
    for (const { priority, handle } of ours) deleteFilter(socket, ifindex, direction, priority, handle);
    return ours.length;
  }
}

/** Undefined where it went meanwhile. */
function nameOfProgram(id: number): string | undefined {
  try {
    const program = BpfProgram.openById(id);
    program.close();
    return program.name;
  } catch (error) {
    if (error instanceof SysError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
