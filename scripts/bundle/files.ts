// SPDX-License-Identifier: Apache-2.0
// Every file of the operator bundle and of the catalog but the catalog's entry of the bundle, which OLM's own opm writes.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { configMapName } from '../../src/api/names.ts';
import { imageTag } from '../image-names.ts';
import { type Manifest, manifestsOf, ofKind, theOne } from '../manifests.ts';
import { root } from '../steps.ts';
import { channel, clusterServiceVersion, csvName, description, icon, packageName } from './csv.ts';

export const bundleImage = `sample.fast.io/fast-bundle:${imageTag}`;
export const catalogImage = `sample.fast.io/fast-catalog:${imageTag}`;

/** Said twice, as OLM wants it: by the bundle's annotations and by its image's labels. */
const annotations: Record<string, string> = {
  'operators.operatorframework.io.bundle.mediatype.v1': 'registry+v1',
  'operators.operatorframework.io.bundle.manifests.v1': 'manifests/',
  'operators.operatorframework.io.bundle.metadata.v1': 'metadata/',
  'operators.operatorframework.io.bundle.package.v1': packageName,
  'operators.operatorframework.io.bundle.channels.v1': channel,
  'operators.operatorframework.io.bundle.channel.default.v1': channel,
  'operators.operatorframework.io.test.mediatype.v1': 'scorecard+v1',
  'operators.operatorframework.io.test.config.v1': 'tests/scorecard/',
};

const head = '# Generated from config/ and crds/ by `npm run generate`; do not edit.\n';
const yaml = (value: unknown): string => `${head}${dump(value, { lineWidth: -1, noRefs: true })}`;

const scorecardTests: Array<[suite: string, test: string]> = [
  ['basic', 'basic-check-spec'],
  ['olm', 'olm-bundle-validation'],
  ['olm', 'olm-crds-have-validation'],
  ['olm', 'olm-crds-have-resources'],
  ['olm', 'olm-spec-descriptors'],
  ['olm', 'olm-status-descriptors'],
];

function scorecard(): object {
  const image = 'quay.io/operator-framework/scorecard-test:v1.41.1';
  return {
    apiVersion: 'scorecard.operatorframework.io/v1alpha3',
    kind: 'Configuration',
    metadata: { name: 'config' },
    stages: [
      {
        parallel: true,
        tests: scorecardTests.map(([suite, test]) => ({
          entrypoint: ['scorecard-test', test],
          image,
          labels: { suite, test: `${test}-test` },
        })),
      },
    ],
  };
}

function containerfile(): string {
  const labels = Object.entries(annotations).map(([name, value]) => `LABEL ${name}=${value}`);
  return `${head}FROM scratch
${labels.join('\n')}
COPY bundle/manifests /manifests/
COPY bundle/metadata /metadata/
COPY bundle/tests/scorecard /tests/scorecard/
`;
}

const catalogContainerfile = `${head}# BASE is an image with opm: quay.io/operator-framework/opm, or your own.
ARG BASE=quay.io/operator-framework/opm:latest
FROM \${BASE}
COPY catalog /configs
LABEL operators.operatorframework.io.index.configs.v1=/configs
ENTRYPOINT ["/bin/opm"]
CMD ["serve", "/configs", "--cache-dir=/tmp/cache"]
`;

/** The package and its channel; the bundle's own entry follows in a file of its own. */
function catalogHead(): string {
  const parts = [
    {
      schema: 'olm.package',
      name: packageName,
      defaultChannel: channel,
      description: description(),
      icon: { base64data: icon().base64data, mediatype: icon().mediatype },
    },
    { schema: 'olm.channel', package: packageName, name: channel, entries: [{ name: csvName }] },
  ];
  return head + parts.map((part) => dump(part, { lineWidth: -1 })).join('---\n');
}

/** The rights that are no part of the operator's own: OLM applies the objects as they stand here. */
function eventRights(manifests: readonly Manifest[]): Array<[string, string]> {
  return ['ClusterRole', 'ClusterRoleBinding'].flatMap((kind) =>
    ofKind(manifests, kind)
      .filter(({ metadata }) => metadata.name === 'fast-events')
      .map((one): [string, string] => [
        `bundle/manifests/fast-events_rbac.authorization.k8s.io_v1_${kind.toLowerCase()}.yaml`,
        yaml(one),
      ]),
  );
}

/** Text by path below olm/. CRDs are carried as they are, byte for byte. */
export function bundleFiles(): Map<string, string> {
  const manifests = manifestsOf('config/default');
  const knobs = theOne(manifests, 'ConfigMap', configMapName);
  const { namespace: _, ...metadata } = knobs.metadata;
  const crds = readdirSync(join(root, 'crds'))
    .filter((file) => file !== 'kustomization.yaml')
    .map((file): [string, string] => [
      `bundle/manifests/sample.fast.io_${file}`,
      readFileSync(join(root, 'crds', file), 'utf8'),
    ]);
  return new Map([
    ...crds,
    ...eventRights(manifests),
    ['bundle/manifests/fast.clusterserviceversion.yaml', yaml(clusterServiceVersion())],
    [`bundle/manifests/${configMapName}_v1_configmap.yaml`, yaml({ ...knobs, metadata })],
    ['bundle/metadata/annotations.yaml', yaml({ annotations })],
    ['bundle/tests/scorecard/config.yaml', yaml(scorecard())],
    ['bundle.Containerfile', containerfile()],
    ['catalog/package.yaml', catalogHead()],
    ['catalog.Containerfile', catalogContainerfile],
  ]);
}
