// SPDX-License-Identifier: Apache-2.0
// The pod's network namespace as CNI_NETNS names it.
import { Netns, SysError } from 'ebpf-native';

/** What is the matter with a CNI_NETNS, and what to do. */
export class SandboxError extends Error {
  readonly cure: string;

  constructor(message: string, cure: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SandboxError';
    this.cure = cure;
  }
}

/**
 * Runtimes name namespaces below /var/run, which is /run on every host (FHS 3.0, 5.13), if not in every image.
 * @throws SandboxError where there is no namespace, or only the node's own
 */
export function openSandbox(path: string, own: Netns): Netns {
  let pod: Netns | undefined;
  try {
    pod = Netns.open(path.replace(/^\/var\/run\//, '/run/'));
    // Any file can be opened; only a namespace can be entered.
    pod.run(() => undefined);
  } catch (error) {
    pod?.close();
    const cause = error instanceof SysError ? error.code : String(error);
    const cure = "is it there, and does the agent see the runtime's /run/netns?";
    throw new SandboxError(`CNI_NETNS ${path} cannot be opened (${cause})`, cure, error);
  }
  if (pod.inode !== own.inode) return pod;
  pod.close();
  throw new SandboxError(`CNI_NETNS ${path} is the node's own network namespace`, 'the runtime makes one for each pod');
}
