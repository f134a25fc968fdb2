// SPDX-License-Identifier: Apache-2.0
// What every command of fast-ctl shares: formats, colours, completion, and the way to another node.
import { describe, expect, it } from 'vitest';
import { withoutFlags } from '../../src/cli/agent-pod.ts';
import { formatRows } from '../../src/cli/output.ts';
import type { Cluster, Surroundings } from '../../src/cli/surroundings.ts';
import { formatTable } from '../../src/cli/table.ts';
import { colours } from '../../src/cli/tones.ts';
import { fastCtl } from './cli-shell.ts';

const columns = [
  { title: 'POOL', field: 'pool' },
  { title: 'FREE', field: 'free', isRightAligned: true },
  { title: 'WELL', field: 'well', tone: (text: string) => (text === 'yes' ? ('good' as const) : ('bad' as const)) },
  { title: 'NOTE', field: 'note', isWide: true },
];
const rows = [
  { pool: 'sample-ips', free: 7, well: 'yes', note: 'a' },
  { pool: 'p', free: 20_481, well: 'no', note: 'b' },
];

describe('rows', () => {
  it('are a table with aligned columns, numbers to the right', () => {
    expect(formatRows(columns, rows, 'table', { nothing: 'none' })).toBe(
      ['POOL          FREE   WELL', 'sample-ips       7   yes', 'p            20481   no', ''].join('\n'),
    );
  });

  it('have more columns when wide', () => {
    expect(formatRows(columns, rows, 'wide', { nothing: 'none' }).split('\n')[1]).toBe('sample-ips       7   yes    a');
  });

  it('are all fields as JSON and as YAML', () => {
    expect(JSON.parse(formatRows(columns, rows, 'json', { nothing: 'none' }))).toEqual(rows);
    expect(formatRows(columns, rows.slice(0, 1), 'yaml', { nothing: 'none' })).toBe(
      '- pool: sample-ips\n  free: 7\n  well: yes\n  note: a\n'.replace('well: yes', "well: 'yes'"),
    );
  });

  it('are a sentence when there is none, and still data for a program', () => {
    expect(formatRows(columns, [], 'table', { nothing: 'no pools yet' })).toBe('no pools yet\n');
    expect(formatRows(columns, [], 'json', { nothing: 'no pools yet' })).toBe('[]\n');
  });

  it('line up the same with colours', () => {
    const painted = formatTable(columns, rows, colours);
    // eslint-disable-next-line no-control-regex -- the escape of a colour is what the test looks for
    expect(painted.replaceAll(/\u001b\[\d+m/g, '')).toBe(formatTable(columns, rows));
    expect(painted).toContain('\u001b[32myes\u001b[39m');
  });
});

/** A cluster of one node that has an agent, and one that has none. */
function oneAgent(asked: { command?: readonly string[] }, code = 0): Cluster {
  const list = (resource: { plural: string }, options: { fieldSelector?: string } = {}) => {
    const agent = { metadata: { name: 'fast-agent-x' }, status: { phase: 'Running' } };
    const items =
      resource.plural === 'nodes'
        ? [{ metadata: { name: 'one' } }, { metadata: { name: 'two' } }]
        : options.fieldSelector === 'spec.nodeName=one'
          ? [agent]
          : [];
    return Promise.resolve({ items, resourceVersion: '1' });
  };
  const exec: Cluster['exec'] = (_target, command, { stdout }) => {
    asked.command = command;
    stdout('from there\n');
    return Promise.resolve(code);
  };
  return { list, exec } as unknown as Cluster;
}

describe('--node', () => {
  it("runs the same line in the agent's pod of that node, and ends as it ended there", async () => {
    const asked: { command?: readonly string[] } = {};
    const line = '--context c maps list counters --node one -o json --kubeconfig=/k';
    const shown = await fastCtl(line, { cluster: () => Promise.resolve(oneAgent(asked, 3)) });
    expect(shown).toEqual({ code: 3, stdout: 'from there\n', stderr: '' });
    expect(asked.command).toEqual(['fast-ctl', 'maps', 'list', 'counters', '-o', 'json']);
  });

  it('hands the flags of the cluster to who connects', async () => {
    let choice: object = {};
    await fastCtl('maps list --node one --kubeconfig /k --context c', {
      cluster: (chosen) => {
        choice = chosen;
        return Promise.resolve(oneAgent({}));
      },
    });
    expect(choice).toMatchObject({ kubeconfig: '/k', context: 'c' });
  });

  it('says which nodes there are when it names none of them, and where no agent runs', async () => {
    const cluster = () => Promise.resolve(oneAgent({}));
    expect((await fastCtl('maps list --node three', { cluster })).stderr).toBe(
      'fast-ctl: there is no node three; the nodes are one, two\n',
    );
    expect((await fastCtl('maps list --node two', { cluster })).stderr).toContain('no agent runs on two');
  });

  it('is taken out of the line in both spellings', () => {
    expect(withoutFlags(['--node', 'a', 'maps', '--node=b', 'list', '-o', 'json'], ['--node'])).toEqual([
      'maps',
      'list',
      '-o',
      'json',
    ]);
  });
});

async function offered(line: string, given: Partial<Surroundings> = {}): Promise<string[]> {
  return (await fastCtl(['__complete', ...line.split(' ')], given)).stdout.split('\n').filter((word) => word !== '');
}

describe('completion', () => {
  it('offers commands, then subcommands, then the values of arguments and options', async () => {
    expect(await offered('')).toContain('maps');
    expect(await offered('')).not.toContain('__complete');
    expect(await offered('maps l')).toEqual(['list']);
    expect(await offered('maps list cou')).toEqual(['counters']);
    expect(await offered('maps list counters ')).toEqual([]);
    expect(await offered('maps list -o ')).toEqual(['json', 'table', 'wide', 'yaml']);
    expect(await offered('maps list --output w')).toEqual(['wide']);
    expect(await offered('maps list --ou')).toEqual(['--output']);
  });

  it('offers pools, nodes, pods with an address and contexts, of the cluster that the line names', async () => {
    const pod = { kind: 'Pod', namespace: 'shop', name: 'web' };
    const kinds: Record<string, object[]> = {
      ipses: [{ metadata: { name: 'sample-ips' } }],
      nodes: [{ metadata: { name: 'one' } }, { metadata: { name: 'two' } }],
      ipallocations: [{ spec: { owner: pod, state: 'Bound' } }, { spec: { owner: pod, state: 'Cooling' } }],
    };
    let chosen: object = {};
    const given = {
      contexts: () => Promise.resolve(['kind', 'prod']),
      cluster: (choice: object) => {
        chosen = choice;
        return Promise.resolve({ list: async ({ plural }: { plural: string }) => ({ items: kinds[plural] }) } as never);
      },
    };
    expect(await offered('ipam show ', given)).toEqual(['sample-ips']);
    expect(await offered('ipam show -o wide --context prod --kubeconfig=/k ', given)).toEqual(['sample-ips']);
    expect(chosen).toEqual({ context: 'prod', kubeconfig: '/k' });
    expect(await offered('ipam show sample-ips ', given)).toEqual([]);
    expect(await offered('maps list --node t', given)).toEqual(['two']);
    expect(await offered('uninstall --without one ', given)).toEqual(['one', 'two']);
    expect(await offered('trace sh', given)).toEqual(['shop/web']);
    expect(await offered('trace shop/web ', given)).toEqual(['shop/web']);
    expect(await offered('status --context p', given)).toEqual(['prod']);
  });

  it('is silent where the cluster refuses, and soon where it never answers', async () => {
    expect(await fastCtl(['__complete', 'ipam', 'show', ''])).toEqual({ code: 0, stdout: '', stderr: '' });
    const cluster = () => new Promise<never>(() => undefined);
    const startedMs = performance.now();
    expect(await offered('ipam show ', { cluster })).toEqual([]);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });

  it('falls back to files in zsh, which is offered no empty word', async () => {
    const { stdout } = await fastCtl('completion zsh');
    expect(stdout).toContain(
      'words_offered=(${(f)"$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})',
    );
    expect(stdout).toContain('if (( $#words_offered )); then compadd -- $words_offered; else _files; fi');
  });

  it.each(['bash', 'zsh'])('prints a script for %s that asks fast-ctl', async (shell) => {
    const { code, stdout } = await fastCtl(`completion ${shell}`);
    expect(code).toBe(0);
    expect(stdout).toContain('__complete');
    expect(stdout).not.toContain('undefined');
  });

  it('names the shells that it knows', async () => {
    expect((await fastCtl('completion fish')).stderr).toContain('Allowed choices are bash, zsh');
  });
});
