// SPDX-License-Identifier: Apache-2.0
// The limit: what any client of the API server has to do and nothing else. Undici's pool with as many kept connections as
// ours, one request, the whole answer read, its status looked at, its JSON parsed. (undici's lower door, dispatch(), takes
// the server just as long.) No time limits, no retries, no errors with names, no metrics, no credentials that change.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Dispatcher, Pool } from 'undici';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { ApiServer } from '../../test/cluster/api-server.ts';

const path = '/apis/sample.fast.io/v1alpha1/ipallocations';
const headers = { accept: 'application/json', 'user-agent': 'fast-bench' };
const bodyHeaders = { ...headers, 'content-type': 'application/json' };

export interface BareList {
  readonly items: IpAllocation[];
  readonly resourceVersion: string;
}

interface Page {
  readonly items: IpAllocation[];
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
}

export class Bare {
  readonly #pool: Pool;

  constructor(server: Pick<ApiServer, 'url' | 'pki'>, connections: number) {
    const read = (name: string): Buffer => readFileSync(join(server.pki, name));
    const connect = { ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key') };
    const noLimits = { headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 60_000 };
    this.#pool = new Pool(server.url, { connect, connections, allowH2: false, ...noLimits });
  }

  async create(record: IpAllocation): Promise<void> {
    const created = { path: `${path}?fieldManager=bench`, method: 'POST' as const, headers: bodyHeaders };
    await this.#call({ ...created, body: JSON.stringify(record) }, 201);
  }

  async get(name: string): Promise<void> {
    await this.#call({ path: `${path}/${name}`, method: 'GET', headers }, 200);
  }

  /**
   * Page after page, since each names the next, or with a size of 0 all in one answer; all objects kept, as whoever asks
   * for a list wants them.
   */
  async list(pageSize: number): Promise<BareList> {
    const items: IpAllocation[] = [];
    let query = '';
    for (;;) {
      const url = `${path}?limit=${pageSize}${query}`;
      const page = (await this.#call({ path: url, method: 'GET', headers }, 200)) as Page;
      for (const item of page.items) items.push(item);
      const next = page.metadata.continue ?? '';
      if (next === '') return { items, resourceVersion: page.metadata.resourceVersion };
      query = `&continue=${encodeURIComponent(next)}`;
    }
  }

  /**
   * Reads `count` events of a watch from a revision on, line by line and each line as JSON, and hands them to nobody.
   * Answers the milliseconds from the first to the last.
   */
  async watch(resourceVersion: string, count: number): Promise<number> {
    const url = `${path}?watch=1&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`;
    const { statusCode, body } = await this.#pool.request({ path: url, method: 'GET', headers });
    if (statusCode !== 200) throw new Error(`the bare watch was answered with ${statusCode}: ${await body.text()}`);
    let rest: Buffer = Buffer.alloc(0);
    let heard = 0;
    let firstMs = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
        const event = JSON.parse(bytes.toString('utf8', from, end)) as { type: string };
        if (event.type === 'ADDED') heard += 1;
        if (heard === 1) firstMs = performance.now();
        if (heard === count) return performance.now() - firstMs;
        from = end + 1;
      }
      rest = bytes.subarray(from);
    }
    throw new Error(`the bare watch ended after ${heard} of ${count} events`);
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #call(request: Dispatcher.RequestOptions, status: number): Promise<unknown> {
    const { statusCode, body } = await this.#pool.request(request);
    const text = await body.text();
    if (statusCode !== status)
      throw new Error(`${request.method} ${request.path}: ${statusCode} ${text.slice(0, 200)}`);
    return JSON.parse(text) as unknown;
  }
}
