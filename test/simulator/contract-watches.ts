// SPDX-License-Identifier: Apache-2.0
// The contract's stories of reading: lists, selectors, watches and the end of history.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { podKind, poolKind, recordKind } from '../../src/operator/kinds.ts';
import { inState, pod, pool, record, type Story, withReleased } from './contract.ts';

const nodeAndState = ({ metadata, spec }: IpAllocation): string => `${metadata.name} ${spec.nodeName} ${spec.state}`;

export const watchStories: readonly Story[] = [
  {
    title: 'a list selects by declared fields alone, and says which revision it shows',
    tell: async (told, { controller }) => {
      await controller.create(recordKind, record('10.3.0.2', { nodeName: 'node-l' }));
      await controller.create(recordKind, record('10.3.0.1', { nodeName: 'node-l' }));
      await controller.create(recordKind, record('10.3.0.3', { nodeName: 'node-m' }));
      const { items, resourceVersion } = await controller.list(recordKind, { fieldSelector: 'spec.nodeName=node-l' });
      told.say(items.map(({ metadata }) => metadata.name).join());
      const newest = items.every(({ metadata }) => Number(metadata.resourceVersion) <= Number(resourceVersion));
      told.say(newest ? 'none is newer than the list' : 'some are newer than the list');
      await told.try('by gateway', controller.list(recordKind, { fieldSelector: 'spec.gateway=10.244.0.1' }));
    },
    expected: ['10.3.0.1,10.3.0.2', 'none is newer than the list', 'by gateway: badRequest'],
  },
  {
    title: 'a list selects by label and by namespace',
    tell: async (told, { admin }) => {
      const red = pod('red');
      await admin.create(podKind, { ...red, metadata: { ...red.metadata, labels: { colour: 'red' } } });
      await admin.create(podKind, pod('plain'));
      const list = await admin.list(podKind, { namespace: 'default', labelSelector: 'colour=red' });
      told.say(list.items.map(({ metadata }) => metadata.name).join());
      told.say(`${(await admin.list(podKind, { namespace: 'kube-system' })).items.length} elsewhere`);
    },
    expected: ['red', '0 elsewhere'],
  },
  {
    title: 'a watch tells what came after its revision, in the order of the writes',
    tell: async (told, { controller }) => {
      const { resourceVersion } = await controller.list(recordKind);
      const first = await controller.create(recordKind, record('10.3.1.1'));
      await controller.create(recordKind, record('10.3.1.2'));
      const second = await controller.replace(recordKind, inState(first, 'Releasing'));
      const third = await controller.replaceStatus(recordKind, withReleased(second));
      await controller.delete(recordKind, '10.3.1.1', { resourceVersion: third.metadata.resourceVersion ?? '' });
      await controller.create(recordKind, record('10.3.1.1'));
      await told.events(controller, recordKind, { resourceVersion }, 6, nodeAndState);
      told.say('and from the middle');
      const from = second.metadata.resourceVersion ?? '';
      await told.events(controller, recordKind, { resourceVersion: from }, 3, nodeAndState);
    },
    expected: [
      'ADDED 10.3.1.1 node-a Bound',
      'ADDED 10.3.1.2 node-a Bound',
      'MODIFIED 10.3.1.1 node-a Releasing',
      'MODIFIED 10.3.1.1 node-a Releasing',
      'DELETED 10.3.1.1 node-a Releasing',
      'ADDED 10.3.1.1 node-a Bound',
      'and from the middle',
      'MODIFIED 10.3.1.1 node-a Releasing',
      'DELETED 10.3.1.1 node-a Releasing',
      'ADDED 10.3.1.1 node-a Bound',
    ],
  },
  {
    title: 'what leaves a selection is deleted for its watch, and what enters it is added',
    tell: async (told, { controller }) => {
      const { resourceVersion } = await controller.list(recordKind);
      const first = await controller.create(recordKind, record('10.3.2.1', { nodeName: 'node-x' }));
      const second = await controller.replace(recordKind, inState(first, 'Releasing'));
      const third = await controller.replaceStatus(recordKind, withReleased(second));
      const fourth = await controller.replace(recordKind, inState(third, 'Cooling'));
      const owner = { kind: 'Pod' as const, namespace: 'default', name: 'db', uid: 'uid-of-db' };
      const moved = await controller.replace(
        recordKind,
        inState(fourth, 'Bound', { owner, nodeName: 'node-y', nodeUID: 'y' }),
      );
      const isNew = (object: IpAllocation): string => {
        const at = object.metadata.resourceVersion === moved.metadata.resourceVersion ? 'at the move' : 'before it';
        return `${nodeAndState(object)} ${at}`;
      };
      for (const [node, count] of [
        ['node-x', 5],
        ['node-y', 1],
      ] as const) {
        const scope = { resourceVersion, fieldSelector: `spec.nodeName=${node}` };
        await told.events(controller, recordKind, scope, count, isNew);
      }
    },
    expected: [
      'ADDED 10.3.2.1 node-x Bound before it',
      'MODIFIED 10.3.2.1 node-x Releasing before it',
      'MODIFIED 10.3.2.1 node-x Releasing before it',
      'MODIFIED 10.3.2.1 node-x Cooling before it',
      'DELETED 10.3.2.1 node-x Cooling at the move',
      'ADDED 10.3.2.1 node-y Bound at the move',
    ],
  },
  {
    title: 'a deletion shows the last state under the revision of the deletion',
    tell: async (told, { admin }) => {
      const made = await admin.create(poolKind, pool('short'));
      await admin.delete(poolKind, 'short');
      const { resourceVersion = '' } = made.metadata;
      const describe = ({ metadata, spec }: typeof made): string =>
        `${spec.subnet} ${Number(metadata.resourceVersion) > Number(resourceVersion) ? 'newer' : 'as made'}`;
      await told.events(admin, poolKind, { resourceVersion, fieldSelector: 'metadata.name=short' }, 1, describe);
    },
    expected: ['DELETED 10.244.0.1/32 newer'],
  },
  {
    title: 'a watch from the future is taken and stays silent',
    tell: async (told, { controller }) => {
      const { resourceVersion } = await controller.list(recordKind);
      const future = String(Number(resourceVersion) + 1_000);
      await controller.create(recordKind, record('10.3.3.1'));
      await told.events(controller, recordKind, { resourceVersion: future }, 0);
    },
    expected: [],
  },
  {
    title: 'a watch from a forgotten revision is refused as gone',
    tell: async (told, server) => {
      const { resourceVersion } = await server.controller.list(recordKind);
      const first = await server.controller.create(recordKind, record('10.3.4.1'));
      await server.controller.replace(recordKind, inState(first, 'Releasing'));
      await server.forgetHistory();
      await told.events(server.controller, recordKind, { resourceVersion }, 1);
      const { resourceVersion: now } = await server.controller.list(recordKind);
      await server.controller.create(recordKind, record('10.3.4.2'));
      await told.events(server.controller, recordKind, { resourceVersion: now }, 1);
    },
    expected: ['the watch: gone', 'ADDED 10.3.4.2'],
  },
];
