// SPDX-License-Identifier: Apache-2.0
// An API server and its etcd alone, as two processes on 127.0.0.1: the tests of what talks to the API need no machine
// and no root. Nothing runs pods here, so ServiceAccount admission, which waits for a controller, is off.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitForApi } from './api-request.ts';
import { freePort } from './bring-up.ts';
import { adminOrder, apiServerOrder, createAuthorities, sign } from './certificates.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { ensureKubernetes } from './kubernetes.ts';
import { programPath } from './paths.ts';
import type { Say } from './progress.ts';
import type { RunResult } from './run.ts';
import { run } from './run.ts';

export interface ApiServer {
  /** Path of a kubeconfig with administrator's rights. */
  kubeconfig: string;
  /** E.g. `https://127.0.0.1:40123`; it does not change with a restart. */
  url: string;
  /** Folder with ca.crt, admin.crt and admin.key, PEM. */
  pki: string;
  /** The process id of kube-apiserver; another one after a restart. */
  readonly pid: number;
  kubectl(args: readonly string[], stdin?: string): Promise<RunResult>;
  /** Kills both processes without warning and starts them on the same data and ports; comes back when ready. */
  restart(): Promise<void>;
  /** Restarts both, and keeps the data as it is between the two. */
  backup(): Promise<void>;
  /** Restarts both on the data of the last backup: all that was written since is undone, and revisions begin from there. */
  restore(): Promise<void>;
  /** Ends both processes and removes the data. */
  stop(): Promise<void>;
}

interface Ports {
  api: number;
  etcd: number;
  peer: number;
}

const etcdCommand = (folder: string, ports: Ports): string[] => [
  programPath('etcd'),
  `--data-dir=${join(folder, 'etcd')}`,
  '--unsafe-no-fsync',
  '--log-level=warn',
  ...['listen-client-urls', 'advertise-client-urls'].map((flag) => `--${flag}=http://127.0.0.1:${ports.etcd}`),
  ...['listen-peer-urls', 'initial-advertise-peer-urls'].map((flag) => `--${flag}=http://127.0.0.1:${ports.peer}`),
  `--initial-cluster=default=http://127.0.0.1:${ports.peer}`,
];

const apiCommand = (pki: string, ports: Ports): string[] => [
  programPath('kube-apiserver'),
  `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
  '--bind-address=127.0.0.1',
  // Clients in the root namespace reach it here; a loopback address may not be an Endpoint's, so none is published.
  '--endpoint-reconciler-type=none',
  `--secure-port=${ports.api}`,
  `--tls-cert-file=${join(pki, 'apiserver.crt')}`,
  `--tls-private-key-file=${join(pki, 'apiserver.key')}`,
  `--client-ca-file=${join(pki, 'ca.crt')}`,
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-signing-key-file=${join(pki, 'service-accounts.key')}`,
  `--service-account-key-file=${join(pki, 'service-accounts.pub')}`,
  '--service-cluster-ip-range=10.96.0.0/16',
  '--authorization-mode=Node,RBAC',
  '--enable-admission-plugins=NodeRestriction',
  '--disable-admission-plugins=ServiceAccount',
  '--allow-privileged=true',
];

/** Starts a program that the kernel ends with this process, however that ends. */
function startBound(argv: readonly string[], log: string): ChildProcess {
  const output = openSync(log, 'a');
  const child = spawn('setpriv', ['--pdeathsig=KILL', '--', ...argv], { stdio: ['ignore', output, output] });
  closeSync(output);
  child.on('error', () => undefined); // A program that does not start shows in the wait for it.
  return child;
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

const lastLines = (log: string): string => readFileSync(log, 'utf8').split('\n').slice(-8).join('\n');

/** Starts an API server on free ports of 127.0.0.1, ready to be used. Builds Kubernetes first if it has to. */
export async function startApiServer(say: Say = () => undefined): Promise<ApiServer> {
  await ensureKubernetes(say);
  const folder = mkdtempSync(join(tmpdir(), 'fast-api-'));
  const [pki, kubeconfig] = [join(folder, 'pki'), join(folder, 'kubeconfig')];
  const ports: Ports = { api: await freePort(), etcd: await freePort(), peer: await freePort() };
  const url = `https://127.0.0.1:${ports.api}`;
  let running: ChildProcess[] = [];

  const start = async (): Promise<void> => {
    const log = join(folder, 'kube-apiserver.log');
    running = [
      startBound(etcdCommand(folder, ports), join(folder, 'etcd.log')),
      startBound(apiCommand(pki, ports), log),
    ];
    await waitForApi({ pki, port: ports.api }, 60_000).catch((cause: unknown) => {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${lastLines(log)}`, { cause });
    });
  };
  const halt = async (): Promise<void> => {
    await Promise.all(running.map(end));
  };
  const [data, kept] = [join(folder, 'etcd'), join(folder, 'etcd.backup')];
  const replace = async (to: string, from: string): Promise<void> => {
    await halt();
    await rm(to, { recursive: true, force: true });
    await cp(from, to, { recursive: true });
    await start();
  };
  const stop = async (): Promise<void> => {
    await halt();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await createAuthorities(pki);
    await Promise.all([apiServerOrder(['127.0.0.1', '10.96.0.1']), adminOrder].map((order) => sign(pki, order)));
    writeKubeconfig(kubeconfig, pki, 'admin', url);
    await start();
  } catch (cause) {
    await stop();
    throw cause;
  }
  return {
    kubeconfig,
    url,
    pki,
    get pid() {
      return running[1]?.pid ?? 0;
    },
    kubectl: (args, stdin) =>
      run([programPath('kubectl'), ...args], {
        env: { KUBECONFIG: kubeconfig },
        ...(stdin === undefined ? {} : { stdin }),
      }),
    restart: () => halt().then(start),
    backup: () => replace(kept, data),
    restore: () => replace(data, kept),
    stop,
  };
}
