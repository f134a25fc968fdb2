// SPDX-License-Identifier: Apache-2.0
// A hundred open flows and a ping a hundred times a second, while everything of Fast is replaced under them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadImage, up } from './cluster.ts';
import { eventually, installFast, kube, objects } from './fast.ts';
import { haveLayoutAlone } from './layouts.ts';
import { buildNextAgent, nextArchive, nextImage, nextLayoutVersion } from './next-agent.ts';
import { images } from '../../scripts/image-names.ts';
import { layoutVersion } from '../../src/datapath/generated/layout.ts';
import type { Pinging } from './place.ts';
import { mapEntries, type RunningPod, workers } from './quick-start.ts';
import { setStage, type Stage, strikeStage } from './stage.ts';
import { echoPort } from './traffic.ts';

const say = (line: string): void => console.error(line);
const minuteMs = 60_000;
const flows = 50;
const none = { host: '', port: 0, count: 0, bytes: 0 };
let stage: Stage;
let pinging: Pinging;

beforeAll(async () => {
  await buildNextAgent();
  await up({ say });
  await installFast(say);
  stage = await setStage();
  await loadImage(nextArchive);
  const { near, far } = stage.places;
  const open = { do: 'open', port: echoPort, count: flows, bytes: 0 } as const;
  await near.ask({ ...open, host: far.address });
  await near.ask({ ...open, host: stage.services['far'] ?? '' });
  pinging = near.startPings(far.address);
}, 5 * minuteMs);

afterAll(async () => {
  await strikeStage(stage);
}, 2 * minuteMs);

async function fastPods(app: string): Promise<RunningPod[]> {
  return objects<RunningPod>('pods', '-n', 'fast-system', '-l', `app.kubernetes.io/name=${app}`);
}

/** Deletes the pods of a part at once and waits until others are ready in their place. */
async function restart(app: string, kind: string): Promise<void> {
  const before = (await fastPods(app)).map((pod) => pod.metadata.uid);
  await kube(['delete', 'pods', '-n', 'fast-system', '-l', `app.kubernetes.io/name=${app}`]);
  await kube(['rollout', 'status', '-n', 'fast-system', `${kind}/${app}`, '--timeout=120s']);
  const after = (await fastPods(app)).map((pod) => pod.metadata.uid);
  expect(after.filter((uid) => before.includes(uid))).toEqual([]);
}

/** Has the controller roll out the agents of an image, and waits until they run everywhere with its layout alone. */
async function changeAgents(image: string, layout: number): Promise<void> {
  await kube(['set', 'env', '-n', 'fast-system', 'deployment/fast-controller-manager', `FAST_AGENT_IMAGE=${image}`]);
  await eventually('the DaemonSet of the other image', 2 * minuteMs, async () => {
    const [agents] = await objects<object>('daemonsets', '-n', 'fast-system');
    return JSON.stringify(agents).includes(`"image":"${image}"`) ? true : 'it has the former image';
  });
  await kube(['rollout', 'status', '-n', 'fast-system', 'daemonset/fast-agent', '--timeout=180s']);
  await eventually(`the maps of layout ${layout} alone`, minuteMs, () => haveLayoutAlone(workers, layout));
  for (const node of workers) expect(await mapEntries(node, 'local_pod_ips')).toHaveLength(2);
}

describe('pods across nodes go on speaking', () => {
  it('while every agent is restarted', () => restart('fast-agent', 'daemonset'), 3 * minuteMs);

  it('while every controller is restarted', () => restart('fast-controller-manager', 'deployment'), 3 * minuteMs);

  it(
    'while the agents are upgraded to a build with another layout of the maps',
    () => changeAgents(nextImage, nextLayoutVersion),
    5 * minuteMs,
  );

  it('while the agents go back to the former build', () => changeAgents(images.agent, layoutVersion), 5 * minuteMs);

  it('with no flow reset and no ping lost in all that time', async () => {
    const { sent, lost } = await pinging.stop();
    const fared = await stage.places.near.ask({ do: 'close', ...none });
    say(`${sent} pings, ${lost} lost; ${fared.answered} of ${2 * flows} flows whole`);
    expect(sent).toBeGreaterThan(500);
    expect(lost).toBe(0);
    expect(fared).toMatchObject({ answered: 2 * flows, errors: [] });
  });
});
