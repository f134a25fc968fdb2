// SPDX-License-Identifier: Apache-2.0
// The contract's stories of what is refused: the CRDs' rules and the rights of Fast's programs.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { endpointKind, poolKind, recordKind } from '../../src/operator/kinds.ts';
import { inState, pool, record, type Story, type Told, withReleased } from './contract.ts';
import type { ApiVerbs } from './memory-client.ts';

const other = { kind: 'Pod' as const, namespace: 'default', name: 'db', uid: 'uid-of-db' };

/** Brings a new record to a state by the moves that are allowed. */
async function bring(api: ApiVerbs, address: string, state: IpAllocation['spec']['state']): Promise<IpAllocation> {
  const bound = await api.create(recordKind, record(address));
  if (state === 'Bound') return bound;
  const releasing = await api.replace(recordKind, inState(bound, 'Releasing'));
  if (state === 'Releasing') return releasing;
  return await api.replace(recordKind, inState(await api.replaceStatus(recordKind, withReleased(releasing)), state));
}

const states = ['Bound', 'Releasing', 'Cooling', 'Reserved'] as const;

const rules: Story[] = [
  {
    title: 'a record goes from one state to another as its life allows',
    tell: async (told, { controller }) => {
      for (const [row, from] of states.entries()) {
        for (const [column, to] of states.entries()) {
          if (from === to) continue;
          const at = await bring(controller, `10.2.${row}.${column}`, from);
          // With the word of the node, so that the state alone is the question.
          const said = await controller.replaceStatus(recordKind, withReleased(at));
          await told.try(`${from} to ${to}`, controller.replace(recordKind, inState(said, to)));
        }
      }
    },
    expected: [
      'Bound to Releasing: ok',
      'Bound to Cooling: invalid spec.state',
      'Bound to Reserved: invalid spec.state',
      'Releasing to Bound: invalid spec.state',
      'Releasing to Cooling: ok',
      'Releasing to Reserved: ok',
      'Cooling to Bound: ok',
      'Cooling to Releasing: invalid spec.state',
      'Cooling to Reserved: invalid spec.state',
      'Reserved to Bound: ok',
      'Reserved to Releasing: invalid spec.state',
      'Reserved to Cooling: ok',
    ],
  },
  {
    title: 'an address passes to another only when the node has let go of it',
    tell: async (told, { controller }) => {
      const releasing = await bring(controller, '10.2.9.1', 'Releasing');
      await told.try('unreleased', controller.replace(recordKind, inState(releasing, 'Cooling')));
      const lie = await controller.replaceStatus(recordKind, withReleased(releasing, 'uid-of-nobody'));
      await told.try('released by another', controller.replace(recordKind, inState(lie, 'Cooling')));
      await told.try('owner', controller.replace(recordKind, inState(lie, 'Releasing', { owner: other })));
      const word = await controller.replaceStatus(recordKind, withReleased(lie));
      const cooling = await controller.replace(recordKind, inState(word, 'Cooling'));
      const elsewhere = { owner: other, nodeName: 'node-b', nodeUID: 'uid-of-node-b' };
      await told.try('node alone', controller.replace(recordKind, inState(cooling, 'Bound', { nodeName: 'node-b' })));
      const bound = await told.try(
        'owner and node',
        controller.replace(recordKind, inState(cooling, 'Bound', elsewhere)),
      );
      told.say(`the status still says that ${bound?.status?.released?.owner.uid} is released`);
      if (bound === undefined) return;
      const again = inState(bound, 'Bound', { owner: { ...other, uid: 'uid-of-third' } });
      await told.try('from a living owner', controller.replace(recordKind, again));
    },
    expected: [
      'unreleased: invalid spec.state',
      'released by another: invalid spec.state',
      'owner: invalid spec.owner',
      'node alone: invalid spec.nodeName',
      'owner and node: ok',
      'the status still says that uid-of-web is released',
      'from a living owner: invalid spec.owner',
    ],
  },
  {
    title: 'the name of a record is its address, and neither it nor the pool changes',
    tell: async (told, { controller }) => {
      const wrong = { ...record('10.2.10.1'), metadata: { name: '10.2.10.2' } };
      await told.try('another name', controller.create(recordKind, wrong));
      await told.try('no address', controller.create(recordKind, record('10.2.10')));
      await told.try('no state', controller.create(recordKind, record('10.2.10.3', { state: 'Lost' as never })));
      const made = await controller.create(recordKind, record('10.2.10.4'));
      await told.try('another pool', controller.replace(recordKind, inState(made, 'Bound', { ips: 'other' })));
      const first = await controller.create(poolKind, pool('moved'));
      const moved = { ...first, spec: { ...first.spec, subnet: '10.244.0.2/32' } };
      await told.try('another subnet', controller.replace(poolKind, moved));
    },
    expected: [
      'another name: invalid spec.address',
      'no address: invalid spec.address',
      'no state: invalid spec.state',
      'another pool: invalid spec.ips',
      'another subnet: invalid spec.subnet',
    ],
  },
];

async function tryAll(told: Told, api: ApiVerbs, own: IpAllocation): Promise<void> {
  const { name } = own.metadata;
  const status = { attached: { owner: { uid: 'x' }, containerID: 'c', interface: 'i' } };
  await told.try('create', api.create(recordKind, record('10.2.11.9')));
  await told.try('replace', api.replace(recordKind, inState(own, 'Releasing')));
  await told.try('patch', api.patch(recordKind, name, { spec: { state: 'Releasing' } }, { type: 'merge' }));
  await told.try('patch status', api.patch(recordKind, name, { status }, { type: 'merge', subresource: 'status' }));
  await told.try('delete', api.delete(recordKind, name));
  await told.try('status', api.replaceStatus(recordKind, { ...own, status }));
}

const rights: Story[] = [
  {
    title: 'an agent writes the status of its own node, and nothing else',
    tell: async (told, { controller, agent }) => {
      const own = await controller.create(recordKind, record('10.2.11.1'));
      await tryAll(told, agent, own);
      const foreign = await controller.create(recordKind, record('10.2.11.2', { nodeName: 'node-b' }));
      await told.try("another node's status", agent.replaceStatus(recordKind, withReleased(foreign)));
      const spec = { nodeUID: 'uid', tunnelAddress: '10.29.15.50' };
      const endpoint = await controller.create(endpointKind, { metadata: { name: 'node-b' }, spec });
      await told.try("another node's endpoint", agent.replaceStatus(endpointKind, { ...endpoint, status: { mtu: 1 } }));
      await controller.delete(endpointKind, 'node-b');
    },
    expected: [
      'create: forbidden',
      'replace: forbidden',
      'patch: forbidden',
      'patch status: forbidden',
      'delete: forbidden',
      'status: ok',
      "another node's status: forbidden",
      "another node's endpoint: forbidden",
    ],
  },
  {
    title: 'nobody but the controller makes, changes or deletes a record',
    tell: async (told, { admin, controller }) => {
      const own = await controller.create(recordKind, record('10.2.12.1'));
      await tryAll(told, admin, own);
    },
    expected: [
      'create: forbidden',
      'replace: forbidden',
      'patch: forbidden',
      'patch status: ok',
      'delete: forbidden',
      'status: conflict',
    ],
  },
];

export const ruleStories: readonly Story[] = [...rules, ...rights];
