// SPDX-License-Identifier: Apache-2.0
// What fast-ctl trace says of the node that receives: its half, whether it is there, and what was not to be asked.
import { describe, expect, it } from 'vitest';
import type { Step } from '../../src/cli/trace-steps.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { condition, machine } from './cluster-view.ts';
import { client, endpoint, type Exec, far, half, lease, one, refused, toTwo, trace, two } from './trace-world.ts';

const words = `fast-ctl trace ${client} ${far} --protocol tcp --port 80 --source-port 40000 --arrives-from ${one}`;
const kindsOf = (steps: readonly Step[]): string => steps.map(({ kind }) => kind).join(' ');
const pods = `trace shop/client shop/web -o json`;

describe('a pod on another node', () => {
  it('is followed to its end there, instead of to the tunnel alone', async () => {
    const { beyond, asked } = await trace(pods);
    expect(asked).toEqual([`${words} -o json`]);
    expect(kindsOf(beyond)).toBe('node arrival end');
    expect(beyond[0]).toMatchObject({ where: two, node: 'two', what: 'two: the steps from here on are its own' });
    expect(beyond[2]).toEqual({ ...half[1], node: 'two' });
  });

  it('is asked for without a tunnel where it is sent so', async () => {
    const sender: Step[] = [
      {
        kind: 'end',
        where: 'up0',
        what: 'leaves',
        outcome: 'toNode',
        toNode: { address: two, way: 'direct', from: one },
      },
    ];
    expect((await trace(pods, { sender })).asked).toEqual([`${words} --direct -o json`]);
  });

  it('of a Service is the backend that is followed', async () => {
    const { asked } = await trace(`trace shop/client 10.96.0.10 --backend ${far}:8080 -o json`);
    expect(asked[0]).toContain(`trace ${client} ${far} --protocol tcp --port 8080`);
  });

  it('that is dropped or delivered at the sender has nothing beyond', async () => {
    for (const outcome of ['dropped', 'delivered', 'unknown'] as const) {
      const sender: Step[] = [{ kind: 'end', where: 'up0', what: 'it ends', outcome }];
      expect(await trace(pods, { sender })).toMatchObject({ beyond: [], asked: [] });
    }
  });

  it('hides nothing that an older agent on the sending node says', async () => {
    const sender: Step[] = [{ kind: 'end', where: 'up0', what: 'leaves for the node 10.0.0.2' }];
    expect((await trace(pods, { sender })).steps).toEqual(sender);
  });
});

describe('a pod on a node that is off', () => {
  const off = { status: 'Unknown', lastTransitionTime: '2026-11-25T11:55:00Z' };
  const cure =
    'nothing arrives there while its machine is off or cut off: start two, or mend its network; kubectl describe node two';

  it('does not end happily at the tunnel, and is not waited for', async () => {
    const { beyond, asked } = await trace(pods, { kinds: { nodes: [machine('one'), machine('two', off)] } });
    expect(beyond).toEqual([
      { kind: 'node', where: two, node: 'two', what: `two does not answer: it is NotReady for 5 min; ${cure}` },
    ]);
    expect(asked).toEqual([]);
  });

  it('is said to be silent by its Lease before the control plane notices', async () => {
    const leases = [lease('one', '2026-11-25T11:59:58.000000Z'), lease('two', '2026-11-25T11:59:29.000000Z')];
    const { beyond, asked } = await trace(pods, { kinds: { leases } });
    expect(beyond.map(({ what }) => what)).toEqual([
      `two does not answer: its kubelet has said nothing for 31 s; ${cure}`,
    ]);
    expect(asked).toEqual([]);
  });

  it('is known by its Node where Leases may not be read', async () => {
    const leases = refused('list', 'leases');
    const nodes = [machine('one'), machine('two', off)];
    expect((await trace(pods, { kinds: { leases, nodes } })).beyond[0]?.what).toContain(
      'does not answer: it is NotReady',
    );
    expect(kindsOf((await trace(pods, { kinds: { leases } })).beyond)).toBe('node arrival end');
  });

  it('is gone where it has no Node any more', async () => {
    const { beyond } = await trace(pods, { kinds: { nodes: [machine('one')] } });
    expect(beyond.at(-1)?.what).toContain('two does not answer: its Node object is gone');
  });

  it('is known by what the controller says of it where nodes may not be read', async () => {
    const silent = { ...condition('DatapathReady', 'True', 'the node is NotReady'), status: 'Unknown' };
    const nodeendpoints = [endpoint('one', one), endpoint('two', two, silent)];
    const { beyond } = await trace(pods, { kinds: { nodes: refused('get', 'nodes'), nodeendpoints } });
    expect(beyond.at(-1)?.what).toBe(`two does not answer: the node is NotReady; ${cure}`);
  });

  it('is known by its kubelet, which the API server cannot dial, where nobody says so yet', async () => {
    const said = 'error dialing backend: dial tcp 10.0.0.2:10250: connect: no route to host';
    const receiver: Exec = () => Promise.reject(new KubeError('unknown', { verb: 'exec in', target: 'pod a' }, said));
    const { beyond } = await trace(pods, { receiver, kinds: { nodes: refused('get', 'nodes') } });
    expect(beyond.map(({ what }) => what)).toEqual([
      expect.stringContaining('the kubelet of node two does not answer (10.0.0.2:10250: no route to host)'),
    ]);
  });
});

describe('the receiving half by hand', () => {
  it.each([
    ['--direct', '--direct says how it came from where --arrives-from says; give both, or neither'],
    ['--arrives-from two', "argument 'two' is invalid. give the IPv4 address of the other node, such as 10.29.15.50."],
  ])('is refused where it is half said: %s', async (flags, sentence) => {
    await expect(trace(`trace ${client} ${far} ${flags}`)).rejects.toThrow(sentence);
  });
});

describe('the cure', () => {
  it('is about the cluster that was asked', async () => {
    const { beyond } = await trace(`${pods} --context lab`, { kinds: { nodes: [machine('one')] } });
    expect(beyond.at(-1)?.what).toMatch(/; kubectl --context lab describe node two$/);
  });
});

describe('a pod on a node that is amiss but answers', () => {
  it('is followed, and what is amiss comes last', async () => {
    const unready = { status: 'False', lastTransitionTime: '2026-11-25T11:55:00Z', message: 'disk pressure' };
    const { beyond } = await trace(pods, { kinds: { nodes: [machine('one'), machine('two', unready)] } });
    expect(kindsOf(beyond)).toBe('node arrival end node');
    expect(beyond.at(-1)?.what).toBe('two is NotReady for 5 min: disk pressure; kubectl describe node two');
    const nodeendpoints = [
      endpoint('one', one),
      endpoint('two', two, condition('DatapathReady', 'False', 'no device')),
    ];
    expect((await trace(pods, { kinds: { nodeendpoints } })).beyond.at(-1)?.what).toBe(
      'two: no device; kubectl describe nodeendpoint two',
    );
  });
});

describe('what may not be asked of the receiving node', () => {
  const unasked = (who: string, why: string) =>
    `what ${who} does with it was not to be asked: ${why}; on ${who}: ${words}`;

  it('is said with the command for that node, where this account may not exec', async () => {
    const receiver: Exec = () => Promise.reject(refused('create', 'pods/exec'));
    const { beyond } = await trace(pods, { receiver, kinds: { nodes: refused('get', 'nodes') } });
    const cure = 'have it granted, or name another account by --context or --kubeconfig';
    expect(beyond.map(({ what }) => what)).toEqual([
      unasked('two', `jane may not create pods/exec: ${cure}`),
      `whether two is on was not to be asked: jane may not get nodes: ${cure}`,
    ]);
  });

  it('is said in the words of an agent there that is of another build', async () => {
    const receiver: Exec = async (_target, _command, { stderr }) => {
      stderr("fast-ctl: unknown option '--arrives-from'\n(run it with --help to see how it is used)\n");
      return 1;
    };
    const { beyond } = await trace(pods, { receiver });
    expect(beyond.map(({ what }) => what)).toEqual([
      unasked('two', "its fast-ctl says: unknown option '--arrives-from'"),
    ]);
  });

  it('is said in an agent’s pod, whose account runs nothing elsewhere', async () => {
    const { beyond, asked } = await trace(pods, { given: { usesPodAccount: () => true } });
    expect(beyond[0]?.what).toContain("what two does with it was not to be asked: a pod's account runs nothing");
    expect(asked).toEqual([]);
  });

  it('is no answer to who has ended it by Ctrl-C', async () => {
    const stop = new AbortController();
    const receiver: Exec = async () => {
      stop.abort();
      return 130;
    };
    const ended = await trace(pods, { receiver, given: { stopped: stop.signal } }).catch((error: unknown) => error);
    expect(ended).toMatchObject({ message: '130 ' });
  });

  it('is said where no record of the node may be read', async () => {
    const { beyond } = await trace(pods, { kinds: { nodeendpoints: refused('list', 'nodeendpoints') } });
    expect(beyond.map(({ what }) => what)).toEqual([
      expect.stringContaining('what that node does with it was not to be asked: jane may not list nodeendpoints'),
    ]);
  });
});

describe('the table of a trace', () => {
  const receiver: Exec = () => Promise.reject(refused('create', 'pods/exec'));
  const table = async (line: string, terminalWidth?: number): Promise<string[]> =>
    (await trace(line, { receiver, given: { terminalWidth } })).stdout.trimEnd().split('\n');

  it('does not break its columns on a terminal of 80 characters, and no command', async () => {
    const lines = await table('trace shop/client shop/web', 80);
    expect(lines).toEqual([
      'STEP   WHERE      WHAT',
      'pod    fast0      the pod',
      'end    up0        leaves',
      'node   10.0.0.2   what two does with it was not to be asked: jane may not create',
      '                  pods/exec: have it granted, or name another account by',
      '                  --context or --kubeconfig; on two:',
      `                  ${words}`,
    ]);
  });

  it('breaks no command that names its cluster, and none for the shell of a node', async () => {
    const kinds = { nodes: [machine('one')] };
    const given = { terminalWidth: 80 };
    const { stdout } = await trace('trace shop/client shop/web --context lab --kubeconfig /tmp/k', { kinds, given });
    expect(stdout).toContain(' kubectl --kubeconfig /tmp/k --context lab describe node two\n');
    const { stdout: port } = await trace(`trace shop/client ${two} --protocol udp --port 50001`, {
      sender: toTwo,
      given,
    });
    expect(port).toMatch(/ ss -ln -u sport = 50001\n/);
  });

  it('has a line for each step where a program or a person who wants it wide reads it', async () => {
    expect(await table('trace shop/client shop/web')).toHaveLength(4);
    expect(await table('trace shop/client shop/web -o wide', 80)).toHaveLength(4);
  });

  it('is left to a terminal that is too narrow for it', async () => {
    expect(await table('trace shop/client shop/web', 40)).toHaveLength(4);
  });
});
