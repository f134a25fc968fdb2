// SPDX-License-Identifier: Apache-2.0
// One call of fast-cni, from the runtime's variables to what it reads on stdout.
import { errorCode } from '../protocol/error-codes.ts';
import { askAgent } from './ask-agent.ts';
import { CniError, formatError } from './cni-error.ts';
import { decode, parseConfiguration } from './configuration.ts';
import { parseCommand, parseEnvironment } from './environment.ts';
import type { CniCommand } from './environment.ts';
import type { Host, HostOutcome } from './host.ts';
import { formatResult } from './result.ts';
import { isServed, newestVersion, specVersions } from './versions.ts';

const about = `fast-cni joins pods to the Fast network. The container runtime runs it, with CNI_COMMAND set and the
network configuration on stdin: https://www.cni.dev/docs/spec
CNI protocol versions supported: ${specVersions.join(', ')}
`;

/** The version to answer in: the configuration's where it can be made out, since errors carry one too. */
function versionOf(input: HostOutcome): string | undefined {
  try {
    const value = decode(input);
    if (typeof value !== 'object' || value === null || !('cniVersion' in value)) return undefined;
    return typeof value.cniVersion === 'string' ? value.cniVersion : undefined;
  } catch {
    return undefined;
  }
}

/** CNI 1.1.0, section 4, "VERSION": it needs neither variables nor a configuration. */
function answerVersion(input: HostOutcome): string {
  const cniVersion = versionOf(input) ?? newestVersion;
  return `${JSON.stringify({ cniVersion, supportedVersions: specVersions })}\n`;
}

/** The text for stdout; throws CniError. */
function answer(host: Host, command: CniCommand, input: HostOutcome): string {
  if (command === 'VERSION') return answerVersion(input);
  const environment = parseEnvironment(command, (name) => host.env(name) ?? '');
  const configuration = parseConfiguration(decode(input), command);
  // Without a list there is nothing to compare with; what no record explains the agent finds by itself.
  if (command === 'GC' && configuration.validAttachments === undefined) return '';
  const attachment = askAgent(host, command, configuration, environment);
  if (command !== 'ADD') return '';
  if (attachment === undefined) {
    throw new CniError(errorCode.protocol, "the agent's answer to ADD carries no result");
  }
  const { cniVersion, prevResult, dns } = configuration;
  return formatResult(cniVersion, attachment, prevResult, dns);
}

/** Runs the command that the environment names. Without one it says what it is, as libcni's skeleton does. */
export function run(host: Host): void {
  const name = host.env('CNI_COMMAND') ?? '';
  if (name === '') {
    host.printError(about);
    return;
  }
  const input = host.stdin();
  try {
    host.print(answer(host, parseCommand(name), input));
  } catch (error) {
    const version = versionOf(input);
    const known = isServed(version) ? version : newestVersion;
    const report =
      error instanceof CniError ? error : new CniError(errorCode.internal, `fault in fast-cni: ${String(error)}`);
    host.print(formatError(known, report));
    host.exitCode(1);
  }
}
