// SPDX-License-Identifier: Apache-2.0
// What the API server itself refuses in an Ips, in words that name the value and the cure. The parser in src/ip agrees.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ips } from '../../src/api/generated/ips.ts';
import { apiVersion } from '../../src/api/names.ts';
import { connect } from '../../src/kube/client.ts';
import type { KubeError, StatusCause } from '../../src/kube/errors.ts';
import { poolKind } from '../../src/operator/kinds.ts';
import { type ParsedPool, parsePool } from '../../src/reconcilers/pool.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';
import { type OddPool, oddPools } from '../pure/odd-pools.ts';

const crds = join(fileURLToPath(new URL('../..', import.meta.url)), 'crds');

const refused: Array<[subnet: string, ips: string, because: string]> = [
  ['10.244.0.1/0', '10.244.10.0', '"10.244.0.1/0" has prefix length 0, which no pod can get; write one from 1 to 32'],
  ['0.0.0.0/0', '10.244.10.0', '"0.0.0.0/0" has prefix length 0, which no pod can get'],
  ['10.244.0.1/33', '10.244.10.0', '"10.244.0.1/33" is no IPv4 gateway with prefix length'],
  ['10.244.0.1', '10.244.10.0', '"10.244.0.1" is no IPv4 gateway with prefix length'],
  ['10.244.0.0/24', '10.244.0.7', '"10.244.0.0/24" is the subnet itself'],
  ['10.244.0.255/24', '10.244.0.7', '"10.244.0.255/24" is the subnet\'s broadcast'],
  ['127.255.255.255/1', '10.244.0.7', '"127.255.255.255/1" is the subnet\'s broadcast'],
  ['10.244.0.3/30', '10.244.0.1', '"10.244.0.3/30" is the subnet\'s broadcast'],
  ['0.0.0.0/32', '10.244.0.7', '"0.0.0.0/32" has a gateway that no pod can reach'],
  ['127.0.0.1/32', '10.244.0.7', '"127.0.0.1/32" has a gateway that no pod can reach'],
  ['224.0.0.1/32', '10.244.0.7', '"224.0.0.1/32" has a gateway that no pod can reach'],
  ['255.255.255.255/32', '10.244.0.7', '"255.255.255.255/32" has a gateway that no pod can reach'],
  ['10.244.0.1/24', '10.244.1.7', '"10.244.1.7" is not inside the subnet 10.244.0.1/24'],
  ['10.244.0.1/32', '10.244.20.7/24', '"10.244.20.7/24" has bits set behind its prefix; write '],
  ['10.244.0.1/32', '10.244.20.7/24', ', or 10.244.20.7 for the one address'],
  ['10.244.0.1/32', '10.244.20.300/24', '"10.244.20.300/24" is no IPv4'],
  ['10.244.0.1/32', '10.244.10.9-10.244.10.1', '"10.244.10.9-10.244.10.1" is reversed'],
  ['10.244.0.1/32', '0.0.0.0/0', '"0.0.0.0/0" holds addresses that no pod can have'],
  ['10.244.0.1/32', '126.0.0.0-128.0.0.0', '"126.0.0.0-128.0.0.0" holds addresses that no pod can have'],
  ['10.244.0.1/32', '127.0.0.1', '"127.0.0.1" holds addresses that no pod can have'],
  ['10.244.0.1/32', '223.255.255.0-224.0.0.1', '"223.255.255.0-224.0.0.1" holds addresses that no pod can have'],
];
const accepted: Array<[subnet: string, ips: string]> = [
  ['10.244.0.1/32', '10.244.10.0-10.244.90.0'],
  ['10.244.0.1/1', '10.244.10.0'],
  ['10.244.0.1/24', '10.244.0.0/24'],
  ['10.244.0.0/31', '10.244.0.1'],
  ['10.244.0.1/31', '10.244.0.0'],
  ['10.244.0.255/32', '10.244.0.7'],
  ['10.244.0.255/23', '10.244.0.7'],
  ['169.254.1.1/32', '10.244.0.7'],
  ['10.244.0.0/32', '10.0.0.0/8'],
  ['223.255.255.1/32', '223.255.255.0/24'],
  ['10.244.0.1/32', '1.0.0.0-126.255.255.255'],
];

describe('a pool', () => {
  let server: ApiServer;
  let made = 0;
  const create = async (subnet: string, ips: string) => {
    made += 1;
    const pool = { apiVersion, kind: 'Ips', metadata: { name: `pool-${made}` }, spec: { subnet, ips: [ips] } };
    return await server.kubectl(['create', '-f', '-'], JSON.stringify(pool));
  };
  beforeAll(async () => {
    server = await startApiServer();
    expect((await server.kubectl(['apply', '-k', crds])).stderr).toBe('');
    await server.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all']);
  }, 120_000);
  afterAll(() => server?.stop());

  it.each(refused)('of subnet %s with %s is refused: %s', async (subnet, ips, because) => {
    const { code, stderr } = await create(subnet, ips);
    expect(stderr).toContain(because);
    expect(code).not.toBe(0);
    const parsed = parsePool({ metadata: { name: 'pool' }, spec: { subnet, ips: [ips] } });
    expect(parsed).toMatchObject({ kind: 'problem', problem: { message: expect.stringContaining(because) } });
  });

  it.each(accepted)('of subnet %s with %s is taken', async (subnet, ips) => {
    expect(await create(subnet, ips)).toMatchObject({ code: 0 });
    expect(parsePool({ metadata: { name: 'pool' }, spec: { subnet, ips: [ips] } }).kind).toBe('pool');
  });

  it('may have 256 ranges and leave out as many, within what the API server spends on rules', async () => {
    const ips = Array.from({ length: 256 }, (_, index) => `100.100.${index}.100-100.100.${index}.200`);
    const spec = { subnet: '100.0.0.1/8', ips, excludeIPs: ips.map((range) => range.split('-')[0]) };
    const pool = { apiVersion, kind: 'Ips', metadata: { name: 'wide' }, spec };
    expect((await server.kubectl(['create', '-f', '-'], JSON.stringify(pool))).stderr).toBe('');
  });

  it('written at random is judged by the API server as by the parser, 500 malformed ones, field and value named', async () => {
    const client = connect({ fieldManager: 'fuzz', kubeconfig: server.kubeconfig });
    const differing: string[] = [];
    let malformed = 0;
    for (const [index, odd] of fc.sample(oddPools, { numRuns: 1_500, seed: 20_260 }).entries()) {
      if (malformed >= 500) break;
      const { subnet, ips, excludeIPs } = odd;
      const pool = { apiVersion, kind: 'Ips', metadata: { name: `odd-${index}` }, spec: { subnet, ips, excludeIPs } };
      const parsed = parsePool(pool as Ips);
      if (parsed.kind === 'problem') malformed += 1;
      const said = await client.create(poolKind, pool as Ips).then(
        () => [],
        (error: unknown) => (error as KubeError).causes,
      );
      const difference = differenceOf(odd, parsed, said);
      if (difference !== undefined) differing.push(`${JSON.stringify(pool.spec)}: ${difference}`);
    }
    await client.close();
    expect(differing).toEqual([]);
    expect(malformed).toBe(500);
  });
});

/** Where the API server's word is another than the parser's. A text that is too long it names by its field alone. */
function differenceOf(odd: OddPool, parsed: ParsedPool, said: readonly StatusCause[]): string | undefined {
  if (parsed.kind === 'pool') return said.length === 0 ? undefined : `refused for ${JSON.stringify(said)}`;
  const { field, message } = parsed.problem;
  if (said.length === 0) return `taken, though ${message}`;
  const cause = said.find((each) => each.field !== undefined && field.startsWith(each.field));
  if (cause === undefined) return `${message}, and it names ${said.map((each) => each.field).join()}`;
  const [, name = '', index = '0'] = /^spec\.(\w+)(?:\[(\d+)\])?$/.exec(field) ?? [];
  const value = name === 'subnet' ? odd.subnet : odd[name as 'ips' | 'excludeIPs'][Number(index)];
  const spellings = [value ?? '', JSON.stringify(value).slice(1, -1)];
  const isNamed = spellings.some((each) => cause.message?.includes(each) === true);
  return isNamed || cause.reason === 'FieldValueTooLong' ? undefined : `${message}, and it says ${cause.message}`;
}
