// SPDX-License-Identifier: Apache-2.0
// The cluster's command line.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import * as cluster from './cluster.ts';
import { kubeconfigOf } from './daemons.ts';
import { Interruption, leftBehind } from './interruption.ts';
import { insideMachine } from './machine.ts';
import { markedEnvironment } from './run.ts';
import { binFolder, kubernetesVersion } from './paths.ts';
import { controlPlaneName, readState } from './state.ts';

const say = (line: string): void => console.log(line);

const interruption = new Interruption(say, () => readState()?.phase);

const farewell = `
The cluster is yours:
  export KUBECONFIG=${cluster.kubeconfigPath}
  export PATH=${binFolder}:$PATH
  kubectl get nodes
Nodes stay NotReady until a pod network is installed. "npm run cluster -- shell NODE" opens a shell on a machine,
"npm run cluster -- down" ends it all.`;

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

async function up(options: { nodes?: number }): Promise<void> {
  interruption.listen();
  const startMs = Date.now();
  const workers = options.nodes === undefined ? {} : { workers: options.nodes };
  await cluster.up({ ...workers, say, signal: interruption.signal });
  say(`${((Date.now() - startMs) / 1000).toFixed(1).padStart(7)} s  in all`);
  say(farewell);
}

async function status(options: { output: string }): Promise<void> {
  const now = await cluster.status();
  if (options.output === 'json') return say(JSON.stringify(now, undefined, 2));
  if (now.state === 'down') return say('There is no cluster. "npm run cluster -- up" starts one.');
  if (now.state === 'incomplete')
    return say('Remains of a cluster that never came up. "up" and "down" both remove them.');
  say(`API server: ${now.api}\nKUBECONFIG: ${now.kubeconfig}\n`);
  say(
    ['MACHINE', 'ADDRESS', 'ROLE', 'POWER', 'READY']
      .map((word) => word.padEnd(16))
      .join('')
      .trimEnd(),
  );
  for (const one of now.machines) {
    say(
      [one.name, one.address, one.role, one.power, one.ready]
        .map((word) => word.padEnd(16))
        .join('')
        .trimEnd(),
    );
  }
}

function shell(node: string): void {
  cluster.checkMachine(node);
  const marked = markedEnvironment(node);
  const path = `${dirname(process.execPath)}:${binFolder}:${marked['PATH'] ?? ''}`;
  const own = {
    TERM: process.env['TERM'] ?? 'dumb',
    KUBECONFIG: kubeconfigOf(node, 'kubectl'),
    PATH: path,
    PS1: `${node}:\\w# `,
  };
  const prompt = { ...marked, ...own };
  const [program = '', ...rest] = insideMachine(node, ['/bin/bash', '--norc']);
  process.exitCode = spawnSync(program, rest, { stdio: 'inherit', env: prompt }).status ?? 1;
}

async function told(node: string, word: string, work: (node: string) => Promise<void>): Promise<void> {
  const startMs = Date.now();
  await work(node);
  say(`${node} is ${word} (${((Date.now() - startMs) / 1000).toFixed(1)} s).`);
}

const program = new Command('cluster').description(
  `A real Kubernetes ${kubernetesVersion} cluster on this machine: each node is a set of namespaces.`,
);
program
  .command('up')
  .description('start the cluster: york-master and the workers')
  .option('--nodes <n>', 'how many workers, 1 to 20 (default: 2)', wholeNumber)
  .action(up);
program
  .command('down')
  .description('end the cluster and remove all of it')
  .action(() => cluster.down(say));
program
  .command('status')
  .description('show machines and Nodes')
  .addOption(new Option('-o, --output <format>', 'how to print it').choices(['text', 'json']).default('text'))
  .action(status);
program
  .command('shell')
  .description('open a shell on a machine')
  .argument('[node]', 'the machine', controlPlaneName)
  .action(shell);
program
  .command('power-cut')
  .description('end every process and the network of a machine at once; its disks stay')
  .argument('<node>')
  .action((node: string) => told(node, 'off', cluster.powerCut));
program
  .command('power-on')
  .description('switch a machine on again, with the disks it had')
  .argument('<node>')
  .action((node: string) => told(node, 'on', cluster.powerOn));

try {
  await program.parseAsync();
} catch (cause) {
  console.error(`cluster: ${cause instanceof Error ? cause.message : String(cause)}`);
  if (interruption.exitCode !== undefined) say(leftBehind((await cluster.status()).state));
  process.exitCode = interruption.exitCode ?? 1;
}
