// SPDX-License-Identifier: Apache-2.0
// What an agent keeps of what it watches.
import { describe, expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { wayTo } from '../../src/datapath/way.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { stripEndpoint } from '../../src/node/informers.ts';

function endpoint(name: string): NodeEndpoint {
  const metadata = { name, uid: `uid-${name}`, resourceVersion: '7', generation: 3, managedFields: [{ manager: 'm' }] };
  const waiting = [{ uid: 'u', namespace: 'n', name: 'p', reason: 'PoolExhausted', message: 'full' }];
  const tunnel = { nodeUID: `node-${name}`, tunnelAddress: '10.29.15.50', overlayAddress: '10.244.224.0' };
  return { metadata, spec: { ...tunnel, podAddresses: ['10.244.10.0'], waiting }, status: { mtu: 1450 } };
}

describe('what an agent keeps', () => {
  it('of another node: where it is and what is behind it', () => {
    expect(stripEndpoint(endpoint('b'), 'a')).toEqual({
      metadata: { name: 'b', uid: 'uid-b', resourceVersion: '7' },
      spec: {
        nodeUID: 'node-b',
        tunnelAddress: '10.29.15.50',
        overlayAddress: '10.244.224.0',
        podAddresses: ['10.244.10.0'],
      },
    });
  });

  it("of another node's status: that it listens, without which mode direct never took effect", () => {
    const said = (type: string) => ({
      type,
      status: 'True' as const,
      lastTransitionTime: '',
      reason: 'R',
      message: 'm',
    });
    const other = endpoint('b');
    const status = { mtu: 1450, conditions: [said('DatapathReady'), said('DirectPath')] };
    const kept = stripEndpoint({ ...other, status }, 'a');
    expect(kept.status).toEqual({ conditions: [said('DirectPath')] });
    const networks = [{ first: parseAddress('10.29.15.0'), last: parseAddress('10.29.15.255') }];
    expect(wayTo(kept, 'direct', networks)).toEqual({ adjacent: true, direct: true });
  });

  it('of its own node: all that it would lose by writing it back, and why pods wait', () => {
    const { managedFields: _, ...metadata } = endpoint('a').metadata as unknown as Record<string, unknown>;
    expect(stripEndpoint(endpoint('a'), 'a')).toEqual({ ...endpoint('a'), metadata });
  });
});
