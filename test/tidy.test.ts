// SPDX-License-Identifier: Apache-2.0
// The house rules as a test: layers, purity, size of functions and files, names, words that must not stay.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { mutants } from './simulator/mutants.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
const files = listed.split('\n').filter((file) => file !== '' && existsSync(join(root, file)));
const sources = files.filter((file) => file.endsWith('.ts') || file.endsWith('.mjs'));
const written = sources.filter((file) => !file.includes('/generated/'));
const text = (file: string): string => readFileSync(join(root, file), 'utf8');

/** What each layer may import of ours. A folder that is not listed here may be imported by nobody but itself. */
const layers: Record<string, string[]> = {
  'src/ip': [],
  'src/api': ['src/ip'],
  'src/datapath': ['src/api', 'src/ip'],
  'src/wiring': ['src/api', 'src/ip'],
  'src/protocol': ['src/api'],
  'src/reconcilers': ['src/api', 'src/ip'],
  'src/kube': ['src/api'],
  'packages/ebpf-native': [],
  'src/operator': ['src/reconcilers', 'src/kube', 'src/api', 'src/ip'],
  'src/node': ['src/wiring', 'src/datapath', 'src/protocol', 'src/kube', 'src/api', 'src/ip', 'packages/ebpf-native'],
  'src/cni': ['src/protocol', 'src/api'],
  'src/cli': ['src/reconcilers', 'src/datapath', 'src/kube', 'src/api', 'src/ip', 'packages/ebpf-native'],
};
const pure = ['src/ip', 'src/api', 'src/datapath', 'src/wiring', 'src/protocol', 'src/reconcilers'];
const layerOf = (file: string): string | undefined => Object.keys(layers).find((layer) => file.startsWith(`${layer}/`));

interface Import {
  from: string;
  specifier: string;
}

function importsOf(file: string): Import[] {
  const found = text(file).matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import '([^']+)'/g,
  );
  return [...found].map((match) => ({ from: file, specifier: match[1] ?? match[2] ?? match[3] ?? '' }));
}

function targetOf({ from, specifier }: Import): string {
  if (specifier === 'ebpf-native') return 'packages/ebpf-native/src/index.ts';
  return specifier.startsWith('.') ? relative(root, join(root, dirname(from), specifier)) : specifier;
}

const imports = sources.flatMap(importsOf);

/** Functions by their braces: good enough for code that the formatter has laid out. */
function longFunctions(file: string): string[] {
  const lines = text(file).split('\n');
  const opening =
    /^(\s*)(?:export )?(?:(?:async )?function\*? |(?:(?:static|private|protected|public|override|async|get|set) )*[#\w]+\([^)]*\)?.*\{$|(?:const|let) [\w]+ = (?:async )?\(.*=> \{$)/;
  const control = /^\s*(?:if|for|while|switch|catch|else|do|try|return|describe|it|test)\b/;
  return lines.flatMap((line, start) => {
    const indent = opening.exec(line)?.[1];
    if (indent === undefined || control.test(line)) return [];
    const end = lines.findIndex(
      (later, at) => at > start && later.startsWith(`${indent}}`) && !later.startsWith(`${indent}} `),
    );
    const length = end - start + 1;
    return end > 0 && length > 70 ? [`${file}:${start + 1} has ${length} lines`] : [];
  });
}

describe('the house', () => {
  it('lets imports point down the layers only', () => {
    const wrong = imports.filter((one) => {
      const from = layerOf(one.from);
      const to = layerOf(targetOf(one));
      if (from === undefined || from === to) return false;
      if (to === undefined) return targetOf(one).startsWith('src/') || /^(?:test|scripts|bench)\//.test(targetOf(one));
      return !layers[from]?.includes(to);
    });
    expect(wrong.map((one) => `${one.from} imports ${one.specifier}`)).toEqual([]);
  });

  it('imports the operator base in src/operator alone', () => {
    const wrong = imports.filter(
      (one) => one.specifier === '@dot-i/k8s-operator' && !one.from.startsWith('src/operator/'),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps clock, randomness, process and console out of the pure layers', () => {
    const impure =
      /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.|process\.|console\.|setTimeout|setInterval|crypto\.)|from 'node:/;
    const wrong = written.filter(
      (file) => pure.some((layer) => file.startsWith(`${layer}/`)) && impure.test(code(file)),
    );
    expect(wrong).toEqual([]);
  });

  it('has no file that nothing reaches', () => {
    const named = files
      .filter((file) => /\.(?:mjs|json|ts|sh|rs|Containerfile)$|^\.ci\/run$/.test(file))
      .map(text)
      .join('\n');
    const reached = new Set(imports.map(targetOf));
    const dead = written.filter((file) => {
      if (/\.(?:test|bench)\.ts$|\/main\.ts$|\/index\.ts$|^vitest\.config\.ts$/.test(file) || reached.has(file))
        return false;
      return !new RegExp(`['/]${file.split('/').at(-1)?.replaceAll('.', '\\.')}['" ]`).test(named);
    });
    expect(dead).toEqual([]);
  });

  it('has no function of more than 70 lines', () => {
    expect(written.flatMap(longFunctions)).toEqual([]);
  });

  it('has no file of more than 350 lines', () => {
    expect(written.filter((file) => text(file).split('\n').length > 351)).toEqual([]);
  });

  it('leaves no note for later and no lone test', () => {
    const words = new RegExp(['TO' + 'DO', 'FIX' + 'ME', '\\.on' + 'ly\\('].join('|'));
    expect(written.filter((file) => words.test(text(file)))).toEqual([]);
  });

  it('names files in kebab-case, and none by a word that says nothing', () => {
    const bad = /[A-Z_]|\b(?:utils?|helpers?|common|manager|service)\b/;
    const names = sources.map((file) => file.split('/').at(-1) ?? '');
    expect(names.filter((name) => bad.test(name))).toEqual([]);
  });

  it('has one place for each change of the builds that the simulator must find broken', () => {
    const edits = mutants.flatMap(({ name, edits: all }) => all.map((edit) => ({ name, ...edit })));
    const lost = edits.filter(({ file, find }) => text(file).split(find).length !== 2);
    expect(lost.map(({ name, file }) => `"${name}" of test/simulator/mutants.ts finds no place in ${file}`)).toEqual(
      [],
    );
  });

  it('says its license and its purpose at the head of every source file', () => {
    const heads = [...written, ...files.filter((file) => /^bpf\/.*\.[ch]$/.test(file))];
    expect(heads.filter((file) => !/^(?:#!.*\n)?\/\/ SPDX-License-Identifier: /.test(text(file)))).toEqual([]);
  });
});

/** A file without its comments and strings, so that words in them break no rule. */
function code(file: string): string {
  return text(file)
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(^|\s)\/\/.*$/gm, '')
    .replaceAll(/`[^`]*`/g, '``');
}
