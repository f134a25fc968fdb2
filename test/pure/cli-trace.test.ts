// SPDX-License-Identifier: Apache-2.0
// fast-ctl trace to a Service: what it says of kube-proxy's rewriting by what the API server has, and which backend it follows.
import { describe, expect, it } from 'vitest';
import { type Masquerading, masqueradingOf } from '../../src/cli/masquerade-rules.ts';
import type { Step } from '../../src/cli/trace-steps.ts';
import { fastCtl, type Shown } from './cli-shell.ts';

const record = {
  spec: {
    owner: { kind: 'Pod', namespace: 'shop', name: 'client' },
    state: 'Bound',
    address: '10.244.10.0',
    nodeName: 'one',
  },
};

type Fields = Record<string, unknown>;

function service(spec: Fields = {}): object {
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
  return { metadata: { namespace: 'shop', name: 'web' }, spec: { clusterIP: '10.96.0.10', ports, ...spec } };
}

function endpoint(address: string, nodeName: string, conditions: Fields = { ready: true }): object {
  const targetRef = { kind: 'Pod', namespace: 'shop', name: `web-${nodeName}` };
  return { addresses: [address], nodeName, conditions, targetRef };
}

function slice(...endpoints: object[]): object {
  return { addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }], endpoints };
}

const far = endpoint('10.244.10.9', 'two');
const near = endpoint('10.244.10.10', 'one');

/** What the node answers, whatever it is asked. */
const answer: Step[] = [
  { kind: 'pod', where: 'fast0', what: 'the pod' },
  { kind: 'program', where: 'fast0 ingress', what: 'from_pod: next' },
  { kind: 'netfilter', where: 'the stack', what: 'rewrites' },
  { kind: 'masquerade', where: 'table ip fast', what: 'of the node' },
  { kind: 'end', where: 'up0', what: 'leaves by the stack' },
];

interface World {
  readonly services?: object[] | Error;
  readonly slices?: object[] | Error;
  readonly ranges?: object[];
}

async function trace(line: string, world: World = {}): Promise<Shown & { steps: Step[]; asked: string[] }> {
  const { services = [service()], slices = [slice(far, near)], ranges = [] } = world;
  const kinds: Record<string, object[] | Error> = {
    pods: [{ metadata: { name: 'agent-1' }, status: { phase: 'Running' } }],
    ipallocations: [record],
    services,
    endpointslices: slices,
    servicecidrs: ranges,
  };
  const asked: string[] = [];
  const give = (plural: string): object[] => {
    const items = kinds[plural] ?? [];
    if (items instanceof Error) throw items;
    return items;
  };
  const cluster = {
    list: async ({ plural }: { plural: string }) => ({ items: give(plural) }),
    find: async ({ plural }: { plural: string }, name: string) =>
      give(plural).find((one) => (one as { metadata: { name: string } }).metadata.name === name),
    exec: async (_target: object, command: string[], { stdout }: { stdout: (text: string) => void }) => {
      asked.push(command.join(' '));
      stdout(JSON.stringify(answer));
      return 0;
    },
  };
  const shown = await fastCtl(`${line} -o json`, { cluster: async () => cluster as never });
  return { ...shown, steps: shown.code === 0 ? (JSON.parse(shown.stdout) as Step[]) : [], asked };
}

const kindsOf = (steps: readonly Step[]): string => steps.map(({ kind }) => kind).join(' ');
const said = (steps: readonly Step[]): string[] =>
  steps.filter(({ where }) => where === 'kube-proxy').map(({ what }) => what);

describe('fast-ctl trace to a Service', () => {
  it.each(['shop/web', 'shop/svc/web', 'shop/service/web', '10.96.0.10'])(
    'by %s says that it is rewritten, to which backends, and follows one',
    async (destination) => {
      const { steps, asked } = await trace(`trace shop/client ${destination}`);
      expect(kindsOf(steps)).toBe('pod program netfilter service service masquerade end');
      expect(said(steps)).toEqual([
        '10.96.0.10:80/TCP is Service shop/web: rewritten to one of 2 ready backends: ' +
          '10.244.10.9:8080 (pod shop/web-two on two), 10.244.10.10:8080 (pod shop/web-one on one)',
        'followed from here on: 10.244.10.9:8080 (pod shop/web-two on two); ' +
          'for another run it again with --backend 10.244.10.10:8080',
      ]);
      expect(steps[3]).toMatchObject({
        service: { namespace: 'shop', name: 'web', port: 80 },
        backends: [{ address: '10.244.10.9', port: 8080, pod: 'shop/web-two', node: 'two' }, { node: 'one' }],
      });
      expect(asked[0]).toMatch(
        /^fast-ctl trace 10\.244\.10\.0 10\.96\.0\.10 .*--port 80 .*--backend 10\.244\.10\.9:8080$/,
      );
    },
  );

  it.each(['10.244.10.10', '10.244.10.10:8080', 'shop/web-one'])('follows the backend %s', async (backend) => {
    const { asked } = await trace(`trace shop/client shop/web --backend ${backend}`);
    expect(asked[0]).toContain('--backend 10.244.10.10:8080');
  });

  it('refuses a backend that the Service does not have, and names those that it has', async () => {
    const { code, stderr } = await trace('trace shop/client shop/web --backend 10.244.10.77');
    expect(code).toBe(1);
    expect(stderr).toContain(
      '--backend is "10.244.10.77", which is no ready backend of Service shop/web; they are 10.244',
    );
  });

  it('ends where no backend is ready, instead of letting the packet leave', async () => {
    const unready = { ready: false, serving: false, terminating: false };
    const { steps } = await trace('trace shop/client shop/web', {
      slices: [slice(endpoint('10.244.10.9', 'two', unready))],
    });
    expect(kindsOf(steps)).toBe('pod program netfilter end');
    expect(steps.at(-1)?.what).toContain('rewritten to nothing: no backend is ready; kube-proxy refuses the flow');
  });

  it('takes those that end but serve where none is ready, as kube-proxy does', async () => {
    const ending = endpoint('10.244.10.9', 'two', { ready: false, serving: true, terminating: true });
    const { asked } = await trace('trace shop/client shop/web', { slices: [slice(ending)] });
    expect(asked[0]).toContain('--backend 10.244.10.9:8080');
  });

  it("takes the endpoints of the sender's node alone where the Service says so", async () => {
    const { steps, asked } = await trace('trace shop/client shop/web', {
      services: [service({ internalTrafficPolicy: 'Local' })],
    });
    expect(asked[0]).toContain('--backend 10.244.10.10:8080');
    expect(said(steps)[0]).toContain(
      'rewritten to its one ready backend on its own node (internalTrafficPolicy Local)',
    );
  });

  it('says what to run where this account may not see the backends', async () => {
    const slices = new Error('endpointslices is forbidden');
    const { steps } = await trace('trace shop/client shop/web', { slices });
    expect(kindsOf(steps)).toBe('pod program netfilter service end');
    expect(steps[3]?.what).toContain('rewritten to one of its backends, which were not to be seen: endpointslices is');
    expect(steps.at(-1)?.what).toContain('run it again with --backend ADDRESS:PORT');
    const given = await trace('trace shop/client shop/web --backend 10.244.10.9:8080', { slices });
    expect(kindsOf(given.steps)).toBe('pod program netfilter service masquerade end');
  });

  it('says that it could not ask whether an address is a Service’s, and goes on as sent', async () => {
    const { steps } = await trace('trace shop/client 10.96.0.10', { services: new Error('services is forbidden') });
    expect(kindsOf(steps)).toBe('pod program netfilter service masquerade end');
    expect(said(steps)[0]).toContain(
      "whether 10.96.0.10 is a Service's was not to be asked: services is forbidden; name",
    );
  });

  it('says that a port or protocol is none of the Service’s, which is not rewritten', async () => {
    const { steps, asked } = await trace('trace shop/client shop/web --port 81');
    expect(said(steps)).toEqual([
      '10.96.0.10 is Service shop/web, which has no 81/TCP: nothing is rewritten; its ports are 80/TCP',
    ]);
    expect(asked[0]).not.toContain('--backend');
  });

  it.each([
    [
      'shop/web',
      { clusterIP: 'None' },
      'Service shop/web has no address of its own; trace to one of its pods: kubectl get',
    ],
    [
      'shop/web',
      { type: 'ExternalName', externalName: 'db.example.com' },
      "Service shop/web is of type ExternalName: a name in DNS for db.example.com, without an address of its own; trace to one of db.example.com's addresses: getent hosts db.example.com\n",
    ],
    [
      'shop/svc/web',
      { type: 'ExternalName', externalName: 'db.data.svc.cluster.local' },
      'a name in DNS for db.data.svc.cluster.local, without an address of its own; trace to data/svc/db\n',
    ],
    [
      'shop/nothing',
      {},
      'no pod shop/nothing has an address; kubectl get ipallocations; nor is there a Service shop/nothing',
    ],
    ['shop/svc/nothing', {}, 'there is no Service shop/nothing; kubectl get services -n shop'],
  ])('%s is answered by what is wrong', async (destination, spec, sentence) => {
    const { code, stderr } = await trace(`trace shop/client ${destination}`, { services: [service(spec)] });
    expect(code).toBe(1);
    expect(stderr).toContain(sentence);
  });
});

describe('fast-ctl trace of a packet that is dropped', () => {
  it.each([
    ['dropped', 1],
    ['delivered', 0],
  ] as const)('%s on the other node: all steps are shown, and the exit code is %i', async (outcome, code) => {
    const end: Step = { kind: 'end', where: 'fast0', what: outcome, outcome };
    const { stdout, ...shown } = await fastCtl('trace shop/client 10.244.10.99', {
      cluster: async () =>
        ({
          list: async ({ plural }: { plural: string }) => ({
            items:
              plural === 'ipallocations'
                ? [record]
                : plural === 'pods'
                  ? [{ metadata: { name: 'agent-1' }, status: { phase: 'Running' } }]
                  : [],
          }),
          find: async () => undefined,
          exec: async (_target: object, _command: string[], { stdout: tell }: { stdout: (text: string) => void }) => {
            tell(JSON.stringify([end]));
            return code;
          },
        }) as never,
    });
    expect(shown).toEqual({ code, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^STEP .*\\nend +fast0 +${outcome}\\n`));
  });
});

describe('fast-ctl trace to an address of the Services’ range that no Service has', () => {
  const ranges = [{ metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/16', 'fd00::/112'] } }];

  it('says so, and traces no further', async () => {
    const { steps } = await trace('trace shop/client 10.96.7.7', { ranges });
    expect(kindsOf(steps)).toBe('pod program netfilter end');
    expect(steps.at(-1)?.what).toBe(
      '10.96.7.7 is an address for Services, and no Service has it: nothing rewrites it, and nobody answers; kubectl get services -A',
    );
  });

  it.each(['10.97.7.7', '10.96.7.7 --backend 10.244.10.9:80'])('goes on with what is none: %s', async (destination) => {
    const { steps } = await trace(`trace shop/client ${destination}`, { ranges });
    expect(kindsOf(steps)).toBe('pod program netfilter masquerade end');
  });
});

describe('as whom a packet leaves', () => {
  /** As nft 1.1 prints it. */
  const listing = (...rules: string[]): string =>
    [
      'table ip fast {',
      '\tset overlay {',
      '\t\ttype ipv4_addr',
      '\t\tflags interval',
      '\t\telements = { 10.9.9.9, 10.20.0.0/16,',
      '\t\t\t     10.244.10.0-10.244.90.0 }',
      '\t}',
      '',
      '\tset excluded {',
      '\t\ttype ipv4_addr',
      '\t\tflags interval',
      '\t\telements = { 172.30.0.0/24 }',
      '\t}',
      '',
      '\tchain postrouting {',
      '\t\ttype nat hook postrouting priority srcnat + 1; policy accept;',
      ...rules.map((rule) => `\t\t${rule}`),
      '\t}',
      '}',
    ].join('\n');
  const ours = [
    'ip saddr @overlay ip daddr @excluded return',
    'ip saddr @overlay ip daddr != @overlay fib daddr type != local counter masquerade',
    'oifname "fast_vxlan" ip saddr != @overlay counter masquerade',
  ];
  const ask = (text: string, source: string, destination: string): Masquerading['verdict'] =>
    masqueradingOf(text, { source, destination, device: 'up0' }).verdict;

  it.each([
    ['a pod to the outside', '10.244.10.0', '8.8.8.8', 'masqueraded'],
    ['a pod of a pool of one address', '10.9.9.9', '8.8.8.8', 'masqueraded'],
    ['a pod to an excluded destination', '10.244.10.0', '172.30.0.7', 'kept'],
    ['a pod to another pool', '10.244.10.0', '10.20.3.4', 'kept'],
    ['a source of no pool', '10.99.0.1', '8.8.8.8', 'kept'],
  ])('is by the rules of the node: %s', (_what, source, destination, verdict) => {
    expect(ask(listing(...ours), source, destination)).toBe(verdict);
  });

  it('is not said so that it reads as if the address were a pool’s', () => {
    const leaving = { source: '10.244.10.0', destination: '10.29.15.49', device: 'up0' };
    expect(masqueradingOf(listing(...ours), leaving)).toMatchObject({ because: 'no pool has 10.29.15.49' });
  });

  it('is not guessed at behind a rule of somebody else, but known before it', () => {
    expect(ask(listing('meta mark 1 accept', ...ours), '10.244.10.0', '8.8.8.8')).toBe('unknown');
    expect(ask(listing(...ours, 'meta mark 1 accept'), '10.244.10.0', '8.8.8.8')).toBe('masqueraded');
  });

  it('stays what it is where there is no table', () => {
    expect(ask('', '10.244.10.0', '8.8.8.8')).toBe('kept');
  });
});
