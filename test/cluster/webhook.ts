// SPDX-License-Identifier: Apache-2.0
// An admission webhook that a pod serves: the API server calls it from another machine, by a Service.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kubectl } from './cluster.ts';
import { kube } from './fast.ts';
import { pkiFolder } from './paths.ts';

const configuration = (): object => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'directions', labels: { stage: 'directions' } },
  webhooks: [
    {
      name: 'directions.test.fast.io',
      clientConfig: {
        service: { namespace: 'default', name: 'beside', port: 443 },
        caBundle: readFileSync(join(pkiFolder, 'ca.crt')).toString('base64'),
      },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
      objectSelector: { matchLabels: { look: 'please' } },
      failurePolicy: 'Fail',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      timeoutSeconds: 5,
    },
  ],
});

/** Has the API server ask the pod. The answer is the pod's: what bears the label `refuse` is refused by its words. */
async function judged(labels: Record<string, string>): Promise<string> {
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'judged', labels: { look: 'please', ...labels } },
  };
  const { code, stderr } = await kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(object));
  return code === 0 ? 'allowed' : stderr.trim();
}

/** The answers of the webhook to `count` requests of each kind, without repetition. */
export async function webhookAnswers(count: number): Promise<{ plain: string[]; refused: string[] }> {
  await kube(['apply', '-f', '-'], JSON.stringify(configuration()));
  try {
    const many = (labels: Record<string, string>): Promise<string[]> =>
      Promise.all(Array.from({ length: count }, () => judged(labels)));
    const [plain, refused] = [await many({}), await many({ refuse: 'me' })];
    return { plain: [...new Set(plain)], refused: [...new Set(refused)] };
  } finally {
    await kube(['delete', 'validatingwebhookconfiguration', 'directions']);
  }
}
