// SPDX-License-Identifier: Apache-2.0
// What the API server itself counted: its requests out of /metrics, its CPU out of the kernel's books.
import { readdirSync, readFileSync } from 'node:fs';
import type { KubeClient } from '../../src/kube/client.ts';

/** `verb resource/subresource` (`PUT ipallocations/status`) → requests that were answered with success, or refused. */
export interface RequestCounts {
  readonly done: ReadonlyMap<string, number>;
  readonly refused: ReadonlyMap<string, number>;
}

const line = /^apiserver_request_total\{(.*)\} (\S+)$/;

export async function readRequests(client: KubeClient): Promise<RequestCounts> {
  const text = String(await client.raw('GET', '/metrics'));
  const counts = { done: new Map<string, number>(), refused: new Map<string, number>() };
  for (const each of text.split('\n')) {
    const [, labelText = '', value = '0'] = line.exec(each) ?? [];
    if (labelText === '') continue;
    const labels = Object.fromEntries([...labelText.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, of]) => [key, of]));
    const { verb = '', resource = '', subresource = '', code = '' } = labels;
    const key = `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
    const into = Number(code) < 400 ? counts.done : counts.refused;
    into.set(key, (into.get(key) ?? 0) + Number(value));
  }
  return counts;
}

/** How many requests came between two readings, of those whose key `matches`. */
export function requestsBetween(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  matches: RegExp,
): number {
  let sum = 0;
  for (const [key, value] of after) if (matches.test(key)) sum += value - (before.get(key) ?? 0);
  return sum;
}

/**
 * CPU seconds of all threads of a process, by the scheduler's own nanoseconds (Documentation/scheduler/sched-stats.rst):
 * the ticks of /proc/PID/stat are as long as some of what is measured here.
 */
export function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + threadNs(`/proc/${pid}/task/${thread}/schedstat`), 0) / 1e9;
}

function threadNs(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8').split(' ')[0]);
  } catch {
    // It ended between the listing and here.
    return 0;
  }
}
