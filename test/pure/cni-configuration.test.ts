// SPDX-License-Identifier: Apache-2.0
// What fast-cni accepts on stdin, and how it says what it does not.
import { describe, expect, it } from 'vitest';
import { call, configuration, errorOf, podVariables } from './cni-fake-host.ts';
import type { Outcome } from './cni-fake-host.ts';

function add(stdin: string): Outcome {
  return call({ variables: { ...podVariables, CNI_COMMAND: 'ADD' }, stdin });
}
const addWith = (more: Record<string, unknown>): Outcome => add(JSON.stringify(configuration(more)));

describe('the network configuration', () => {
  it.each(['', '{', 'name: fast', '{"cniVersion":'])('answers code 6 to %j, which is not JSON', (stdin) => {
    const outcome = add(stdin);
    expect(outcome.exitCode).toBe(1);
    expect(errorOf(outcome)).toMatchObject({ cniVersion: '1.1.0', code: 6 });
  });

  it.each([
    [{ socket: 'run/x' }, 'the field "socket" is "run/x" but must be the absolute path'],
    [{ socket: `/${'x'.repeat(107)}` }, "but must be the absolute path of the agent's socket, at most 107 bytes"],
    [{ timeoutSeconds: 0 }, 'the field "timeoutSeconds" is 0 but must be a whole number of seconds from 1 to 600'],
    [{ timeoutSeconds: 1.5 }, 'the field "timeoutSeconds" is 1.5 but'],
    [{ timeoutSeconds: '5' }, 'the field "timeoutSeconds" is "5" but'],
    [{ name: '' }, 'the field "name" is "" but must be the name of the network'],
    [{ name: undefined }, 'the field "name" is missing; it is the name of the network'],
    [{ cniVersion: undefined }, 'the field "cniVersion" is missing'],
    [{ prevResult: [] }, 'the field "prevResult" is []'],
    [{ prevResult: { ips: [{}] } }, '"prevResult" is not a result: the field "ips.0.address" is missing'],
    [{ prevResult: { interfaces: 'eth0' } }, 'the field "interfaces" is "eth0"'],
    [{ runtimeConfig: 7 }, 'the field "runtimeConfig" is 7'],
    [{ dns: 'none' }, 'the field "dns" is "none"'],
  ])('answers code 7 to %j and names the field', (more, sentence) => {
    const outcome = addWith(more);
    expect(outcome.exitCode).toBe(1);
    expect(errorOf(outcome).code).toBe(7);
    expect(errorOf(outcome).msg).toContain(sentence);
    expect(outcome.requests).toEqual([]);
  });

  it.each(['null', '[]', '"fast"', '7'])('answers code 7 to %s, which is JSON but no object', (stdin) => {
    expect(errorOf(add(stdin)).code).toBe(7);
  });

  it.each(['0.2.0', '0.3.0', '1.2.0', '', 'new'])('answers code 1 to the version %j', (cniVersion) => {
    const error = errorOf(addWith({ cniVersion }));
    expect(error).toMatchObject({ cniVersion: '1.1.0', code: 1 });
    expect(error.msg).toContain(`cniVersion is "${cniVersion}", fast-cni serves 0.3.1, 0.4.0, 1.0.0, 1.1.0`);
  });

  it('takes what runtimes add, and fields that only others know', () => {
    const added = {
      runtimeConfig: { portMappings: [], aliases: ['a'] },
      capabilities: { portMappings: true },
      args: {},
    };
    const others = { 'cni.dev/attachments': [], 'cni.dev/later': 1, mtu: 9000, delegate: { type: 'x' }, ipam: {} };
    expect(addWith({ ...added, ...others }).exitCode).toBe(0);
    expect(addWith({ runtimeConfig: null, prevResult: null, dns: null, args: null, ipam: null }).exitCode).toBe(0);
  });

  it.each([
    [{ ipam: { type: 'host-local' } }, 'the field "ipam", here {"type":"host-local"}'],
    [{ runtimeConfig: { ips: ['10.0.0.1'] } }, 'the field "runtimeConfig.ips", here ["10.0.0.1"]'],
    [{ runtimeConfig: { mac: 'c2:11:22:33:44:55' } }, 'the field "runtimeConfig.mac", here "c2:11:22:33:44:55"'],
    [{ runtimeConfig: { portMappings: [{ hostPort: 80 }] } }, 'the field "runtimeConfig.portMappings"'],
  ])('answers code 2 to %j: its key and value, and what to do', (more, sentence) => {
    const error = errorOf(addWith(more));
    expect(error).toMatchObject({ code: 2, msg: expect.stringContaining(sentence) });
    expect(error.details).toMatch(/remove|move/);
    // A pod must go all the same.
    const variables = { ...podVariables, CNI_COMMAND: 'DEL' };
    expect(call({ variables, stdin: JSON.stringify(configuration(more)) }).exitCode).toBe(0);
  });

  it('asks the socket and waits the time that the configuration says', () => {
    const [request] = addWith({ socket: '/run/x.sock', timeoutSeconds: 10 }).requests;
    expect(request).toMatchObject({ path: '/run/x.sock', timeoutMs: 10_000 });
    expect(request?.body.deadlineMs).toBe(9000);
  });

  it('asks /run/fast/agent.sock for 55 s by default, and gives the agent a second less', () => {
    const [request] = addWith({}).requests;
    expect(request).toMatchObject({ path: '/run/fast/agent.sock', timeoutMs: 55_000 });
    expect(request?.body.deadlineMs).toBe(54_000);
  });

  it('hands the former result on with CHECK', () => {
    const prevResult = { interfaces: [{ name: 'eth0', sandbox: '/n' }], ips: [{ address: '10.244.10.0/32' }] };
    const stdin = JSON.stringify(configuration({ prevResult }));
    const outcome = call({ variables: { ...podVariables, CNI_COMMAND: 'CHECK' }, stdin });
    expect(outcome.requests[0]?.body.prevResult).toEqual({ ...prevResult, routes: [] });
  });

  it('needs the former result for CHECK', () => {
    const error = errorOf(call({ variables: { ...podVariables, CNI_COMMAND: 'CHECK' } }));
    expect(error).toMatchObject({ code: 7, msg: expect.stringContaining('prevResult') });
  });

  it.each([
    [{ ingressRate: 1000, ingressBurst: 1 }, true],
    [{ egressRate: 1000 }, true],
    // As containerd writes it.
    [{ IngressRate: 0, IngressBurst: 0, EgressRate: 1000, EgressBurst: 1 }, true],
    [{ ingressRate: 0, egressRate: 0 }, undefined],
    [{}, undefined],
    [null, undefined],
  ])('tells the agent whether the runtime has the pod limited: %j', (bandwidth, told) => {
    expect(addWith({ runtimeConfig: { bandwidth } }).requests[0]?.body.hasBandwidthLimit).toBe(told);
  });

  it('takes no list for no statement: a GC without one asks for nothing', () => {
    expect(call({ variables: { CNI_COMMAND: 'GC' } })).toMatchObject({ exitCode: 0, stdout: '', requests: [] });
  });

  it('takes the null of a Go runtime for an empty list', () => {
    const stdin = JSON.stringify(configuration({ 'cni.dev/valid-attachments': null }));
    const outcome = call({ variables: { CNI_COMMAND: 'GC' }, stdin });
    expect(outcome.requests[0]?.body.validAttachments).toEqual([]);
  });

  it('hands the list of attachments on with GC', () => {
    const stdin = JSON.stringify(
      configuration({ 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] }),
    );
    const outcome = call({ variables: { CNI_COMMAND: 'GC' }, stdin });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(outcome.requests[0]?.body.validAttachments).toEqual([{ containerId: 'c1', ifName: 'eth0' }]);
  });
});
