// SPDX-License-Identifier: Apache-2.0
// A host for src/cni that lives in memory: what a runtime sets, what the agent would answer, and what came of it.
import type { Host, HostOutcome, PluginOutcome } from '../../src/cni/host.ts';
import type { RawResult } from '../../src/cni/result.ts';
import { run } from '../../src/cni/run.ts';
import type { AgentRequest, Attachment } from '../../src/protocol/messages.ts';

export const attachment: Attachment = {
  address: '10.244.10.0',
  prefixLength: 32,
  gateway: '10.244.0.1',
  hostInterface: 'fast0123456789',
  hostMac: '02:fa:57:00:00:01',
  podInterface: 'eth0',
  podMac: '02:fa:57:0a:f4:0a',
  mtu: 1450,
  sandbox: '/run/netns/pod',
  routes: [{ destination: '10.244.0.1/32' }, { destination: '0.0.0.0/0', gateway: '10.244.0.1' }],
};

export const podArguments =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=busybox;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u-1';

/** The variables that containerd sets for ADD. */
export const podVariables: Record<string, string> = {
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/pod',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: podArguments,
  CNI_PATH: '/opt/cni/bin',
};

export function configuration(more: Record<string, unknown> = {}): Record<string, unknown> {
  return { cniVersion: '1.1.0', name: 'fast', type: 'fast-cni', ...more };
}

export interface Call {
  variables: Record<string, string>;
  stdin?: string;
  /** What the socket yields; by default success, with a result for ADD. */
  answer?: HostOutcome;
  /** What the plugin at a path makes of it; by default there is none. */
  plugin?: (run: PluginRun) => PluginOutcome;
  /** What had passed before the first step. */
  startMs?: number;
  /** How long the named step of `steps` would last; by default no time. What may not last so long is ended. */
  lastsMs?: (step: string) => number;
}

export interface PluginRun {
  path: string;
  command: string;
  body: { prevResult?: RawResult; runtimeConfig?: Record<string, unknown>; [key: string]: unknown };
}

export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
  requests: { path: string; body: AgentRequest; timeoutMs: number }[];
  /** The plugins that were run, those also that were not found. */
  plugins: PluginRun[];
  /** Agent and plugins in their order, such as `agent ADD` and `fast-portmap ADD`. */
  steps: string[];
  /** How long each of them may last. */
  limitsMs: number[];
  elapsedMs: number;
}

/** A plugin that prints what it was given, as those do that only add something to the node. */
export const passOn = ({ command, body }: PluginRun): PluginOutcome => ({
  text: command === 'ADD' ? JSON.stringify(body.prevResult) : '',
  exitCode: 0,
});

const noPlugin: PluginOutcome = { problem: 'missing', message: 'No such file or directory' };

/** Runs fast-cni once in memory. */
export function call({ variables, stdin, answer, plugin, startMs = 0, lastsMs = () => 0 }: Call): Outcome {
  const [steps, limitsMs]: [string[], number[]] = [[], []];
  const nothing = { exitCode: 0, stdout: '', stderr: '', requests: [], plugins: [], elapsedMs: startMs };
  const outcome: Outcome = { ...nothing, steps, limitsMs };
  /** Answers what became of a step that takes too long. */
  const pass = (step: string, limitMs: number): { problem: 'timeout'; message: string } | undefined => {
    steps.push(step);
    limitsMs.push(limitMs);
    const wantedMs = lastsMs(step);
    outcome.elapsedMs += Math.min(wantedMs, limitMs);
    return wantedMs <= limitMs ? undefined : { problem: 'timeout', message: `no end within ${limitMs} ms` };
  };
  const result = variables['CNI_COMMAND'] === 'ADD' ? { result: attachment } : {};
  const host: Host = {
    env: (name) => variables[name],
    stdin: () => ({ text: stdin ?? JSON.stringify(configuration()) }),
    print: (text) => {
      outcome.stdout += text;
    },
    printError: (text) => {
      outcome.stderr += text;
    },
    exitCode: (code) => {
      outcome.exitCode = code;
    },
    unixRequest: (path, body, timeoutMs) => {
      const request = JSON.parse(body) as AgentRequest;
      outcome.requests.push({ path, body: request, timeoutMs });
      const late = pass(`agent ${request.command}`, timeoutMs);
      return late ?? answer ?? { text: JSON.stringify({ ok: true, ...result }) };
    },
    elapsedMs: () => outcome.elapsedMs,
    runPlugin: (path, command, body, timeoutMs) => {
      const one = { path, command, body: JSON.parse(body) as PluginRun['body'] };
      const ended = plugin?.(one) ?? noPlugin;
      outcome.plugins.push(one);
      if ('problem' in ended && ended.problem === 'missing') return ended;
      return pass(`${path.split('/').at(-1)} ${command}`, timeoutMs) ?? ended;
    },
  };
  run(host);
  return outcome;
}

/** What a runtime reads of a failure. */
export function errorOf(outcome: Outcome): { cniVersion: string; code: number; msg: string; details?: string } {
  return JSON.parse(outcome.stdout) as { cniVersion: string; code: number; msg: string; details?: string };
}
