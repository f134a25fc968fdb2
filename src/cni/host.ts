// SPDX-License-Identifier: Apache-2.0
// What the executable around this script lends to it (src/cni/host/src/main.rs). Tests lend their own.

/** `problem` is a word to decide by: of stdin `read`, `tooLong` or `encoding`; of a request also the rest. */
export type HostOutcome =
  | { text: string }
  | { problem: 'connect' | 'write' | 'read' | 'timeout' | 'tooLong' | 'encoding'; message: string };

/** `missing`: there is no such file, so that another folder may have it. */
export type PluginOutcome =
  | { text: string; exitCode: number }
  | { problem: 'missing' | 'start' | 'timeout' | 'read' | 'tooLong' | 'encoding'; message: string };

export interface Host {
  /** An environment variable; undefined or null where it is unset or not UTF-8. */
  env(name: string): string | null | undefined;
  /** All of stdin, at most 1 MiB; '' from a terminal. */
  stdin(): HostOutcome;
  /** Writes all of `text` to stdout. */
  print(text: string): void;
  printError(text: string): void;
  exitCode(code: number): void;
  /** Since the program started. */
  elapsedMs(): number;
  /** Connects to the unix socket `path`, writes `body`, closes that half and reads the answer, in `timeoutMs` in all. */
  unixRequest(path: string, body: string, timeoutMs: number): HostOutcome;
  /** Runs the executable `path` with this process's variables, but CNI_COMMAND is `command`, and kills it after `timeoutMs`. */
  runPlugin(path: string, command: string, stdin: string, timeoutMs: number): PluginOutcome;
}
