// SPDX-License-Identifier: Apache-2.0
// config/policy on a real API server: a pod whose bandwidth limit containerd cannot read is refused, since it could neither
// start nor be deleted.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';
import { eventually } from './hollow-cluster.ts';

let server: ApiServer;
const ingress = 'kubernetes.io/ingress-bandwidth';
const egress = 'kubernetes.io/egress-bandwidth';

beforeAll(async () => {
  server = await startApiServer();
  expect(await server.kubectl(['apply', '-k', join(root, 'config/policy')])).toMatchObject({ code: 0, stderr: '' });
  await inForce();
}, 120_000);
afterAll(async () => await server?.stop());

const podWith = (annotations: object, spec: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'limited', namespace: 'default', annotations },
  spec: { containers: [{ name: 'a', image: 'a' }], ...spec },
});

/** The API server sees a new policy within a second or so. */
const inForce = () =>
  eventually('the policy', async () => (await refusalOf(podWith({ [ingress]: 'x' }))).includes('fast-pods'));

/** What the API server says; empty where it takes the pod. */
async function refusalOf(pod: object): Promise<string> {
  return (await server.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(pod))).stderr;
}

describe('a pod that could neither start nor be deleted for its bandwidth annotation', () => {
  it('is refused with field, value and cure', async () => {
    expect(await refusalOf(podWith({ [ingress]: '10Mbps', [egress]: '10M' }))).toMatch(
      /denied request: metadata\.annotations\["kubernetes\.io\/ingress-bandwidth"\] is "10Mbps", which the container runtime cannot read: the pod could never start, nor be deleted with containerd 1\.6; write bits per second from 1k to 1P, such as 10M\n$/,
    );
    expect(await refusalOf(podWith({ [ingress]: '100', [egress]: '' }))).toContain(
      'ingress-bandwidth"] is "100", metadata.annotations["kubernetes.io/egress-bandwidth"] is "", which',
    );
  });

  /** What containerd's parser makes of each: ParseQuantity of k8s.io/apimachinery 0.35, then Value() from 1k to 1P. */
  const parsed: Array<[string, boolean]> = [
    ['', false],
    [' 10M', false],
    ['10M ', false],
    ['10M\n', false],
    ['10Mbps', false],
    ['10mb', false],
    ['1K', false],
    ['M', false],
    ['1e', false],
    ['0x10', false],
    ['1,5M', false],
    ['NaN', false],
    ['-10M', false],
    ['+-1M', false],
    ['0', false],
    ['100', false],
    ['10m', false],
    ['999', false],
    ['999000m', false],
    ['999001m', true],
    ['999.5', true],
    ['1k', true],
    ['1Ki', true],
    ['1e3', true],
    ['1e6', true],
    ['1e+6', true],
    ['+10M', true],
    ['.5M', true],
    ['1.5G', true],
    ['999000001u', true],
    ['1P', true],
    ['1e15', true],
    ['1000000000000000.5', false],
    ['1000000000000001', false],
    ['1Pi', false],
    ['1E', false],
    ['1e400', false],
    ['9999999999999999999P', false],
    ['x'.repeat(9000), false],
  ];
  it('is refused where containerd cannot read the value, and nowhere else', async () => {
    const said: Array<[string, boolean]> = [];
    for (const [value] of parsed) said.push([value, (await refusalOf(podWith({ [egress]: value }))) === '']);
    expect(said).toEqual(parsed);
  });

  it('is taken where no plugin is called for it, or where it runs by a file of its node', async () => {
    expect(await refusalOf(podWith({ [ingress]: '10Mbps' }, { hostNetwork: true }))).toBe('');
    const mirror = podWith({ [ingress]: '10Mbps', 'kubernetes.io/config.mirror': 'u' });
    // Only a kubelet may make one; the API server's other words are not ours.
    expect(await refusalOf(mirror)).not.toContain('fast-pods');
    expect(await refusalOf(podWith({ other: '10Mbps' }))).toBe('');
  });

  it('that is there already can be changed and deleted, and gets no other such value', async () => {
    const binding = ['validatingadmissionpolicybinding', 'fast-pods'];
    await server.kubectl(['delete', ...binding]);
    const make = () => server.kubectl(['create', '-f', '-'], JSON.stringify(podWith({ [ingress]: '10Mbps' })));
    await expect.poll(async () => (await make()).code, { timeout: 20_000 }).toBe(0);
    await server.kubectl(['apply', '-k', join(root, 'config/policy')]);
    await inForce();
    const annotate = (word: string) => server.kubectl(['annotate', '--overwrite', 'pod', 'limited', word]);
    expect((await annotate(`${egress}=5Mbps`)).stderr).toContain('"5Mbps"');
    expect((await annotate(`${ingress}=11Mbps`)).stderr).toContain('"11Mbps"');
    expect(await annotate('team=blue')).toMatchObject({ code: 0 });
    expect(await annotate(`${egress}=5M`)).toMatchObject({ code: 0 });
    expect(await server.kubectl(['delete', 'pod', 'limited', '--grace-period=0', '--force'])).toMatchObject({
      code: 0,
    });
  });
});
