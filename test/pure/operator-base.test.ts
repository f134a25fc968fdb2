// SPDX-License-Identifier: Apache-2.0
// The base class of the operator: what of it Fast uses, what it brings along, and what stands in for its CRD registration.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadYaml } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import { type CustomResourceDefinition, crdNameOf, problemOfCrd } from '../../src/operator/crds.ts';
import { endpointKind, poolKind, recordKind } from '../../src/operator/kinds.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the operator base', () => {
  it('brings neither request nor tough-cookie, which have open CVEs', async () => {
    // npm answers with exit code 1 where it finds nothing, so that the text tells.
    const listed = await new Promise<string>((resolve) => {
      execFile('npm', ['ls', 'request', 'tough-cookie'], { cwd: root }, (_error, stdout) => resolve(stdout));
    });
    expect(listed).toContain('(empty)');
  });

  it('lends its frame alone: nothing calls its watch, its writers or its path builder', () => {
    const unsound =
      /\b(?:watchResource|setResourceStatus|patchResourceStatus|setResourceFinalizers|handleResourceFinalizer|getCustomResourceApiUri|k8sApi|kubeConfig)\b(?=\s*[(.])/;
    const sources = readdirSync(join(root, 'src/operator')).map((file) => [
      file,
      readFileSync(join(root, 'src/operator', file), 'utf8'),
    ]);
    expect(sources.filter(([, text = '']) => unsound.test(text)).map(([file]) => file)).toEqual([]);
  });
});

describe('the CRDs', () => {
  const read = (plural: string): CustomResourceDefinition => {
    // By its kind client-node would make its typed model of it, which spells x-kubernetes-* in a way of its own.
    const text = readFileSync(join(root, `crds/${plural}.yaml`), 'utf8').replace(/^kind: .*$/m, 'kind: Plain');
    const status = { conditions: [{ type: 'Established', status: 'True' as const }] };
    return { ...loadYaml<CustomResourceDefinition>(text), status };
  };
  const changed = (change: (crd: CustomResourceDefinition) => void): CustomResourceDefinition => {
    const crd = structuredClone(read('ipallocations'));
    change(crd);
    return crd;
  };
  const version = (crd: CustomResourceDefinition): CustomResourceDefinition['spec']['versions'][number] => {
    const [first] = crd.spec.versions;
    if (first === undefined) throw new Error('no version');
    return first;
  };

  it('in crds/ are as the operator asks for them, once they are established', () => {
    for (const kind of [poolKind, recordKind, endpointKind])
      expect(problemOfCrd(kind, read(kind.plural))).toBe(undefined);
    expect(crdNameOf(poolKind)).toBe('ipses.sample.fast.io');
  });

  it.each([
    ['is missing', undefined],
    ['is not established', changed((crd) => delete crd.status)],
    [
      'is not accepted ("ipa" is already in use)',
      changed((crd) => {
        const message = '"ipa" is already in use';
        crd.status = { conditions: [{ type: 'NamesAccepted', status: 'False', message }] };
      }),
    ],
    ['serves v1 and not v1alpha1', changed((crd) => void (version(crd).name = 'v1'))],
    ['has no subresource status', changed((crd) => delete version(crd).subresources)],
    [
      'has lost its validation rules',
      // What is left when a client reads it into its typed model and writes it back.
      changed((crd) => {
        const text = JSON.stringify(crd, (key, value: unknown) =>
          key.startsWith('x-kubernetes-') ? undefined : value,
        );
        crd.spec = (JSON.parse(text) as CustomResourceDefinition).spec;
      }),
    ],
  ])('that are wrong are named with the cure: "%s"', (because, crd) => {
    expect(problemOfCrd(recordKind, crd)).toBe(`CRD ipallocations.sample.fast.io ${because}; kubectl apply -k crds`);
  });
});
