// SPDX-License-Identifier: Apache-2.0
// Who is reached without a tunnel: a pair decides together, by what both say of themselves.
import { describe, expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { wayTo } from '../../src/datapath/way.ts';
import { parseRange } from '../../src/ip/range.ts';

const network = [parseRange('172.30.0.0/24')];
const other = (tunnelAddress: string, listens?: 'True' | 'False'): NodeEndpoint => ({
  metadata: { name: 'south' },
  spec: { nodeUID: 'south', tunnelAddress },
  ...(listens === undefined
    ? {}
    : {
        status: {
          conditions: [
            {
              type: 'DirectPath',
              status: listens,
              reason: 'x',
              message: '',
              lastTransitionTime: '2026-01-01T00:00:00Z',
            },
          ],
        },
      }),
});

describe('the way to another node', () => {
  it.each([
    ['one in the same network that listens', other('172.30.0.2', 'True'), 'direct', { direct: true, adjacent: true }],
    ['one that does not listen yet', other('172.30.0.2', 'False'), 'direct', { direct: false, adjacent: true }],
    ['one that says nothing', other('172.30.0.2'), 'direct', { direct: false, adjacent: true }],
    ['one of another network', other('172.31.0.2', 'True'), 'direct', { direct: false, adjacent: false }],
    ['anyone in mode tunnel', other('172.30.0.2', 'True'), 'tunnel', { direct: false, adjacent: true }],
    ['one without a proper address', other('nowhere', 'True'), 'direct', { direct: false, adjacent: false }],
  ] as const)('to %s', (_, endpoint, mode, way) => {
    expect(wayTo(endpoint, mode, network)).toEqual(way);
  });

  it('is the tunnel for a node that stands in no network, as with a /32', () => {
    expect(wayTo(other('172.30.0.2', 'True'), 'direct', [])).toEqual({ direct: false, adjacent: false });
  });
});
