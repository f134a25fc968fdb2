// SPDX-License-Identifier: Apache-2.0
// What an agent keeps of what it watches.
import { describe, expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
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

  it('of its own node: all that it would lose by writing it back, and why pods wait', () => {
    const { managedFields: _, ...metadata } = endpoint('a').metadata as unknown as Record<string, unknown>;
    expect(stripEndpoint(endpoint('a'), 'a')).toEqual({ ...endpoint('a'), metadata });
  });
});
