// SPDX-License-Identifier: Apache-2.0
// The contract's stories of writes: names, fences, the two halves of an object, deletion.
import { endpointKind, podKind, poolKind, recordKind } from '../../src/operator/kinds.ts';
import { inState, pod, pool, record, type Story, withReleased } from './contract.ts';

const names: Story[] = [
  {
    title: 'one create of a name wins, and a status in its body is dropped',
    tell: async (told, { controller }) => {
      const made = await told.try('create', controller.create(recordKind, withReleased(record('10.1.0.1'))));
      told.say(`generation ${made?.metadata.generation}, status ${JSON.stringify(made?.status ?? 'absent')}`);
      await told.try('again', controller.create(recordKind, record('10.1.0.1')));
      told.say(`a read finds ${(await controller.find(recordKind, '10.1.0.1'))?.spec.address}`);
      told.say(`a read of another finds ${(await controller.find(recordKind, '10.1.0.2'))?.spec.address}`);
    },
    expected: [
      'create: ok',
      'generation 1, status "absent"',
      'again: alreadyExists',
      'a read finds 10.1.0.1',
      'a read of another finds undefined',
    ],
  },
  {
    title: 'defaults are filled in, unknown fields dropped, missing and ill-typed ones named',
    tell: async (told, { admin }) => {
      const odd = { ...pool('odd'), spec: { ...pool('odd').spec, colour: 'red' } };
      const made = await told.try('create', admin.create(poolKind, odd));
      const { usage, coolDownSeconds } = made?.spec ?? {};
      told.say(
        `usage ${usage}, coolDownSeconds ${coolDownSeconds}, ${Object.keys(made?.spec ?? {})
          .sort()
          .join(' ')}`,
      );
      await told.try('no ips', admin.create(poolKind, pool('no-ips', { ips: [] })));
      const cold = admin.create(poolKind, pool('cold', { coolDownSeconds: -1 }));
      await told.try('below zero', cold);
      const { subnet: _, ...without } = pool('bare').spec;
      await told.try('no subnet', admin.create(poolKind, { ...pool('bare'), spec: without as never }));
      await told.try('no usage', admin.create(poolKind, pool('nobody', { usage: 'Nobody' as never })));
      await told.try('reversed', admin.create(poolKind, pool('reversed', { ips: ['10.9.0.9-10.9.0.1'] })));
    },
    expected: [
      'create: ok',
      'usage Pod, coolDownSeconds 30, coolDownSeconds ips subnet usage',
      'no ips: invalid spec.ips',
      'below zero: invalid spec.coolDownSeconds',
      'no subnet: invalid spec.subnet',
      'no usage: invalid spec.usage',
      'reversed: invalid spec.ips[0]',
    ],
  },
];

const fences: Story[] = [
  {
    title: 'a replacement lands on the version that it was made of, or not at all',
    tell: async (told, { controller }) => {
      const first = await controller.create(recordKind, record('10.1.1.1'));
      const second = await told.try('replace', controller.replace(recordKind, inState(first, 'Releasing')));
      await told.try(
        'stale',
        controller.replace(recordKind, inState(first, 'Releasing', { stateSince: '2026-01-02T00:00:00Z' })),
      );
      if (second === undefined) return;
      const other = { ...second, metadata: { ...second.metadata, uid: 'another' } };
      await told.try('another uid', controller.replace(recordKind, inState(other, 'Releasing', { prefixLength: 31 })));
      const absent = {
        ...second,
        metadata: { ...second.metadata, name: '10.1.1.2' },
        spec: { ...second.spec, address: '10.1.1.2' },
      };
      await told.try('absent', controller.replace(recordKind, absent));
      await told.try('status of absent', controller.replaceStatus(recordKind, absent));
      told.say(`generation ${second.metadata.generation}`);
    },
    expected: [
      'replace: ok',
      'stale: conflict',
      'another uid: conflict',
      'absent: notFound',
      'status of absent: notFound',
      'generation 2',
    ],
  },
  {
    title: 'a write that changes nothing is none',
    tell: async (told, { controller }) => {
      const first = await controller.create(recordKind, record('10.1.2.1'));
      const { resourceVersion = '' } = first.metadata;
      told.compare('the same', first, await controller.replace(recordKind, first));
      told.compare('the same status', first, await controller.replaceStatus(recordKind, first));
      const second = await controller.replaceStatus(recordKind, withReleased(first));
      told.compare('another status', first, second);
      const scope = { resourceVersion, fieldSelector: 'metadata.name=10.1.2.1' };
      await told.events(controller, recordKind, scope, 1);
    },
    expected: [
      'the same: the same version',
      'the same status: the same version',
      'another status: a new version',
      'MODIFIED 10.1.2.1',
    ],
  },
  {
    title: 'spec and status are written apart, with the same fence',
    tell: async (told, { controller }) => {
      const first = await controller.create(recordKind, record('10.1.3.1'));
      const both = withReleased(inState(first, 'Releasing'));
      const labelled = { ...both, metadata: { ...both.metadata, labels: { colour: 'red' } } };
      const status = await controller.replaceStatus(recordKind, labelled);
      told.say(`status: ${status.spec.state} ${status.status?.released?.owner.uid} ${status.metadata.generation}`);
      told.say(`labels ${JSON.stringify(status.metadata.labels ?? {})}`);
      const spec = await controller.replace(recordKind, { ...inState(status, 'Releasing'), status: {} });
      told.say(`spec: ${spec.spec.state} ${spec.status?.released?.owner.uid} ${spec.metadata.generation}`);
      await told.try('stale status', controller.replaceStatus(recordKind, withReleased(first, 'x')));
      const other = { ...spec, metadata: { ...spec.metadata, uid: 'another' } };
      await told.try('status under another uid', controller.replaceStatus(recordKind, withReleased(other, 'y')));
    },
    expected: [
      'status: Bound uid-of-web 1',
      'labels {}',
      'spec: Releasing uid-of-web 2',
      'stale status: conflict',
      'status under another uid: conflict',
    ],
  },
  {
    title: 'a merge patch removes by null, replaces lists, and may carry a fence',
    tell: async (told, { admin }) => {
      const first = await admin.create(poolKind, pool('patched', { excludeIPs: ['10.9.0.1', '10.9.0.2'] }));
      const patch = { spec: { excludeIPs: ['10.9.0.3'], coolDownSeconds: 5 } };
      const second = await admin.patch(poolKind, 'patched', patch, { type: 'merge' });
      told.say(`${second.spec.excludeIPs?.join()} ${second.spec.coolDownSeconds} ${second.metadata.generation}`);
      const third = await admin.patch(poolKind, 'patched', { spec: { coolDownSeconds: null } }, { type: 'merge' });
      told.say(`${third.spec.coolDownSeconds}`);
      const fenced = { metadata: { resourceVersion: first.metadata.resourceVersion }, spec: { coolDownSeconds: 1 } };
      await told.try('stale', admin.patch(poolKind, 'patched', fenced, { type: 'merge' }));
      await told.try('absent', admin.patch(poolKind, 'nowhere', patch, { type: 'merge' }));
      const free = { status: { free: 7 }, spec: { coolDownSeconds: 2 } };
      const fourth = await admin.patch(poolKind, 'patched', free, { type: 'merge', subresource: 'status' });
      told.say(`free ${fourth.status?.free}, coolDownSeconds ${fourth.spec.coolDownSeconds}`);
    },
    expected: ['10.9.0.3 5 2', '30', 'stale: conflict', 'absent: notFound', 'free 7, coolDownSeconds 30'],
  },
];

const deletions: Story[] = [
  {
    title: 'a deletion has its preconditions',
    tell: async (told, { controller }) => {
      const first = await controller.create(recordKind, record('10.1.4.1'));
      const { uid = '', resourceVersion = '' } = first.metadata;
      const second = await controller.replace(recordKind, inState(first, 'Releasing'));
      await told.try('stale', controller.delete(recordKind, '10.1.4.1', { uid, resourceVersion }));
      await told.try('another uid', controller.delete(recordKind, '10.1.4.1', { uid: 'another' }));
      const now = second.metadata.resourceVersion ?? '';
      await told.try('this one', controller.delete(recordKind, '10.1.4.1', { uid, resourceVersion: now }));
      await told.try('once more', controller.delete(recordKind, '10.1.4.1', { uid, resourceVersion: now }));
      const again = await told.try('made again', controller.create(recordKind, record('10.1.4.1')));
      told.say(again?.metadata.uid === uid ? 'with its former uid' : 'with a uid of its own');
    },
    expected: [
      'stale: conflict',
      'another uid: conflict',
      'this one: ok',
      'once more: notFound',
      'made again: ok',
      'with a uid of its own',
    ],
  },
  {
    title: 'a finalizer keeps an object, none comes once it is being deleted, and the last one ends it',
    tell: async (told, { admin }) => {
      const held = { ...pool('held'), metadata: { name: 'held', finalizers: ['sample.fast.io/in-use'] } };
      const first = await admin.create(poolKind, held);
      const { resourceVersion = '' } = first.metadata;
      await told.try('delete', admin.delete(poolKind, 'held'));
      const leaving = await admin.get(poolKind, 'held');
      told.say(
        `deleted ${leaving.metadata.deletionTimestamp !== undefined}, generation ${leaving.metadata.generation}`,
      );
      await told.try('delete again', admin.delete(poolKind, 'held'));
      told.compare('that', leaving, await admin.get(poolKind, 'held'));
      await told.try('create', admin.create(poolKind, pool('held')));
      const more = ['sample.fast.io/in-use', 'sample.fast.io/more'];
      const added = { ...leaving, metadata: { ...leaving.metadata, finalizers: more } };
      await told.try('one finalizer more', admin.replace(poolKind, added));
      const { deletionTimestamp: _, ...revived } = leaving.metadata;
      const still = await admin.replace(poolKind, { ...leaving, metadata: { ...revived, labels: { colour: 'red' } } });
      told.say(`deleted ${still.metadata.deletionTimestamp !== undefined}`);
      await told.try('none', admin.replace(poolKind, { ...still, metadata: { ...still.metadata, finalizers: [] } }));
      told.say(`found ${(await admin.find(poolKind, 'held'))?.metadata.name}`);
      await told.events(admin, poolKind, { resourceVersion, fieldSelector: 'metadata.name=held' }, 3);
    },
    expected: [
      'delete: ok',
      'deleted true, generation 2',
      'delete again: ok',
      'that: the same version',
      'create: alreadyExists',
      'one finalizer more: invalid metadata.finalizers',
      'deleted true',
      'none: ok',
      'found undefined',
      'MODIFIED held',
      'MODIFIED held',
      'DELETED held',
    ],
  },
  {
    title: "a bound pod waits for its kubelet's word; one without a node or at its end does not",
    tell: async (told, { admin }) => {
      for (const [name, node] of [
        ['bound', 'node-a'],
        ['loose', undefined],
        ['ended', 'node-a'],
      ] as const) {
        await admin.create(podKind, pod(name, node));
      }
      const status = { phase: 'Succeeded' };
      const options = { type: 'merge', namespace: 'default', subresource: 'status' } as const;
      await admin.patch(podKind, 'ended', { status }, options);
      for (const name of ['bound', 'loose', 'ended']) {
        await told.try(`delete ${name}`, admin.delete(podKind, name, { namespace: 'default' }));
        const left = await admin.find(podKind, name, 'default');
        told.say(left === undefined ? 'gone' : `deleted ${left.metadata.deletionTimestamp !== undefined}`);
      }
      const uid = '00000000-0000-4000-8000-00000000ffff';
      const word = { namespace: 'default', gracePeriodSeconds: 0 };
      await told.try('another one', admin.delete(podKind, 'bound', { ...word, uid }));
      await told.try('the word', admin.delete(podKind, 'bound', word));
      told.say(`found ${(await admin.find(podKind, 'bound', 'default'))?.metadata.name}`);
    },
    expected: [
      'delete bound: ok',
      'deleted true',
      'delete loose: ok',
      'gone',
      'delete ended: ok',
      'gone',
      'another one: conflict',
      'the word: ok',
      'found undefined',
    ],
  },
  {
    title: 'a node endpoint is an object like the others',
    tell: async (told, { controller, agent }) => {
      const spec = { nodeUID: 'uid', tunnelAddress: '10.29.15.49' };
      const made = await controller.create(endpointKind, { metadata: { name: 'node-a' }, spec });
      const orphan = { address: '10.1.5.1', ownerUID: 'uid', interface: 'fast0123456789' };
      const said = await agent.replaceStatus(endpointKind, { ...made, status: { orphans: [orphan] } });
      told.say(
        `generation ${said.metadata.generation}, orphans ${said.status?.orphans?.map(({ address }) => address).join()}`,
      );
      const waiting = { ...said, spec: { ...spec, podAddresses: ['10.1.5.2'] } };
      const shown = await controller.replace(endpointKind, waiting);
      told.say(`generation ${shown.metadata.generation}, pods ${shown.spec.podAddresses?.join()}`);
      await told.try('delete', controller.delete(endpointKind, 'node-a', { uid: made.metadata.uid ?? '' }));
    },
    expected: ['generation 1, orphans 10.1.5.1', 'generation 2, pods 10.1.5.2', 'delete: ok'],
  },
];

export const writeStories: readonly Story[] = [...names, ...fences, ...deletions];
