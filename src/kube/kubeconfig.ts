// SPDX-License-Identifier: Apache-2.0
// Finds the kubeconfig and reads it with client-node's KubeConfig, which knows files, contexts, client certificates, tokens
// and exec plugins. The deep import leaves the generated models of every API out of a bundle.

import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { load } from 'js-yaml';
import { usesPodAccount } from './pod-account.ts';

export interface ConfigSource {
  /** A file; absent: $KUBECONFIG, the pod's service account, ~/.kube/config, in this order. */
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** @throws Error that names what was looked for. */
export function loadKubeConfig(source: ConfigSource): KubeConfig {
  const config = new KubeConfig();
  const env = process.env;
  const named = source.kubeconfig === undefined ? (env['KUBECONFIG'] ?? '') : source.kubeconfig;
  try {
    if (source.kubeconfig !== undefined) {
      config.loadFromFile(source.kubeconfig);
    } else if (usesPodAccount(source)) {
      config.loadFromCluster();
    } else {
      config.loadFromDefault();
    }
  } catch (error) {
    const [because] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new Error(`the kubeconfig ${named === '' ? '~/.kube/config' : named} cannot be read: ${because}`, {
      cause: error,
    });
  }
  if (source.context !== undefined) {
    const contexts = config.getContexts().map(({ name }) => name);
    if (!contexts.includes(source.context)) {
      throw new Error(`there is no context ${source.context}; there are ${contexts.join(', ') || 'none'}`);
    }
    config.setCurrentContext(source.context);
  }
  const server = config.getCurrentCluster()?.server;
  const invented = named === '' && server === 'http://localhost:8080';
  if (server === undefined || invented) {
    const where = named === '' ? 'a service account or ~/.kube/config' : named;
    throw new Error(`no cluster found in ${where}: set KUBECONFIG to a file whose current context names a cluster`);
  }
  addTokenFiles(config, source.kubeconfig === undefined ? defaultFiles(named) : [source.kubeconfig]);
  return config;
}

/** Where a cluster was found, for who has to be told that it does not answer. */
export interface ClusterPlace {
  /** Files, or the account of the pod. */
  readonly from: string;
  /** Absent inside a pod, whose account has none. */
  readonly context?: string;
  readonly server: string;
}

/** @throws Error as loadKubeConfig does */
export function placeOfCluster(source: ConfigSource): ClusterPlace {
  const config = loadKubeConfig(source);
  const server = config.getCurrentCluster()?.server ?? '';
  if (usesPodAccount(source)) return { from: "the pod's service account", server };
  const files = source.kubeconfig ?? defaultFiles(process.env['KUBECONFIG'] ?? '').join(', ');
  return { from: files, context: config.getCurrentContext(), server };
}

/** All contexts, whether or not one is chosen. @throws Error where a file cannot be read */
export function contextNames({ kubeconfig }: Pick<ConfigSource, 'kubeconfig'>): string[] {
  const files = kubeconfig === undefined ? defaultFiles(process.env['KUBECONFIG'] ?? '') : [kubeconfig];
  return files.flatMap((file) => {
    const config = new KubeConfig();
    config.loadFromFile(file);
    return config.getContexts().map(({ name }) => name);
  });
}

function defaultFiles(named: string): string[] {
  const files = named === '' ? [join(process.env['HOME'] ?? '', '.kube', 'config')] : named.split(delimiter);
  return files.filter((file) => file !== '' && existsSync(file));
}

interface RawUser {
  readonly name?: string;
  readonly user?: { readonly tokenFile?: string } | null;
}

/**
 * A user's `tokenFile` is client-go's name for a token that is read again and again, and comes before `token`
 * (k8s.io/client-go/tools/clientcmd/api/v1, AuthInfo). client-node 2.0 looks for `token-file` and reads it once: such a
 * user would be anonymous. It knows the same thing under another name, which it uses itself inside a pod.
 */
function addTokenFiles(config: KubeConfig, files: readonly string[]): void {
  const found = new Map<string, string>();
  for (const file of files) {
    const raw = load(readFileSync(file, 'utf8')) as { users?: RawUser[] | null } | null;
    for (const { name, user } of raw?.users ?? []) {
      if (name !== undefined && user?.tokenFile !== undefined && !found.has(name)) {
        found.set(name, resolve(dirname(file), user.tokenFile));
      }
    }
  }
  config.users = config.users.map((user) => {
    const tokenFile = found.get(user.name);
    if (tokenFile === undefined) {
      return user;
    }
    const { token: _, ...rest } = user;
    return { ...rest, authProvider: { name: 'tokenFile', config: { tokenFile } } };
  });
}
