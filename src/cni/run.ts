// SPDX-License-Identifier: Apache-2.0
// One call of fast-cni, from the runtime's variables to what it reads on stdout.
import { errorCode } from '../protocol/error-codes.ts';
import { askAgent } from './ask-agent.ts';
import { CniError, formatError } from './cni-error.ts';
import { type Configuration, decode, parseConfiguration } from './configuration.ts';
import { Delegates } from './delegates.ts';
import { parseCommand, parseEnvironment } from './environment.ts';
import type { CniCommand, Environment } from './environment.ts';
import type { Host, HostOutcome } from './host.ts';
import { resultOf } from './result.ts';
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

/** Section 4: whoever delegates undoes all where a delegate failed; the failure itself is what the runtime reads. */
function add(host: Host, configuration: Configuration, environment: Environment): string {
  const attachment = askAgent(host, 'ADD', configuration, environment);
  if (attachment === undefined) {
    throw new CniError(errorCode.protocol, "the agent's answer to ADD carries no result");
  }
  const { cniVersion, prevResult, dns } = configuration;
  const result = resultOf(cniVersion, attachment, prevResult, dns);
  try {
    return `${JSON.stringify(new Delegates(host, configuration).add(result))}\n`;
  } catch (error) {
    try {
      askAgent(host, 'DEL', configuration, environment);
    } catch {
      // The runtime sends a DEL of its own after a failed ADD.
    }
    throw error;
  }
}

/** A delegate that fails does not keep the wire; the runtime hears of all that failed, and tries again. */
function del(host: Host, configuration: Configuration, environment: Environment): void {
  const failure = new Delegates(host, configuration).del();
  try {
    askAgent(host, 'DEL', configuration, environment);
  } catch (error) {
    if (failure === undefined || !(error instanceof CniError)) throw error;
    throw new CniError(failure.code, `${failure.message}; besides: ${error.message}`, failure.details);
  }
  if (failure !== undefined) throw failure;
}

/** The text for stdout; throws CniError. */
function answer(host: Host, command: CniCommand, input: HostOutcome): string {
  if (command === 'VERSION') return answerVersion(input);
  const environment = parseEnvironment(command, (name) => host.env(name) ?? '');
  const configuration = parseConfiguration(decode(input), command);
  // Without a list there is nothing to compare with; what no record explains the agent finds by itself.
  if (command === 'GC' && configuration.validAttachments === undefined) return '';
  if (command === 'ADD') return add(host, configuration, environment);
  if (command === 'DEL') {
    del(host, configuration, environment);
    return '';
  }
  askAgent(host, command, configuration, environment);
  const delegates = new Delegates(host, configuration);
  if (command === 'GC') delegates.collect();
  else delegates.ask(command);
  return '';
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
