// SPDX-License-Identifier: Apache-2.0
// Words on a command line that mean nothing, or something else than was meant.
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../src/cli/surroundings.ts';
import { fastCtl } from './cli-shell.ts';

const none = {
  list: () => Promise.resolve({ items: [] }),
  find: () => Promise.resolve(undefined),
} as unknown as Cluster;

async function said(line: string[]): Promise<string> {
  const { code, stdout, stderr } = await fastCtl(line, { cluster: async () => none });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  return stderr.split('\n')[0] ?? '';
}

describe('an empty word, as of a variable that was never set', () => {
  it.each([
    [['uninstall', '--yes', '--kubeconfig', ''], '--kubeconfig'],
    [['status', '--context', ''], '--context'],
    [['maps', 'list', '--node', ''], '--node'],
    [['maps', 'list', '--node='], '--node'],
    [['uninstall', '--without', ''], '--without'],
    [['uninstall', '--without', 'one', ''], '--without'],
    [['ipam', 'forecast', '-n', ''], '--namespace'],
    [['links', '--pin-folder', ''], '--pin-folder'],
    [['trace', 'default/web', 'default/b', '--backend', ''], '--backend'],
    [['trace', '', '10.244.10.1'], '<pod>'],
    [['trace', 'default/web', ''], '<destination>'],
    [['ipam', 'show', ''], '<pool>'],
    [['maps', 'set', 'local_dev', 'fastPath=true', ''], '<words>'],
  ])('is not taken as absent: %j', async (line, name) => {
    expect(await said(line)).toBe(`fast-ctl: ${name} is empty; give it a value, or leave it out`);
  });
});

describe('a word that is none', () => {
  it.each([
    ['help nosuch', "unknown command 'nosuch'"],
    ['help maps nosuch', "unknown command 'nosuch'"],
    ['drops --last 1e3', 'give a whole number from 1 to 1024'],
    ['drops --last 0x10', 'give a whole number from 1 to 1024'],
    ['monitor --count 99999999999999999999', 'give a whole number from 1 on'],
    ['trace a b --port 8e1', 'give a port from 1 to 65535'],
    ['trace 10.1.1.1 10.1.1.2 --backend x', '--backend is "x", and 10.1.1.2 is no Service\'s; write ADDRESS'],
    ['trace 10.1.1.1 10.1.1.2 --backend 10.1.1.3:99999', '--backend is "10.1.1.3:99999", and 10.1.1.2 is no'],
    ['trace pod/web 10.1.1.2', 'before the / stands the namespace, such as default/web'],
    ['maps list --node one', 'there is no node one; the cluster has none'],
  ])('%s is answered by how it is written', async (line, sentence) => {
    expect(await said(line.split(' '))).toContain(sentence);
  });
});

it('a backend by a name is refused where no API server can be asked', async () => {
  expect((await fastCtl('trace 10.1.1.1 10.1.1.2 --backend shop/b')).stderr).toContain(
    '--backend is "shop/b", which is no ADDRESS or ADDRESS:PORT, and what it names was not to be asked: there is no cluster',
  );
});

it('a backend of a pod is refused: only a Service has some', async () => {
  const owner = { kind: 'Pod', namespace: 'default', name: 'b' };
  const items = [{ spec: { owner, state: 'Bound', address: '10.244.10.1', nodeName: 'one' } }];
  const cluster = { ...none, list: () => Promise.resolve({ items }) } as unknown as Cluster;
  const { stderr } = await fastCtl('trace 10.244.10.0 default/b --backend 10.244.10.9', {
    cluster: async () => cluster,
  });
  expect(stderr).toBe('fast-ctl: --backend is of a Service, and default/b is a pod; leave it out\n');
});
