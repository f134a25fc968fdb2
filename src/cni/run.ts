// SPDX-License-Identifier: Apache-2.0
// One call of fast-cni, from the runtime's variables to what it reads on stdout.
import { errorCode } from '../protocol/error-codes.ts';
import type { Attachment } from '../protocol/messages.ts';
import { askAgent } from './ask-agent.ts';
import { CniError, formatError } from './cni-error.ts';
import { type Configuration, decode, parseConfiguration } from './configuration.ts';
import { Deadline } from './deadline.ts';
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

/** What a command that is served works with. */
interface Work {
  host: Host;
  configuration: Configuration;
  environment: Environment;
  deadline: Deadline;
  delegates: Delegates;
}

function begin(host: Host, command: CniCommand, input: HostOutcome): Work {
  const environment = parseEnvironment(command, (name) => host.env(name) ?? '');
  const configuration = parseConfiguration(decode(input), command);
  const deadline = new Deadline(() => host.elapsedMs(), command, configuration.timeoutMs);
  return { host, configuration, environment, deadline, delegates: new Delegates(host, configuration, deadline) };
}

/** `stepsBehind`: what has still to come after it, where all goes badly. */
function ask(work: Work, command: Exclude<CniCommand, 'VERSION'>, stepsBehind: number): Attachment | undefined {
  const { host, configuration, environment, deadline } = work;
  const timeoutMs = deadline.timeFor(configuration.timeoutMs, stepsBehind);
  return askAgent(host, command, configuration, environment, timeoutMs);
}

/** Section 4: whoever delegates undoes all where a delegate failed; the failure itself is what the runtime reads. */
function add(work: Work): string {
  const { configuration, delegates } = work;
  const attachment = ask(work, 'ADD', delegates.stepsOfAdd + 1);
  if (attachment === undefined) {
    throw new CniError(errorCode.protocol, "the agent's answer to ADD carries no result");
  }
  const { cniVersion, prevResult, dns } = configuration;
  const result = resultOf(cniVersion, attachment, prevResult, dns);
  try {
    return `${JSON.stringify(delegates.add(result))}\n`;
  } catch (error) {
    try {
      ask(work, 'DEL', 0);
    } catch {
      // The runtime sends a DEL of its own after a failed ADD.
    }
    throw error;
  }
}

/** A delegate that fails does not keep the wire; the runtime hears of all that failed, and tries again. */
function del(work: Work): void {
  const failure = work.delegates.del();
  try {
    ask(work, 'DEL', 0);
  } catch (error) {
    if (failure === undefined || !(error instanceof CniError)) throw error;
    throw new CniError(failure.code, `${failure.message}; besides: ${error.message}`, failure.details);
  }
  if (failure !== undefined) throw failure;
}

/** The text for stdout; throws CniError. */
function answer(host: Host, command: CniCommand, input: HostOutcome): string {
  if (command === 'VERSION') return answerVersion(input);
  const work = begin(host, command, input);
  const { configuration, delegates } = work;
  // Without a list there is nothing to compare with; what no record explains the agent finds by itself.
  if (command === 'GC' && configuration.validAttachments === undefined) return '';
  if (command === 'ADD') return add(work);
  if (command === 'DEL') {
    del(work);
    return '';
  }
  ask(work, command, configuration.delegates.length);
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
