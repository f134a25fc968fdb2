// SPDX-License-Identifier: Apache-2.0
// How the controller learns which addresses are of Services, and what it makes of an API server that does not tell.
import { describe, expect, it } from 'vitest';
import { formatRange } from '../../src/ip/range.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { silentLog } from '../../src/kube/log.ts';
import { ServicesReader, type ServicesReaderWorld } from '../../src/operator/services-reader.ts';

/** What is told after a look at an API server that answers so. */
async function look(answer: string[][] | 'notFound' | 'forbidden' | 'timeout'): Promise<string[]> {
  const told: string[] = [];
  const list = () =>
    typeof answer === 'string'
      ? Promise.reject(new KubeError(answer, { verb: 'list', target: 'servicecidrs' }, 'no'))
      : Promise.resolve({ items: answer.map((cidrs) => ({ metadata: {}, spec: { cidrs } })), resourceVersion: '1' });
  const ranges = new ServicesReader({
    client: { list } as unknown as ServicesReaderWorld['client'],
    kubernetes: '10.96.0.1',
    tell: ({ addresses, isWhole }) => {
      told.push(`${addresses.ranges.map(formatRange).join(' ')} ${isWhole ? 'whole' : 'hint'}`);
    },
    log: silentLog,
  });
  const { outcome } = await ranges.reconcile(new AbortController().signal);
  return [...told, outcome];
}

describe('the range of Services', () => {
  it('is that of all ServiceCIDRs, of IPv4', async () => {
    const answer = [['10.96.0.0/16', 'fd00::/112'], ['10.100.0.0/24']];
    expect(await look(answer)).toEqual(['10.96.0.0-10.96.255.255 10.100.0.0-10.100.0.255 whole', 'retryAfter']);
  });

  it.each(['notFound', 'forbidden'] as const)(
    'is no error where the API server answers %s, and the Service kubernetes is all that is known of it',
    async (answer) => expect(await look(answer)).toEqual(['10.96.0.1 hint', 'retryAfter']),
  );

  it('is not known yet where the API server has made no ServiceCIDR so far', async () => {
    expect(await look([])).toEqual(['10.96.0.1 hint', 'retryAfter']);
  });

  it('stays what it was while the API server gives no answer', async () => {
    await expect(look('timeout')).rejects.toThrow('cannot list servicecidrs');
  });
});
