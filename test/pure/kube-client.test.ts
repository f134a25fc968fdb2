// SPDX-License-Identifier: Apache-2.0
// What the client sends, and what it refuses to send, where a slip would reach more than is meant.
import { describe, expect, it } from 'vitest';
import { KubeClient } from '../../src/kube/client.ts';
import { configMaps } from '../../src/kube/resources.ts';
import type { Request, Transport } from '../../src/kube/transport.ts';

/** A client whose requests are noted, and answered one after the other. */
function client(...answers: object[]) {
  const sent: Request[] = [];
  const call = (_attempt: unknown, request: Request) => {
    sent.push(request);
    return Promise.resolve(answers[sent.length - 1]);
  };
  return { client: new KubeClient({ call } as unknown as Transport, 'fast'), sent };
}

const queryOf = ({ path }: Request): URLSearchParams => new URLSearchParams(path.split('?')[1]);

describe('the client', () => {
  it('takes no answer for an empty list that is none: all that is there would read as deleted', async () => {
    const { client: kube } = client({ items: [], metadata: {} });
    await expect(kube.list(configMaps, { namespace: 'a' })).rejects.toThrow('the answer is no list');
  });

  it('asks for the next page by its continuation alone, which the API server refuses beside a revision', async () => {
    const page = { items: [], metadata: { resourceVersion: '7' } };
    const { client: kube, sent } = client({ ...page, metadata: { ...page.metadata, continue: 'more' } }, page);
    await kube.list(configMaps, { namespace: 'a', resourceVersion: '0' });
    expect(sent.map((request) => [queryOf(request).get('resourceVersion'), queryOf(request).get('continue')])).toEqual([
      ['0', null],
      [null, 'more'],
    ]);
  });

  it('deletes the object that is meant and no namesake: by its uid, its version, or both', async () => {
    const { client: kube, sent } = client();
    await kube.delete(configMaps, 'b', { namespace: 'a', uid: 'u' });
    await kube.delete(configMaps, 'b', { namespace: 'a', resourceVersion: '7' });
    await kube.delete(configMaps, 'b', { namespace: 'a' });
    expect(sent.map(({ body }) => (body as { preconditions?: object }).preconditions)).toEqual([
      { uid: 'u', resourceVersion: undefined },
      { uid: undefined, resourceVersion: '7' },
      undefined,
    ]);
  });

  it('deletes no collection for an empty name, and nothing without its namespace', async () => {
    const { client: kube, sent } = client();
    await expect(kube.delete(configMaps, '', { namespace: 'a' })).rejects.toThrow('metadata.name is empty');
    await expect(kube.delete(configMaps, 'b')).rejects.toThrow('live in a namespace and none is given');
    expect(sent).toEqual([]);
  });

  it.each([undefined, ''])('replaces nothing by an object of the version %j', async (resourceVersion) => {
    const { client: kube, sent } = client();
    const metadata = { name: 'b', namespace: 'a', ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    await expect(kube.replace(configMaps, { metadata })).rejects.toThrow('resourceVersion is absent');
    expect(sent).toEqual([]);
  });

  it('takes fields over by force with an apply alone: the API server refuses that of a merge', async () => {
    const { client: kube, sent } = client();
    for (const type of ['apply', 'merge'] as const) {
      await kube.patch(configMaps, 'b', {}, { type, namespace: 'a', force: true });
    }
    expect(sent.map((request) => queryOf(request).get('force'))).toEqual(['true', null]);
  });
});
