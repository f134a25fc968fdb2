// SPDX-License-Identifier: Apache-2.0
// fast-ctl without a machine and without a cluster: what it touches is given, what it prints is kept.
import { runCommandLine } from '../../src/cli/program.ts';
import type { Surroundings } from '../../src/cli/surroundings.ts';

export interface Shown {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one command line; a word with blanks is written as its own element. What is not given is not there. */
export async function fastCtl(line: string | string[], given: Partial<Surroundings> = {}): Promise<Shown> {
  const shown: Shown = { code: 0, stdout: '', stderr: '' };
  shown.code = await runCommandLine(typeof line === 'string' ? line.split(' ') : line, {
    openMaps: () => () => Promise.reject(new Error('there are no maps here')),
    openKernel: () => Promise.reject(new Error('there is no kernel here')),
    deviceName: () => undefined,
    cluster: () => Promise.reject(new Error('there is no cluster here')),
    clusterPlace: () => Promise.reject(new Error('there is no kubeconfig here')),
    contexts: () => Promise.reject(new Error('there is no kubeconfig here')),
    usesPodAccount: () => false,
    print: (text) => {
      shown.stdout += text;
    },
    printError: (text) => {
      shown.stderr += text;
    },
    isColourful: false,
    terminalWidth: undefined,
    nowMs: () => Date.parse('2026-11-25T12:00:00Z'),
    monotonicNs: () => 0n,
    sleep: () => Promise.resolve(),
    stopped: new AbortController().signal,
    ...given,
  });
  return shown;
}
