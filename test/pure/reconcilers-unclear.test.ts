// SPDX-License-Identifier: Apache-2.0
// Writes without an answer for a static pod, whose identity comes back with its mirror.
import { describe, expect, it } from 'vitest';
import { poolAnnotation, staticPodAnnotation } from '../../src/api/names.ts';
import { ModelCluster } from './model-cluster.ts';

describe('a write that got no answer', () => {
  it.each(['makes', 'changes'])(
    'and %s the record of a static pod: its mirror comes again and gets no second one',
    async (what) => {
      const cluster = new ModelCluster();
      cluster.addNode('node-a');
      cluster.addPool('small', ['10.1.0.0'], { coolDownSeconds: 60 });
      cluster.addPod('before', 'node-a', 'small');
      await cluster.settle();
      cluster.removePod('before');
      await cluster.settle();
      cluster.sayReleased('10.1.0.0');
      await cluster.settle();
      if (what === 'makes') await cluster.pass(60_000);
      const annotations = { [poolAnnotation]: 'small', [staticPodAnnotation]: '0123456789abcdef0123456789abcdef' };
      const metadata = { name: 'static', namespace: 'default', annotations };
      cluster.records.hold();
      cluster.nextCreateError = what === 'makes' ? new Error('timeout') : undefined;
      cluster.nextReplaceError = what === 'makes' ? undefined : new Error('timeout');
      cluster.addPod('static', 'node-a', undefined, { metadata });
      await cluster.settle();
      cluster.removePod('static');
      await cluster.settle();
      cluster.editPool('small', { ips: ['10.0.0.0', '10.1.0.0'] });
      cluster.addPod('static', 'node-a', undefined, { metadata });
      await cluster.settle();
      await cluster.pass(5);
      cluster.records.resume();
      await cluster.settle();
      await cluster.pass(30_000);
      expect(cluster.held()).toEqual(['10.1.0.0 Bound static']);
    },
  );
});
