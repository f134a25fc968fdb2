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

function boundBurst(burst: unknown, rate: unknown): unknown {
  if (typeof burst !== 'number' || typeof rate !== 'number' || rate <= 0 || burst < leastUnlimitedBurst) return burst;
  return Math.min(burst, Math.max(Math.floor(rate * burstSeconds), leastBurst));
}

/** The same limits, with a burst that fits the rate where the runtime gave none. A burst that somebody chose stays. */
export function boundBursts(bandwidth: unknown): unknown {
  if (typeof bandwidth !== 'object' || bandwidth === null || Array.isArray(bandwidth)) return bandwidth;
  const entries = Object.entries(bandwidth) as [string, unknown][];
  const rateFor = (burstKey: string): unknown => {
    const rateKey = burstKey.toLowerCase().replace('burst', 'rate');
    return entries.find(([key]) => key.toLowerCase() === rateKey)?.[1];
  };
  return Object.fromEntries(
    entries.map(([key, value]) => [key, /^(?:in|e)gressBurst$/i.test(key) ? boundBurst(value, rateFor(key)) : value]),
  );
}
