// SPDX-License-Identifier: Apache-2.0
// What the kernel says that it can do: yes, surely not, or that it could not be told.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probeHelper, probeKfunc, probeMapType, probeProgramType, probeTcx } from '../src/index.ts';
import { run } from './workbench.ts';

/** bpf_redirect_peer is of the tc hook alone; no kernel has the last one. */
const redirectPeer = 155;
const noHelper = 100_000;

describe('a probe', () => {
  it('tells a function that programs may call from one that is not for them, and from none', () => {
    expect(probeKfunc('bpf_skb_ct_lookup')).toBe('yes');
    expect(probeKfunc('vfs_read')).toBe('no');
    expect(probeKfunc('no_kernel_has_this')).toBe('no');
  });

  it('agrees with an attachment about tcx', () => {
    expect(probeTcx()).toBe('yes');
  });

  it('finds the types of maps and programs that every kernel of today has', () => {
    expect((['hash', 'percpu_array', 'lpm_trie', 'ringbuf', 'prog_array'] as const).map(probeMapType)).toEqual([
      'yes',
      'yes',
      'yes',
      'yes',
      'yes',
    ]);
    expect((['sched_cls', 'xdp', 'socket_filter'] as const).map(probeProgramType)).toEqual(['yes', 'yes', 'yes']);
  });

  it('tells a helper of one type of program from those of another, and from none', () => {
    expect(probeHelper('sched_cls', redirectPeer)).toBe('yes');
    expect(probeHelper('xdp', redirectPeer)).toBe('no');
    expect(probeHelper('sched_cls', noHelper)).toBe('no');
  });

  it('does not take a missing right for a missing feature', () => {
    const script = `
      import { probeHelper, probeKfunc, probeMapType, probeProgramType, probeTcx } from '${join(import.meta.dirname, '../src/index.ts')}';
      const answers = [probeHelper('sched_cls', 155), probeKfunc('bpf_skb_ct_lookup'), probeMapType('lpm_trie'),
        probeProgramType('sched_cls'), probeTcx()];
      console.log(answers.map((one) => (typeof one === 'string' ? one : 'unknown')).join(' '));`;
    const bare = ['--bounding-set=-all', '--inh-caps=-all'];
    const said = run('setpriv', ...bare, process.execPath, '--input-type=module', '-e', script);
    expect(said).toBe('unknown unknown unknown unknown unknown\n');
  });
});
