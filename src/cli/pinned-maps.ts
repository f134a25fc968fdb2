// SPDX-License-Identifier: Apache-2.0
// The maps of this node's kernel, by the pins that the agent made.
import type { RawEntry } from '../datapath/codecs.ts';
import { mapPins } from '../datapath/pins.ts';

/** Reads all entries of one map by its name. The error says what is amiss and its cure. */
export type ReadMap = (name: string) => Promise<RawEntry[]>;

export function withCure(error: unknown, name: string, pin: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') {
    return new Error(
      `there is no map ${name} at ${pin}; is the fast-agent running on this node? From another machine: --node NODE`,
    );
  }
  if (code === 'EPERM' || code === 'EACCES') {
    return new Error(`the kernel does not let you read ${name} at ${pin}; run fast-ctl as root or in the agent's pod`);
  }
  return error;
}

export function pinnedMaps(folder: string): ReadMap {
  const pins = mapPins(folder);
  return async (name) => {
    const pin = pins[name] ?? `${folder}/${name}`;
    // Loaded when it is needed: the help must work on machines without libbpf.
    const { BpfMap } = await import('ebpf-native');
    try {
      const map = BpfMap.openPinned(pin);
      try {
        return map.entries();
      } finally {
        map.close();
      }
    } catch (error) {
      throw withCure(error, name, pin);
    }
  };
}
