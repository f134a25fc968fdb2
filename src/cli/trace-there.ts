// SPDX-License-Identifier: Apache-2.0
// A half of a trace asked of another node, by the fast-ctl of its agent.
import { execOnNode, runOnNode } from './node-exec.ts';
import { type Cluster, Ended, type Surroundings } from './surroundings.ts';
import type { Sender } from './trace-arrival.ts';
import type { Question, Step } from './trace-steps.ts';

/** A trace that ends in a drop exits with 1, and is an answer like any other. */
const isAnswer = (code: number, stdout: string): boolean => (code === 0 || code === 1) && stdout !== '';

const protocolWords = ({ protocol, port, sourcePort }: Question): string[] => {
  return ['--protocol', protocol, '--port', `${port}`, '--source-port', `${sourcePort}`];
};

/** What is to be said on the pod's node to ask the same. */
function sendingWords(question: Question): string[] {
  const { source, destination, backend } = question;
  const follow = backend === undefined ? [] : ['--backend', `${backend.address}:${backend.port}`];
  return ['trace', source, destination, ...protocolWords(question), '-o', 'json', ...follow];
}

/** What is to be said on the node that receives it. */
export function receivingWords(question: Question, { address, way }: Sender): string[] {
  const { source, destination } = question;
  const direct = way === 'direct' ? ['--direct'] : [];
  return ['trace', source, destination, ...protocolWords(question), '--arrives-from', address, ...direct];
}

/** @throws Ended with what the fast-ctl there said, where it did not answer the question */
export async function traceThere(s: Surroundings, cluster: Cluster, node: string, question: Question): Promise<Step[]> {
  let said = '';
  const print = (text: string): void => void (said += text);
  const code = await runOnNode(cluster, node, sendingWords(question), { ...s, print });
  if (isAnswer(code, said)) return JSON.parse(said) as Step[];
  s.print(said);
  throw new Ended(code);
}

/** @throws Error that says why there is no answer: the sender's half stands by itself; Ended where a person ended it */
export async function arrivalThere(
  { stopped }: Pick<Surroundings, 'stopped'>,
  cluster: Cluster,
  node: string,
  words: readonly string[],
): Promise<Step[]> {
  const said = { stdout: '', stderr: '' };
  const code = await execOnNode(cluster, node, [...words, '-o', 'json'], {
    stdout: (text) => void (said.stdout += text),
    stderr: (text) => void (said.stderr += text),
    signal: stopped,
  });
  if (stopped.aborted) throw new Ended(code);
  if (isAnswer(code, said.stdout)) return JSON.parse(said.stdout) as Step[];
  const [line = ''] = said.stderr.split('\n');
  throw new Error(`its fast-ctl says: ${line.replace(/^fast-ctl: /, '') || `nothing, with exit code ${code}`}`);
}
