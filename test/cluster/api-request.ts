// SPDX-License-Identifier: Apache-2.0
// The few calls to the API server that bringing a cluster up needs: starting kubectl for each would cost more time than
// everything else.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { waitFor } from './run.ts';

export interface ApiAccess {
  /** A folder with ca.crt, admin.crt and admin.key. */
  pki: string;
  port: number;
}

export interface ApiAnswer {
  status: number;
  text: string;
}

/** One request to 127.0.0.1. A body is sent as JSON, as a merge patch where the method is PATCH. */
export function apiRequest(access: ApiAccess, method: string, path: string, body?: unknown): Promise<ApiAnswer> {
  const file = (name: string): Buffer => readFileSync(join(access.pki, name));
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: access.port,
        method,
        path,
        ca: file('ca.crt'),
        cert: file('admin.crt'),
        key: file('admin.key'),
        agent: false,
        timeout: 10_000,
        headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      },
    );
    call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer within 10 s`)));
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Whether the API server says it is ready, or why not. */
export async function apiHealth(access: ApiAccess): Promise<string> {
  try {
    const answer = await apiRequest(access, 'GET', '/readyz');
    return answer.status === 200 ? 'ready' : `not ready: ${answer.status} ${answer.text.slice(0, 200)}`;
  } catch (cause) {
    return `not reachable: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

export async function waitForApi(access: ApiAccess, limitMs: number, signal?: AbortSignal): Promise<void> {
  let last = '';
  await waitFor(
    'the API server',
    limitMs,
    async () => {
      last = await apiHealth(access);
      return last === 'ready' ? true : undefined;
    },
    signal,
  ).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)} (${last})`, { cause });
  });
}

export interface NodeView {
  name: string;
  ready: 'True' | 'False' | 'Unknown';
}

interface NodeList {
  items: { metadata: { name: string }; status?: { conditions?: { type: string; status: NodeView['ready'] }[] } }[];
}

/** The Nodes that the API server knows. @throws Error with its answer, if it is not a list. */
export async function listNodes(access: ApiAccess): Promise<NodeView[]> {
  const answer = await apiRequest(access, 'GET', '/api/v1/nodes');
  if (answer.status !== 200) throw new Error(`GET /api/v1/nodes: ${answer.status} ${answer.text.slice(0, 500)}`);
  return (JSON.parse(answer.text) as NodeList).items.map((node) => ({
    name: node.metadata.name,
    ready: node.status?.conditions?.find((one) => one.type === 'Ready')?.status ?? 'Unknown',
  }));
}
