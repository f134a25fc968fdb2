// SPDX-License-Identifier: Apache-2.0
// The numbers by which a container runtime tells one failure from another: CNI 1.1.0, section 5, "Error".

export const errorCode = {
  /** The version of the configuration is not one that fast-cni serves. */
  incompatibleVersion: 1,
  /** CHECK, DEL: the container is not known; the runtime need do nothing more for it. */
  unknownContainer: 3,
  /** A CNI_* variable is missing or invalid; the message names it. */
  invalidEnvironment: 4,
  /** Reading or writing failed. */
  inputOutput: 5,
  /** Something is not JSON, or not UTF-8. */
  cannotDecode: 6,
  /** The network configuration is JSON but not one that fast-cni accepts. */
  invalidConfiguration: 7,
  /** A passing condition: the runtime should try again later. */
  tryAgainLater: 11,
  /** STATUS: no pod could be wired now. */
  notAvailable: 50,
  /** STATUS: no pod could be wired now, and running pods may have limited connectivity. */
  notAvailableLimited: 51,
  /** Ours, 100 and above: the agent and fast-cni do not understand each other. */
  protocol: 100,
  /** Ours: a fault in the program itself. */
  internal: 101,
  /** Ours: what the agent did to the kernel failed; the message says which step. */
  wiring: 102,
  /** Ours: CHECK found a wire that is not as it should be; the message says what. */
  checkFailed: 103,
} as const;
