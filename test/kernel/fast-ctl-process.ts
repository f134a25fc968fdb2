// SPDX-License-Identifier: Apache-2.0
// fast-ctl as a process in a node's namespace.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../../scripts/steps.ts';
import { insideArguments } from './agent-node.ts';

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Whose machine this is may have a cluster of its own. */
const env = { ...process.env, HOME: '/nonexistent', KUBECONFIG: '' };

export function fastCtlOn(name: string, pinFolder: string, args: string[]): Promise<Ended> {
  const line = [process.execPath, join(root, 'src/cli/main.ts'), ...args, '--pin-folder', pinFolder];
  return new Promise((resolve) => {
    execFile('ip', insideArguments(name, ...line), { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
