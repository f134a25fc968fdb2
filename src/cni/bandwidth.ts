// SPDX-License-Identifier: Apache-2.0
// The capability `bandwidth` of CONVENTIONS.md: rates in bits per second, bursts in bits. containerd writes `IngressRate`
// for `ingressRate`, since Go's plugins read keys in any case.

/**
 * What runtimes give as "no limit to the burst", or less: the kubelet gave MaxInt32, containerd gives MaxUint32 and CRI-O
 * just below 4 GB. A person who wants bursts of a quarter of a gigabyte has no limit in mind either.
 */
const leastUnlimitedBurst = 2 ** 31 - 1;
/**
 * The burst in its place, in time at the full rate. The plugin makes its queue as long as the burst and 25 ms more: at 75 ms
 * a flow of that round trip time still fills its limit, and no packet waits longer.
 */
const burstSeconds = 0.05;
/** That of slow limits: with less a TCP flow loses its first packets, and with more packets wait for half a second at 1M. */
const leastBurst = 32 * 1024 * 8;

/** What is absent or 0 is no limit. */
export function hasBandwidthLimit(bandwidth: unknown): boolean {
  if (typeof bandwidth !== 'object' || bandwidth === null) return false;
  return Object.entries(bandwidth).some(([key, value]) => /^(?:in|e)gressRate$/i.test(key) && Number(value) > 0);
}

/** Undefined where the burst may stay. */
function boundBurst(burst: unknown, rate: unknown): number | undefined {
  if (typeof burst !== 'number' || typeof rate !== 'number' || rate <= 0 || burst < leastUnlimitedBurst)
    return undefined;
  return Math.min(burst, Math.max(Math.floor(rate * burstSeconds), leastBurst));
}

/** The same limits, with a burst that fits the rate where the runtime gave none; undefined where somebody chose them all. */
export function boundBursts(bandwidth: unknown): object | undefined {
  if (typeof bandwidth !== 'object' || bandwidth === null) return undefined;
  const entries = Object.entries(bandwidth) as [string, unknown][];
  const bounded = entries.flatMap(([key, value]) => {
    if (!/^(?:in|e)gressBurst$/i.test(key)) return [];
    const rateKey = key.toLowerCase().replace('burst', 'rate');
    const burst = boundBurst(value, entries.find(([other]) => other.toLowerCase() === rateKey)?.[1]);
    return burst === undefined ? [] : [[key, burst] as const];
  });
  return bounded.length === 0 ? undefined : { ...bandwidth, ...Object.fromEntries(bounded) };
}
