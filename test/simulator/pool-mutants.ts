// SPDX-License-Identifier: Apache-2.0
// Builds that are broken on purpose in what pods ask of pools: gates, annotations of namespaces, the addresses of Services.
import type { Mutant } from './mutants.ts';

export const poolMutants: readonly Mutant[] = [
  {
    name: 'gates as often as there is one address',
    what: 'a gated pod is let through though the last address is for one that was let through before',
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/scheduling-gate.ts',
        find: 'if (each.pool === pool && each.uid !== uid) count += 1;',
        put: 'if (each.pool === pool && each.uid !== uid) count += 0;',
      },
    ],
  },
  {
    name: 'gates shut for good',
    what: 'a pod that has its address is taken for one that expects it, and those behind it are never let through',
    from: 21,
    edits: [
      {
        file: 'src/reconcilers/pod-reconciler.ts',
        find: '    book.expected.forget(key);\n    const { before } = result;',
        put: '    const { before } = result;',
      },
      { file: 'src/reconcilers/scheduling-gate.ts', find: ' && !book.isServed(identityOf(pod));', put: ';' },
      {
        file: 'src/reconcilers/router.ts',
        find: "const spared = type === 'deleted' ? undefined : book.expected.serve(spec.owner);",
        put: 'const spared = undefined;',
      },
    ],
  },
  {
    name: 'namespace before pod',
    what: "a namespace's annotation wins over its pods'",
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/candidates.ts',
        find: 'if (named.length > 0) return named;',
        put: 'if (named.length > 0 && namesIn(namespace.metadata.annotations?.[poolAnnotation]).length === 0) return named;',
      },
    ],
  },
  {
    name: 'namespaces are never read again',
    what: 'the annotation that a namespace had at first holds for good',
    from: 21,
    edits: [
      {
        file: 'src/reconcilers/candidates.ts',
        find: 'const inherited = namesIn(namespace.metadata.annotations?.[poolAnnotation]);',
        put: `const { book } = world as { book: { firstOf_?: Map<string, string> } };
  book.firstOf_ ??= new Map();
  const first = book.firstOf_.get(namespace.metadata.name) ?? namespace.metadata.annotations?.[poolAnnotation];
  if (first !== undefined) book.firstOf_.set(namespace.metadata.name, first);
  const inherited = namesIn(first);`,
      },
    ],
  },
  {
    name: "Services' addresses given out",
    what: "a pool gives out what it declares, the Services' range with it",
    from: 11,
    edits: [
      {
        file: 'src/reconcilers/kept-addresses.ts',
        find: 'return declared.subtract(setOf(kept)).subtract(this.#services.addresses);',
        put: 'return declared.subtract(setOf(kept));',
      },
    ],
  },
];
