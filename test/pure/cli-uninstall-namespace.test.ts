// SPDX-License-Identifier: Apache-2.0
// `fast-ctl uninstall` at its end: only the namespace is left, or somebody installs Fast again meanwhile.
import { describe, expect, it } from 'vitest';
import { installed } from '../../src/cli/installed.ts';
import type { Cluster } from '../../src/cli/surroundings.ts';
import { cluster, clock, machine } from './cli-installed-cluster.ts';
import { fastCtl } from './cli-shell.ts';

const going = { metadata: { name: 'fast-system', uid: 'old', deletionTimestamp: '2026-11-25T12:00:00Z' } };

/** All that an uninstall leaves while the control plane empties the namespace. */
function namespaceAlone() {
  const all = cluster();
  for (const { resource } of installed) all.lose(resource.plural);
  for (const plural of ['nodeendpoints', 'ipses', 'ipallocations', 'pods']) all.lose(plural);
  all.have('namespaces', going);
  const remove: Cluster['delete'] = (of, ...rest) =>
    of.plural === 'namespaces' ? Promise.resolve(undefined as never) : all.fake.delete(of, ...rest);
  return { ...all, fake: { ...all.fake, delete: remove } };
}

const wait = 'kubectl wait --for=delete namespace/fast-system --timeout=5m';

describe('fast-ctl uninstall', () => {
  it('does not say that it takes Fast off 0 nodes where only the namespace is still going', async () => {
    const { fake } = namespaceAlone();
    const { code, stdout } = await fastCtl('uninstall', { cluster: () => Promise.resolve(fake) });
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Only the namespace fast-system is still going: nothing to do but wait: ${wait}\n`,
    });
  });

  it('does not tell to leave a node out where only the namespace is waited for', async () => {
    const { fake } = namespaceAlone();
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const { code, stderr } = await fastCtl('uninstall --yes --timeout 5s', around);
    expect(code).toBe(1);
    expect(stderr).toBe(
      'fast-ctl: the objects are not done after 5 s: namespaces fast-system.\nTo go on: fast-ctl uninstall --yes\n',
    );
  });

  it('names the node that is off whose pod keeps the namespace', async () => {
    const { fake, have } = namespaceAlone();
    have('pods', { metadata: { name: 'x' }, spec: { nodeName: 'two' } } as never);
    have('nodes', machine('one', 'False'), machine('two', 'Unknown'));
    const { stdout } = await fastCtl('uninstall', { cluster: () => Promise.resolve(fake) });
    expect(stdout).toContain('To do it: fast-ctl uninstall --yes --without two\n');
  });

  const kind = (uid: string) => ({ metadata: { name: 'ipses.sample.fast.io', uid } });

  it('does not wait to its end for kinds that somebody makes anew meanwhile: it says so at once', async () => {
    const { fake, have } = namespaceAlone();
    const time = clock(() => have('customresourcedefinitions', kind('new')));
    const around = { cluster: () => Promise.resolve(fake), ...time };
    const { code, stderr } = await fastCtl('uninstall --yes', around);
    expect(code).toBe(1);
    expect(stderr).toBe(
      'fast-ctl: made anew since: customresourcedefinitions ipses.sample.fast.io: somebody installs Fast; what was made anew stays.\n' +
        `To keep it: ${wait} && kubectl apply -k config/default. To take it off again: fast-ctl uninstall --yes\n`,
    );
    expect(time.nowMs()).toBeLessThan(1_000);
  });

  it('tells a kind made anew from the one that it deleted and that is still going', async () => {
    const { fake, have } = namespaceAlone();
    have('customresourcedefinitions', kind('old'));
    const remove: Cluster['delete'] = () => Promise.resolve(undefined as never);
    let polls = 0;
    const time = clock();
    const sleep = (delayMs: number): Promise<void> => {
      polls += 1;
      if (polls === 3) have('customresourcedefinitions', kind('new'));
      return time.sleep(delayMs);
    };
    const around = { cluster: () => Promise.resolve({ ...fake, delete: remove }), nowMs: time.nowMs, sleep };
    const { stderr } = await fastCtl('uninstall --yes', around);
    expect(stderr).toContain('made anew since: customresourcedefinitions ipses.sample.fast.io: somebody installs Fast');
    expect(polls).toBe(3);
  });
});
