// SPDX-License-Identifier: Apache-2.0
// fast-ctl ipam show and forecast: how full pools are, for people and for programs.
import { describe, expect, it } from 'vitest';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { KubeObject } from '../../src/api/object.ts';
import { counts, pool, record, run, sound } from './cli-ipam-world.ts';

describe('fast-ctl ipam show', () => {
  it('recounts each pool and draws how full it is', async () => {
    const { stdout } = await run('ipam show', sound());
    expect(stdout).toBe(
      'POOL    TOTAL   BOUND   COOLING   RESERVED   FREE   FILL\n' +
        'small       4       2         0          0      2   ████████████············\n' +
        '\n█ in use   ▓ in use, but not as of this pool   ▒ resting or kept   · free\n',
    );
  });

  it('draws where in one pool’s ranges addresses are taken', async () => {
    const { stdout } = await run('ipam show small', sound());
    expect(stdout).toContain('10.0.0.0-10.0.0.3\n  ██··\n');
  });

  it('gives the counts to programs', async () => {
    const { stdout } = await run('ipam show -o json', sound());
    const none = { usedElsewhere: 0, overlaps: [] };
    expect(JSON.parse(stdout)).toEqual([{ pool: 'small', usage: 'Pod', subnet: '10.244.0.1/32', ...counts, ...none }]);
  });

  it('gives the ranges of one pool to programs: declared, excluded, usable, and what became of each', async () => {
    const world = sound();
    const spec = { subnet: '10.244.0.1/32', ips: ['10.0.0.0/29', '10.0.1.7'], excludeIPs: ['10.0.0.4'] };
    world.objects['ipses'] = [{ ...pool('small', []), spec } as Ips];
    world.objects['ipallocations']?.push(record('10.0.0.5', 'gone', { state: 'Cooling' }));
    const { stdout } = await run('ipam show small -o json', world);
    const [shown] = JSON.parse(stdout) as object[];
    expect(shown).toMatchObject({
      pool: 'small',
      total: 8,
      free: 5,
      declared: ['10.0.0.0/29', '10.0.1.7'],
      excluded: ['10.0.0.4'],
      usable: ['10.0.0.0-10.0.0.3', '10.0.0.5-10.0.0.7', '10.0.1.7'],
      freeRanges: ['10.0.0.2-10.0.0.3', '10.0.0.6-10.0.0.7', '10.0.1.7'],
      ranges: [
        { range: '10.0.0.0-10.0.0.3', total: 4, bound: 2, resting: 0, usedElsewhere: 0, free: 2 },
        { range: '10.0.0.5-10.0.0.7', total: 3, bound: 0, resting: 1, usedElsewhere: 0, free: 2 },
        { range: '10.0.1.7', total: 1, bound: 0, resting: 0, usedElsewhere: 0, free: 1 },
      ],
    });
  });

  it('draws what another pool has taken of one that overlaps it, instead of an empty bar, and names that pool', async () => {
    const world = sound();
    world.objects['ipses']?.push(pool('wide', ['10.0.0.0/29']));
    const { stdout } = await run('ipam show', world);
    const [head = '', small = '', wide = ''] = stdout.split('\n');
    expect(head).toMatch(/FILL +OVERLAPS$/);
    expect(small).toMatch(/^small .* ████████████············ +wide: 4 shared, 0 held there$/);
    expect(wide).toMatch(/^wide +8 +0 +0 +0 +6 +▓▓▓▓▓▓·················· +small: 4 shared, 2 held there$/);
    const one = await run('ipam show wide', world);
    expect(one.stdout).toContain('10.0.0.0-10.0.0.7\n  ██······\noverlaps small: 4 shared, 2 held there\n');
    const [, row] = JSON.parse((await run('ipam show -o json', world)).stdout) as object[];
    expect(row).toMatchObject({
      pool: 'wide',
      usedElsewhere: 2,
      overlaps: [{ pool: 'small', sharedAddresses: 4, heldThere: 2 }],
    });
  });

  it('counts what is held outside a pool that was shrunk, where some pool has such', async () => {
    const world = sound();
    world.objects['ipses'] = [pool('small', ['10.0.0.9'])];
    const [head = '', small = ''] = (await run('ipam show', world)).stdout.split('\n');
    expect(head).toMatch(/FILL +OUT-OF-RANGE$/);
    expect(small).toMatch(/^small +1 +2 +0 +0 +1 .* 2$/);
    expect((await run('ipam show -o wide', sound())).stdout).not.toContain('OUT-OF-RANGE');
  });

  it('draws as nobody’s to give what a gateway has', async () => {
    const world = sound();
    const spec = { subnet: '10.0.0.3/32', ips: ['10.0.0.0/30'] };
    const own: Ips = { ...pool('small', []), spec };
    world.objects['ipses'] = [own];
    expect((await run('ipam show small', world)).stdout).toContain('10.0.0.0-10.0.0.3\n  ██·-\n');
  });

  it('says that there is no such pool', async () => {
    expect(await run('ipam show other', sound())).toMatchObject({
      code: 1,
      stderr: 'fast-ctl: there is no Ips other that can be read; kubectl get ips\n',
    });
  });
});

describe('fast-ctl ipam forecast', () => {
  it('says how long a pool lasts as in the last hour', async () => {
    const { stdout, code } = await run('ipam forecast', sound());
    expect(stdout).toBe(
      'POOL    FREE   COOLING   NEW-PER-HOUR   LASTS\nsmall      2         0              2   1 h or longer\n',
    );
    expect(code).toBe(0);
  });

  const workload = (pools: string): KubeObject[] => {
    const template = { metadata: { labels: {}, annotations: { 'fast.io/ips': pools } } };
    return [{ metadata: { name: 'web', namespace: 'default' }, spec: { template } } as KubeObject];
  };

  it('says whether more pods of a workload fit, and from which pools', async () => {
    const world = sound();
    world.objects['ipses']?.push(pool('more', ['10.1.0.0/24']));
    world.objects['workloads'] = workload('small,more');
    const { stdout, code } = await run('ipam forecast --add deploy/web=50', world);
    expect(stdout).toContain('\ndeploy/web: 50 more pods fit: 2 from pool small, 48 from pool more\n');
    expect(code).toBe(0);
  });

  it('exits 1 when they do not, and says how many would wait and why', async () => {
    const world = sound();
    world.objects['workloads'] = workload('small');
    const { stdout, code } = await run('ipam forecast --add sts/web=50', world);
    expect(stdout).toContain(
      'sts/web: 50 more pods do not fit: 2 from pool small; 48 would wait, since pool small has 2 addresses left',
    );
    expect(code).toBe(1);
  });

  it('gives numbers and words to programs, and the sentences for people beside them', async () => {
    const world = sound();
    world.objects['workloads'] = workload('small');
    const { stdout } = await run('ipam forecast --add deploy/web=50 -o json', world);
    expect(JSON.parse(stdout)).toEqual({
      pools: [
        {
          pool: 'small',
          free: 2,
          cooling: 0,
          newPerHour: 2,
          outlook: 'growing',
          lastsAtLeastSeconds: 3600,
          lasts: '1 h or longer',
        },
      ],
      fits: [
        {
          workload: 'deploy/web',
          kind: 'Deployment',
          namespace: 'default',
          name: 'web',
          pods: 50,
          from: [{ pool: 'small', pods: 2 }],
          missing: 48,
          reason: 'PoolExhausted',
          because: 'pool small has 2 addresses left',
        },
      ],
    });
  });

  it('counts an address of two pools that overlap once', async () => {
    const world = sound();
    world.objects['ipses']?.push(pool('wide', ['10.0.0.0/29']));
    world.objects['workloads'] = workload('small,wide');
    const { stdout } = await run('ipam forecast --add deploy/web=8', world);
    expect(stdout).toContain('2 from pool small, 4 from pool wide; 2 would wait');
  });

  it('says how an addition is written', async () => {
    const { stderr, code } = await run('ipam forecast --add web', sound());
    expect(stderr).toContain(
      'Write deploy/NAME=COUNT or sts/NAME=COUNT, such as deploy/web=50; COUNT from 1 to 9999999.',
    );
    expect(code).toBe(1);
  });
});
