// SPDX-License-Identifier: Apache-2.0
// All failures that a container runtime can read from fast-cni: CNI 1.1.0, section 5, "Error". docs/cni.md has the same
// table, and a test compares the two.

export interface ErrorKind {
  /** 1 to 99 are the specification's, 100 and above ours. */
  readonly code: number;
  /** One sentence: what is the matter with every error of this code. */
  readonly means: string;
  /** What a person can do; an error whose own message knows better says that instead. */
  readonly cure: string;
}

const kind = <C extends number>(code: C, means: string, cure: string) => ({ code, means, cure });

export const errorTable = {
  incompatibleVersion: kind(
    1,
    'The cniVersion of the configuration is not served, or does not know the command.',
    'Write a cniVersion that VERSION lists; CHECK needs 0.4.0, GC and STATUS need 1.1.0.',
  ),
  unsupportedField: kind(
    2,
    'The configuration asks by a field for what fast-cni cannot do; the message has its key and value.',
    'Remove the field: addresses come from pools (kubectl get ips), interfaces and MACs from the agent.',
  ),
  unknownContainer: kind(
    3,
    'CHECK: this node has no wire for the container, so that nothing need be cleaned up for it.',
    'Have the runtime make the sandbox anew; deleting the pod does it.',
  ),
  invalidEnvironment: kind(
    4,
    'A CNI_* variable is missing or invalid; the message names it.',
    'The container runtime sets these variables; look there for what gave the value.',
  ),
  inputOutput: kind(5, 'The configuration on stdin could not be read.', 'Try again; the log of the runtime says more.'),
  cannotDecode: kind(
    6,
    'The configuration, or a request to the agent, is not JSON in UTF-8 of at most 1 MiB.',
    'Correct the file in /etc/cni/net.d; the fast-agent writes its own there.',
  ),
  invalidConfiguration: kind(
    7,
    'The configuration is JSON but a field is missing or has an impossible value; the message names it.',
    'Correct the file in /etc/cni/net.d; the fast-agent writes its own there.',
  ),
  tryAgainLater: kind(
    11,
    'A passing condition, such as an agent that starts or a pod without an address yet.',
    'The runtime tries again by itself; the message says what is waited for.',
  ),
  notAvailable: kind(
    50,
    'STATUS: no pod could be wired now.',
    'The log of the fast-agent on this node and the conditions of its NodeEndpoint say more.',
  ),
  notAvailableLimited: kind(
    51,
    'STATUS: no pod could be wired now, and pods that run may have limited connectivity.',
    'The log of the fast-agent on this node and the conditions of its NodeEndpoint say more.',
  ),
  protocol: kind(
    100,
    'fast-cni and the agent do not understand each other.',
    'Let the fast-agent install its own fast-cni; does something else listen on its socket?',
  ),
  internal: kind(
    101,
    'A fault in fast-cni or the agent itself.',
    'Please report it with the log of the fast-agent on this node.',
  ),
  wiring: kind(
    102,
    'A step of the wiring failed in the kernel and all steps before it were undone; the message says which.',
    'The log of the fast-agent on this node has the whole; the runtime may try again.',
  ),
  checkFailed: kind(
    103,
    'CHECK: a part of the wire is missing or wrong; the message names all such parts.',
    "The agent mends its node's side within 30 s; what is wrong inside the pod, a new pod mends.",
  ),
  interfaceExists: kind(
    104,
    'ADD: the interface is there already, or the pod has its wire on another.',
    'DEL comes before another ADD, and a pod has one interface of this network.',
  ),
  delegate: kind(
    105,
    'A plugin that fast-cni runs for a capability failed; the message has its name and words.',
    "Correct what the plugin complains of: the pod's hostPort, its bandwidth annotations, or the node's programs.",
  ),
} as const satisfies Record<string, ErrorKind>;

export type ErrorName = keyof typeof errorTable;

/** The codes by name: `errorCode.tryAgainLater` is 11. */
export const errorCode = Object.fromEntries(Object.entries(errorTable).map(([name, { code }]) => [name, code])) as {
  readonly [N in ErrorName]: (typeof errorTable)[N]['code'];
};

/** The table's cure for a code; undefined for a code of somebody else. */
export function cureOf(code: number): string | undefined {
  return Object.values<ErrorKind>(errorTable).find((one) => one.code === code)?.cure;
}
