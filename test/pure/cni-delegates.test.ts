// SPDX-License-Identifier: Apache-2.0
// The plugins that fast-cni runs itself: CNI 1.1.0, section 4. Only pods that ask for what they do have them run.
import { describe, expect, it } from 'vitest';
import type { PluginOutcome } from '../../src/cni/host.ts';
import {
  call,
  type Call,
  configuration,
  errorOf,
  type Outcome,
  passOn,
  type PluginRun,
  podVariables,
} from './cni-fake-host.ts';

const delegates = { portMappings: 'fast-portmap', bandwidth: 'fast-bandwidth' };
const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
const bandwidth = { IngressRate: 0, IngressBurst: 0, EgressRate: 1000, EgressBurst: 1 };
const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0' }], ips: [{ address: '10.244.10.0/32' }] };

/** As `passOn`, but the named plugin answers the named command so. */
function butFor(type: string, command: string, answer: PluginOutcome): (run: PluginRun) => PluginOutcome {
  return (run) => (run.path.endsWith(`/${type}`) && run.command === command ? answer : passOn(run));
}

const broken: PluginOutcome = { text: '{"cniVersion":"1.1.0","code":999,"msg":"port 8080 is taken"}', exitCode: 1 };

function run(command: string, runtimeConfig: object, more: Partial<Call> & { conf?: object } = {}): Outcome {
  const stdin = JSON.stringify(configuration({ delegates, runtimeConfig, ...more.conf }));
  return call({ variables: { ...podVariables, CNI_COMMAND: command }, stdin, plugin: passOn, ...more });
}

describe('the plugins of a pod that asks for them', () => {
  it('run behind the wire with ADD, before it goes with DEL and in the other order, and last with CHECK', () => {
    const asked = { portMappings, bandwidth };
    expect(run('ADD', asked).steps).toEqual(['agent ADD', 'fast-portmap ADD', 'fast-bandwidth ADD']);
    expect(run('DEL', asked).steps).toEqual(['fast-bandwidth DEL', 'fast-portmap DEL', 'agent DEL']);
    const check = run('CHECK', asked, { conf: { prevResult } });
    expect(check.steps).toEqual(['agent CHECK', 'fast-portmap CHECK', 'fast-bandwidth CHECK']);
  });

  it('get the whole configuration under their own name, with the result so far', () => {
    const runtimeConfig = { portMappings, bandwidth };
    const { plugins, stdout } = run('ADD', runtimeConfig, { conf: { snat: false } });
    expect(plugins[0]).toEqual({
      path: '/opt/cni/bin/fast-portmap',
      command: 'ADD',
      body: {
        ...configuration({ delegates, runtimeConfig, snat: false }),
        type: 'fast-portmap',
        prevResult: JSON.parse(stdout) as object,
      },
    });
    expect(plugins[1]?.body['type']).toBe('fast-bandwidth');
  });

  it('may extend the result, for the next and for the runtime', () => {
    const more = { ...prevResult, interfaces: [...prevResult.interfaces, { name: 'ifb0' }] };
    const plugin = butFor('fast-portmap', 'ADD', { text: JSON.stringify(more), exitCode: 0 });
    const { plugins, stdout } = run('ADD', { portMappings, bandwidth }, { plugin });
    expect(plugins[1]?.body.prevResult).toEqual(more);
    expect(JSON.parse(stdout)).toEqual(more);
  });

  it('get the result of ADD with CHECK and DEL, and none where the runtime gives a strange one', () => {
    for (const command of ['CHECK', 'DEL']) {
      expect(run(command, { portMappings }, { conf: { prevResult } }).plugins[0]?.body.prevResult).toEqual(prevResult);
    }
    const strange = run('DEL', { portMappings }, { conf: { prevResult: { ips: 7 } } });
    expect(strange.steps).toEqual(['fast-portmap DEL', 'agent DEL']);
    expect(strange.plugins[0]?.body.prevResult).toBeUndefined();
  });

  it('are looked for in the folders of CNI_PATH, in their order', () => {
    const variables = { ...podVariables, CNI_COMMAND: 'ADD', CNI_PATH: '/a:relative::/b:/c' };
    const plugin = (one: PluginRun): PluginOutcome =>
      one.path.startsWith('/a/') ? { problem: 'missing', message: 'No such file' } : passOn(one);
    const { plugins } = run('ADD', { portMappings }, { variables, plugin });
    expect(plugins.map(({ path }) => path)).toEqual(['/a/fast-portmap', '/b/fast-portmap']);
  });
});

describe('a limit whose burst the runtime leaves open', () => {
  const given = (asked: object): unknown => {
    const bodies = ['ADD', 'CHECK', 'DEL'].map((command) => {
      const { plugins } = run(command, { bandwidth: asked }, { conf: { prevResult } });
      return plugins[0]?.body.runtimeConfig?.['bandwidth'];
    });
    expect(new Set(bodies.map((one) => JSON.stringify(one))).size).toBe(1);
    return bodies[0];
  };

  it.each([
    ['the kubelet', 2 ** 31 - 1],
    ['containerd', 2 ** 32 - 1],
    ['CRI-O', (2 ** 32 - 1) * 8 - 1],
  ])('is no gigabyte at full speed: %s', (_runtime, open) => {
    expect(given({ IngressRate: 10_000_000, IngressBurst: open, EgressRate: 0, EgressBurst: 0 })).toEqual({
      IngressRate: 10_000_000,
      IngressBurst: 500_000,
      EgressRate: 0,
      EgressBurst: 0,
    });
    expect(given({ ingressRate: 1_000_000, ingressBurst: open, egressRate: 1e9, egressBurst: open })).toEqual({
      ingressRate: 1_000_000,
      ingressBurst: 262_144,
      egressRate: 1e9,
      egressBurst: 50_000_000,
    });
  });

  it('may be that of an older fast-cni: its pods fail no CHECK', () => {
    const asked = { ingressRate: 10_000_000, ingressBurst: 2 ** 32 - 1 };
    const laid = (burst: number) => (one: PluginRun) => {
      const given = one.body.runtimeConfig?.['bandwidth'] as typeof asked;
      return given.ingressBurst === burst ? passOn(one) : broken;
    };
    for (const burst of [500_000, asked.ingressBurst]) {
      const plugin = laid(burst);
      expect(run('CHECK', { bandwidth: asked }, { conf: { prevResult }, plugin }).exitCode).toBe(0);
    }
    const other = run('CHECK', { bandwidth: asked }, { conf: { prevResult }, plugin: laid(1) });
    expect(errorOf(other).code).toBe(105);
  });

  it('fails a CHECK in the words about the burst that it has now, not about the former one', () => {
    const plugin = ({ body }: PluginRun): PluginOutcome => {
      const { ingressBurst } = (body.runtimeConfig?.['bandwidth'] ?? {}) as { ingressBurst?: number };
      return { text: JSON.stringify({ code: 999, msg: `burst ${ingressBurst}` }), exitCode: 1 };
    };
    const asked = { ingressRate: 10_000_000, ingressBurst: 2 ** 32 - 1 };
    const { msg } = errorOf(run('CHECK', { bandwidth: asked }, { conf: { prevResult }, plugin }));
    expect(msg).toBe('the plugin fast-bandwidth failed: burst 500000');
  });

  it('gets no larger one than the runtime gave, at the rates of no machine', () => {
    const bandwidth = { egressRate: 1e15, egressBurst: 2 ** 32 - 1 };
    expect(given(bandwidth)).toEqual(bandwidth);
  });

  it.each([
    { ingressRate: 1_000_000, ingressBurst: 2 ** 31 - 2 },
    { ingressRate: 1_000_000, ingressBurst: 1 },
    { ingressRate: 1_000_000 },
    { egressRate: 1000, egressBurst: 8, ingressBurst: 2 ** 32 - 1 },
    { egressRate: 1000, egressBurst: '4294967295' },
    { egressRate: 1000, egressBurst: null },
  ])('is another than one that somebody chose, or that the plugin has to refuse: %j', (bandwidth) => {
    expect(given(bandwidth)).toEqual(bandwidth);
  });
});

describe('a pod that asks for nothing', () => {
  it.each([
    {},
    { portMappings: [] },
    { portMappings: null, bandwidth: null },
    { bandwidth: { ingressRate: 0, egressRate: 0 } },
  ])('has no plugin run for it: %j', (runtimeConfig) => {
    for (const command of ['ADD', 'DEL', 'CHECK']) {
      expect(run(command, runtimeConfig, { conf: { prevResult } }).steps).toEqual([`agent ${command}`]);
    }
  });

  it('leaves it to the list where no plugin is named', () => {
    const outcome = run('ADD', { bandwidth }, { conf: { delegates: null } });
    expect(outcome.steps).toEqual(['agent ADD']);
    expect(outcome.requests[0]?.body.hasBandwidthLimit).toBe(true);
  });
});

describe('commands that are of no pod', () => {
  it('reach every plugin that is named, with GC the list of what is valid too', () => {
    const conf = { 'cni.dev/valid-attachments': [] };
    const { steps, plugins } = run('GC', {}, { conf });
    expect(steps).toEqual(['agent GC', 'fast-portmap GC', 'fast-bandwidth GC']);
    expect(plugins[1]?.body['cni.dev/valid-attachments']).toEqual([]);
    expect(run('STATUS', {}).steps).toEqual(['agent STATUS', 'fast-portmap STATUS', 'fast-bandwidth STATUS']);
  });

  it('fail where a plugin does; GC reaches the others all the same', () => {
    const conf = { 'cni.dev/valid-attachments': [] };
    const collect = run('GC', {}, { conf, plugin: butFor('fast-portmap', 'GC', broken) });
    expect(collect.steps).toEqual(['agent GC', 'fast-portmap GC', 'fast-bandwidth GC']);
    expect(errorOf(collect)).toMatchObject({ code: 105, msg: expect.stringContaining('fast-portmap') });
    expect(errorOf(run('STATUS', {}, { plugin: butFor('fast-bandwidth', 'STATUS', broken) })).code).toBe(105);
  });
});

describe('a plugin that fails', () => {
  it('with ADD undoes the plugins that were run and the wire, and its words reach the runtime', () => {
    const outcome = run('ADD', { portMappings, bandwidth }, { plugin: butFor('fast-bandwidth', 'ADD', broken) });
    expect(outcome.exitCode).toBe(1);
    expect(errorOf(outcome)).toMatchObject({
      cniVersion: '1.1.0',
      code: 105,
      msg: 'the plugin fast-bandwidth failed: port 8080 is taken',
    });
    const begun = ['agent ADD', 'fast-portmap ADD', 'fast-bandwidth ADD'];
    expect(outcome.steps).toEqual([...begun, 'fast-bandwidth DEL', 'fast-portmap DEL', 'agent DEL']);
  });

  it('with DEL keeps neither the others nor the wire, and the runtime hears of it', () => {
    const outcome = run('DEL', { portMappings, bandwidth }, { plugin: butFor('fast-bandwidth', 'DEL', broken) });
    expect(errorOf(outcome)).toMatchObject({ code: 105, msg: expect.stringContaining('fast-bandwidth') });
    expect(outcome.steps).toEqual(['fast-bandwidth DEL', 'fast-portmap DEL', 'agent DEL']);
  });

  it('with DEL is named beside the agent where that fails too', () => {
    const answer = { problem: 'timeout', message: 'no answer within 55000 ms' } as const;
    const outcome = run('DEL', { portMappings }, { plugin: butFor('fast-portmap', 'DEL', broken), answer });
    const { code, msg } = errorOf(outcome);
    expect(code).toBe(105);
    expect(msg).toMatch(/fast-portmap failed: port 8080 is taken; besides: the agent .* gave no answer/);
  });

  it('with CHECK says what is wrong', () => {
    const plugin = butFor('fast-portmap', 'CHECK', broken);
    const outcome = run('CHECK', { portMappings }, { plugin, conf: { prevResult } });
    expect(errorOf(outcome)).toMatchObject({ code: 105, msg: expect.stringContaining('port 8080 is taken') });
  });

  it.each<[PluginOutcome, string]>([
    [{ text: '', exitCode: 2 }, 'it said nothing'],
    [{ text: 'panic: no', exitCode: 2 }, 'panic: no'],
    [{ text: '[]', exitCode: 2 }, '[]'],
    [{ text: 'done', exitCode: 0 }, 'it printed no result but "done"'],
    [{ text: '{"ips":7}', exitCode: 0 }, 'it printed no result: the field "ips" is 7'],
    [{ problem: 'start', message: 'Permission denied' }, 'Permission denied'],
    [{ problem: 'timeout', message: 'no end within 20000 ms' }, 'no end within 20000 ms'],
    [{ problem: 'missing', message: 'No such file' }, 'it is in no folder of CNI_PATH, "/opt/cni/bin"'],
  ])('is quoted: %j', (answer, words) => {
    const outcome = run('ADD', { portMappings }, { plugin: butFor('fast-portmap', 'ADD', answer) });
    const error = errorOf(outcome);
    expect(error).toMatchObject({
      code: 105,
      msg: expect.stringContaining(`the plugin fast-portmap failed: ${words}`),
    });
    expect(outcome.steps.at(-1)).toBe('agent DEL');
  });

  it('gives a cure of its own where it has one', () => {
    const answer = { text: '{"code":7,"msg":"no","details":"set a burst"}', exitCode: 1 };
    const outcome = run('ADD', { portMappings }, { plugin: butFor('fast-portmap', 'ADD', answer) });
    expect(errorOf(outcome).details).toBe('set a burst');
  });
});

describe('a command whose steps all last too long', () => {
  const asked = { portMappings, bandwidth };

  it('is no ADD that the runtime gives up while the last plugin is undone', () => {
    const lastsMs = (step: string): number => {
      if (step === 'agent ADD') return 54_000;
      return step === 'fast-portmap ADD' ? 19_000 : Number.POSITIVE_INFINITY;
    };
    const outcome = run('ADD', asked, { lastsMs });
    expect(outcome.steps.slice(3)).toEqual(['fast-bandwidth DEL', 'fast-portmap DEL', 'agent DEL']);
    // The wait, the plugins at 20 s each, and what is left of 110 s for the undoing.
    expect(outcome.limitsMs).toEqual([55_000, 20_000, 20_000, 7000, 5000, 5000]);
    expect(outcome.elapsedMs).toBe(110_000);
    expect(errorOf(outcome).msg).toBe('the plugin fast-bandwidth failed: no end within 20000 ms');
    expect(outcome.requests[1]?.body.deadlineMs).toBe(4000);
  });

  it('gives the undoing its time where there is enough', () => {
    const outcome = run('ADD', asked, { plugin: butFor('fast-bandwidth', 'ADD', broken) });
    expect(outcome.limitsMs).toEqual([55_000, 20_000, 20_000, 20_000, 20_000, 55_000]);
  });

  it('is no DEL that CRI-O gives up, and the wire has its part of it', () => {
    const outcome = run('DEL', asked, { lastsMs: () => Number.POSITIVE_INFINITY });
    expect(outcome.limitsMs).toEqual([20_000, 20_000, 16_000]);
    expect(outcome.elapsedMs).toBe(56_000);
    expect(errorOf(outcome).msg).toMatch(
      /besides: the agent at .* gave no answer within 16 s, the rest of the command's time/,
    );
  });

  it('is no DEL that blames plugins which did not run, where starting took some milliseconds', () => {
    const lastsMs = (): number => Number.POSITIVE_INFINITY;
    const { steps, stdout } = run('DEL', {}, { startMs: 4, lastsMs, conf: { timeoutSeconds: 60 } });
    expect(steps).toEqual(['agent DEL']);
    expect(stdout).toContain("gave no answer within 60 s, the rest of the command's time");
  });

  it.each(['CHECK', 'STATUS', 'GC'])('is no %s without its plugins', (command) => {
    const conf = { prevResult, 'cni.dev/valid-attachments': [] };
    const lastsMs = (step: string): number => (step.startsWith('agent') ? 45_000 : 5000);
    const outcome = run(command, asked, { lastsMs, conf });
    expect(outcome.exitCode).toBe(0);
    expect(outcome.limitsMs).toEqual([46_000, 6000, 6000]);
  });

  it('has a second for every step where timeoutSeconds is short or long', () => {
    const lastsMs = (): number => Number.POSITIVE_INFINITY;
    expect(run('DEL', asked, { lastsMs, conf: { timeoutSeconds: 1 } }).limitsMs).toEqual([1000, 1000, 1000]);
    const long = run('DEL', asked, { lastsMs, conf: { timeoutSeconds: 600 } });
    expect(long.limitsMs).toEqual([20_000, 20_000, 560_000]);
  });
});

describe('the names of the plugins', () => {
  it.each([
    [{ portMappings: '../portmap' }, 'the field "delegates.portMappings" is "../portmap"'],
    [{ portMappings: '' }, 'the field "delegates.portMappings" is ""'],
    [{ mac: 'tuning' }, 'the field "delegates" is {"mac":"tuning"}'],
    ['portmap', 'the field "delegates" is "portmap" but must be the names of plugins by capability'],
  ])('are refused where they are none: %j', (names, sentence) => {
    const error = errorOf(run('ADD', {}, { conf: { delegates: names } }));
    expect(error).toMatchObject({ code: 7, msg: expect.stringContaining(sentence) });
  });
});
