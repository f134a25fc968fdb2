// SPDX-License-Identifier: Apache-2.0
// A node that registers anew while its agent is away, in a process with namespaces of its own: a real API server, the real
// controller and the real agent, and a pool of the nodes with one address, which the former Node still holds.
import { serve } from '../../bench/hollow/child.ts';
import { nodePool } from '../../src/api/names.ts';
import { nodeKind, recordKind } from '../../src/operator/kinds.ts';
import { AgentMachine, nodeAddress, nodeName, run } from './agent-machine.ts';
import { eventually } from './hollow-cluster.ts';
import { OperatorProcess } from './operator-process.ts';

export const onlyAddress = '10.244.224.0';

let machine: AgentMachine;
let controller: OperatorProcess | undefined;

const endpoint = () => machine.cluster.endpoint(nodeName);
const deviceHas = (): boolean => run('ip', 'addr', 'show', 'fast_vxlan').includes(`${onlyAddress}/`);
const reasonOf = async (condition: string): Promise<string | undefined> =>
  (await endpoint())?.status?.conditions?.find(({ type }) => type === condition)?.reason;

const methods = {
  /** The agent takes pods. */
  start: async (): Promise<void> => {
    machine = await AgentMachine.bare(async ({ cluster }) => {
      await cluster.addPool(nodePool, [onlyAddress], { usage: 'Node', coolDownSeconds: 0 });
      await cluster.addPool('sample-ips', ['10.244.10.0-10.244.10.9']);
      await cluster.addNode(nodeName, nodeAddress);
      controller = new OperatorProcess(cluster.server.kubeconfig, 'replica-0');
    });
    await eventually('an overlay address', async () => (await endpoint())?.spec.overlayAddress);
    await machine.startAgent();
  },
  /** The agent ends, its node gets another UID, and the controller waits for the agent's word, then stands still. */
  renew: async (): Promise<{ overlayAddress: string | undefined; hasDeviceTheFormer: boolean }> => {
    await machine.endAgent('SIGTERM');
    const { cluster } = machine;
    await cluster.client.delete(nodeKind, nodeName);
    const { metadata } = await cluster.addNode(nodeName, nodeAddress);
    await eventually('the NodeEndpoint of the new Node, without an address', async () => {
      const { spec } = (await endpoint()) ?? {};
      return spec?.nodeUID === metadata.uid && spec?.overlayAddress === undefined;
    });
    // By a reconcile of its own, which may come behind that of the endpoint.
    await eventually('the record of the former Node being released', async () => {
      const record = await cluster.client.find(recordKind, onlyAddress);
      return record?.spec.state === 'Releasing';
    });
    controller?.kill('SIGSTOP');
    return { overlayAddress: (await endpoint())?.spec.overlayAddress, hasDeviceTheFormer: deviceHas() };
  },
  /** An agent on the node as it is. Answers what it has said of it before it can be given an address. */
  report: async (): Promise<{ released: boolean; mtu: number; datapath: string | undefined; takesPods: boolean }> => {
    const record = await machine.cluster.client.find(recordKind, onlyAddress);
    machine.spawnAgent();
    const released = await eventually('the word that the former address is free', async () => {
      const said = (await machine.cluster.client.find(recordKind, onlyAddress))?.status?.released;
      return said !== undefined && said.owner.uid === record?.spec.owner.uid;
    });
    const mtu = await eventually('the facts of the node', async () => (await endpoint())?.status?.mtu);
    return { released, mtu, datapath: await reasonOf('DatapathReady'), takesPods: machine.isConfigured() };
  },
  /** The controller goes on. Answers what a pod that comes then meets. */
  goOn: async (): Promise<{ complaint: string | undefined; hasAddress: boolean; datapath: string | undefined }> => {
    controller?.kill('SIGCONT');
    await machine.takesPods();
    const hasAddress = deviceHas() && (await endpoint())?.spec.overlayAddress === onlyAddress;
    const { metadata } = await machine.cluster.addPod('pod', nodeName, 'sample-ips');
    const complaint = await machine.cni('ADD', machine.sandbox('pod'), 'sandbox', metadata.uid);
    const datapath = await eventually('a datapath as it should be', async () => {
      const reason = await reasonOf('DatapathReady');
      return reason === 'AsDesired' && reason;
    });
    return { complaint, hasAddress, datapath };
  },
  stop: async (): Promise<void> => {
    controller?.kill('SIGKILL');
    await machine?.stop();
  },
};

export type RenewalMethods = typeof methods;

serve(methods);
