// SPDX-License-Identifier: Apache-2.0
// What fast-ctl trace says of a node's own address: who has the port there.
import { describe, expect, it } from 'vitest';
import { machine } from './cluster-view.ts';
import { far, type Fields, one, refused, toOne, toTwo, trace, two, type World } from './trace-world.ts';

describe('a node’s own address', () => {
  const line = `trace shop/client ${two} --port 8080 -o json`;
  const pod = (name: string, ports: object[], more: Fields = {}, status: Fields = {}) => ({
    metadata: { name, namespace: 'shop' },
    spec: { nodeName: 'two', containers: [{ name: 'c' }, { name: 'd', ports }], ...more },
    status: { phase: 'Running', podIP: far, ...status },
  });
  const web = pod('web', [{ containerPort: 80, hostPort: 8080 }]);
  const decides = 'it leaves to node two; what that does with port 8080/TCP is decided there: ';
  const said = async (kinds: World['kinds'], sender = toTwo, asked = line): Promise<string[]> =>
    (await trace(asked, { sender, ...(kinds === undefined ? {} : { kinds }) })).beyond.map(({ what }) => what);

  it('names the pod that has its port as a hostPort, instead of stopping at the sender', async () => {
    expect(await said({ pods: [web] })).toEqual([
      `${decides}it is a hostPort of pod shop/web by portmap, which hands it to ${far}:80`,
    ]);
  });

  it.each([
    ['another protocol', pod('web', [{ containerPort: 80, hostPort: 8080, protocol: 'UDP' }])],
    ['another address', pod('web', [{ containerPort: 80, hostPort: 8080, hostIP: '127.0.0.1' }])],
    ['another port', pod('web', [{ containerPort: 8080, hostPort: 80 }])],
    ['a pod that has ended', pod('web', [{ containerPort: 80, hostPort: 8080 }], {}, { phase: 'Succeeded' })],
  ])('takes no hostPort of %s for it', async (_what, other) => {
    expect(await said({ pods: [other] })).toEqual([
      `${decides}it is neither a hostPort of one of its pods nor a NodePort: a process of the machine answers, or nobody;` +
        ' there: ss -ln -t sport = 8080',
    ]);
  });

  it('names a pod of the node’s own network, one that does not run, and a NodePort’s Service', async () => {
    const ports = [{ containerPort: 8080, hostPort: 8080, hostIP: two }];
    expect(await said({ pods: [pod('exporter', ports, { hostNetwork: true })] })).toEqual([
      `${decides}pod shop/exporter of the node's own network is to listen there`,
    ]);
    expect(await said({ pods: [pod('new', ports, {}, { phase: 'Pending', podIP: undefined })] })).toEqual([
      `${decides}it is a hostPort of pod shop/new by portmap, which is Pending`,
    ]);
    const services = [
      {
        metadata: { name: 'web', namespace: 'shop' },
        spec: { clusterIP: '10.96.0.10', ports: [{ port: 80, nodePort: 8080 }] },
      },
    ];
    expect(await said({ services })).toEqual([
      `${decides}it is a NodePort of Service shop/web: kube-proxy there rewrites it to one of its backends`,
    ]);
  });

  it('says what it may be where pods may not be read', async () => {
    expect(await said({ pods: refused('list', 'pods') })).toEqual([
      `${decides}a process of the machine, a hostPort by portmap, or a NodePort by kube-proxy; which was not to be asked: ` +
        'jane may not list pods: have it granted, or name another account by --context or --kubeconfig',
    ]);
  });

  it('is answered by the same where it is the sender’s own node', async () => {
    const own = `trace shop/client ${one} --port 8080 -o json`;
    expect(await said({ pods: [web] }, toOne, own)).toEqual([
      expect.stringMatching(
        /^this node one; what that does with port 8080\/TCP is decided there: it is a hostPort of pod/,
      ),
    ]);
  });

  it('that is off is said to be', async () => {
    const nodes = [machine('one'), machine('two', { status: 'Unknown' })];
    expect((await said({ pods: [web], nodes })).at(-1)).toContain('two does not answer: it is NotReady');
  });

  it('says that whether the node is on was not to be asked', async () => {
    expect((await said({ pods: [web], nodes: refused('get', 'nodes') })).at(-1)).toMatch(
      /^whether two is on was not to be asked: jane may not get nodes/,
    );
  });

  it('is no port’s for an echo request', async () => {
    expect(await said({ pods: [web] }, toTwo, `trace shop/client ${two} --protocol icmp -o json`)).toEqual([
      'it leaves to node two; what that does with an echo request is decided there: its own stack answers',
    ]);
  });

  it('is nobody’s business where it is no node’s, and doubtful where nobody may say', async () => {
    const out = 'trace shop/client 192.0.2.1 -o json';
    expect(await said({}, toTwo, out)).toEqual([]);
    expect((await said({ nodeendpoints: refused('list', 'nodeendpoints') }, toTwo, out))[0]).toMatch(
      /^whether it is a node's was not to be asked: jane may not list nodeendpoints/,
    );
  });
});
