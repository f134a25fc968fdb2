// SPDX-License-Identifier: Apache-2.0
// `fast-ctl links`: which programs hang on which devices, and which of them should hang there.
import { Command } from 'commander';
import { bpfPinFolder, vxlanDevice } from '../api/names.ts';
import { counters } from '../datapath/generated/layout.ts';
import type { Attached, Device, NodeKernel } from './node-kernel.ts';
import { formatRows, type OutputFormat, outputOption } from './output.ts';
import { Ended, type Surroundings } from './surroundings.ts';
import type { Column, Row } from './table.ts';
import { colours, plain, type Tone } from './tones.ts';

const tones: Record<string, Tone> = { 'in place': 'good', missing: 'bad', stray: 'bad', other: 'faint' };

const columns: Column[] = [
  { title: 'DEVICE', field: 'device' },
  { title: 'DIRECTION', field: 'direction' },
  { title: 'HOOK', field: 'hook' },
  { title: 'PROGRAM', field: 'program' },
  { title: 'ID', field: 'programId', isRightAligned: true },
  { title: 'TAG', field: 'tag' },
  { title: 'STATE', field: 'state', tone: (text) => tones[text] },
];

const ours: ReadonlySet<string> = new Set(counters.map(({ program }) => program));
const hostVeth = /^fast[0-9a-f]{10}$/;

interface Place {
  readonly device: string;
  readonly ifindex: number;
  readonly direction: 'ingress' | 'egress';
  readonly program: string;
}

/** Where each device of the datapath must have a program. `from_uplink` may be there or not: it is mode direct's. */
export function placesOf(devices: readonly Device[]): Place[] {
  return devices.flatMap(({ ifindex, name: device }): Place[] => {
    if (hostVeth.test(device)) return [{ device, ifindex, direction: 'ingress', program: 'from_pod' }];
    if (device !== vxlanDevice) return [];
    return [
      { device, ifindex, direction: 'ingress', program: 'from_overlay' },
      { device, ifindex, direction: 'egress', program: 'to_overlay' },
    ];
  });
}

/**
 * `in place`: ours, once, where it belongs. `stray`: ours, where it does not belong or for the second time, so that a
 * packet is judged twice. `other`: somebody else's. `missing`: nothing of ours where it belongs.
 */
export function linkRows(devices: readonly Device[], attached: readonly Attached[]): Row[] {
  const missing = new Map(placesOf(devices).map((place) => [`${place.ifindex} ${place.direction}`, place]));
  const wanted = new Map(missing);
  const uplinks = new Set<string>();
  const rows = attached.map((one) => {
    const key = `${one.ifindex} ${one.direction}`;
    const isUplinks = one.program === 'from_uplink' && one.direction === 'ingress' && !wanted.has(key);
    const isPlace = wanted.get(key)?.program === one.program ? missing.delete(key) : isUplinks && !uplinks.has(key);
    if (isUplinks) uplinks.add(key);
    return { ...one, state: isPlace ? 'in place' : ours.has(one.program) ? 'stray' : 'other' };
  });
  return [...rows, ...[...missing.values()].map((place) => ({ ...place, state: 'missing' }))];
}

/** @throws Error on a machine that has nothing of ours */
function rowsOf(kernel: NodeKernel): Row[] {
  try {
    const rows = linkRows(kernel.devices(), kernel.attached());
    if (rows.some(({ state }) => state !== 'other')) return rows;
    throw new Error(
      `this machine has neither ${vxlanDevice} nor a wire; is the fast-agent running on it? Else add --node`,
    );
  } finally {
    kernel.close();
  }
}

export function linksCommand(s: Surroundings): Command {
  return new Command('links')
    .description('the programs on the devices of this node; exit code 1 where one is missing or stray')
    .addOption(outputOption())
    .option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder)
    .action(async ({ output, pinFolder }: { output: OutputFormat; pinFolder: string }) => {
      const rows = rowsOf(await s.openKernel(pinFolder));
      s.print(formatRows(columns, rows, output, { nothing: '', paint: s.isColourful ? colours : plain }));
      if (rows.some(({ state }) => state === 'missing' || state === 'stray')) throw new Ended(1);
    });
}
