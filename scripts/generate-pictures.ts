// SPDX-License-Identifier: Apache-2.0
// `npm run pictures`: the pictures of the docs as SVG. The fill of a pool is of a small life that is played with a seed, so
// that the same command gives the same picture.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeOrCompare } from './generated-files.ts';
import { root } from './steps.ts';

const folder = join(root, 'docs/pictures');
const ink = '#16324a';
const font = 'font-family="system-ui, sans-serif"';

function svg(width: number, height: number, body: string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="${ink}"/></marker></defs>
<rect width="${width}" height="${height}" rx="10" fill="#f6f9fc"/>
${body.join('\n')}
</svg>
`;
}

interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
  title: string;
  lines: string[];
  fill: string;
}

function box({ x, y, w, h, title, lines, fill }: Box): string {
  const words = lines.map((line, at) => text(x + w / 2, y + 40 + at * 16, line, 12));
  return [
    `<rect x="${x}" y="${y}" width="${w}" height="${h}" rx="8" fill="${fill}" stroke="${ink}" stroke-width="1.2"/>`,
    text(x + w / 2, y + 22, title, 14, 'bold'),
    ...words,
  ].join('\n');
}

function text(x: number, y: number, words: string, size: number, weight = 'normal'): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" ${font} font-size="${size}" font-weight="${weight}" text-anchor="middle" fill="${ink}">${safe}</text>`;
}

function arrow(path: string, isDashed = false): string {
  const dash = isDashed ? ' stroke-dasharray="5 4"' : '';
  return `<path d="${path}" fill="none" stroke="${ink}" stroke-width="1.6"${dash} marker-end="url(#arrow)"/>`;
}

function node(x: number, name: string, pods: string[]): string[] {
  const [agent, kernel, pod] = ['#dbeafe', '#fde8c8', '#d9f2e3'];
  return [
    `<rect x="${x}" y="200" width="330" height="250" rx="10" fill="#ffffff" stroke="${ink}" stroke-width="1.2"/>`,
    text(x + 165, 222, name, 14, 'bold'),
    box({ x: x + 15, y: 236, w: 140, h: 62, title: 'fast-agent', lines: ['compares, writes'], fill: agent }),
    box({ x: x + 175, y: 236, w: 140, h: 62, title: 'fast-cni', lines: ['asks for its pod'], fill: agent }),
    arrow(`M${x + 175} 267L${x + 157} 267`),
    box({
      x: x + 15,
      y: 316,
      w: 300,
      h: 62,
      title: 'kernel: eBPF',
      lines: ['from_pod · maps · fast_vxlan'],
      fill: kernel,
    }),
    arrow(`M${x + 85} 298L${x + 85} 314`),
    ...pods.map((address, at) =>
      box({ x: x + 15 + at * 160, y: 396, w: 140, h: 44, title: `pod ${address}`, lines: [], fill: pod }),
    ),
  ];
}

function architecture(): string {
  return svg(760, 500, [
    box({
      x: 20,
      y: 20,
      w: 200,
      h: 100,
      title: 'fast-controller-manager',
      lines: ['gives out addresses,', 'takes them back,', 'rolls out the agents'],
      fill: '#dbeafe',
    }),
    box({
      x: 280,
      y: 20,
      w: 460,
      h: 100,
      title: 'API server: the whole state',
      lines: [
        'Ips: a pool',
        'IpAllocation 10.244.10.0: who has this address',
        'NodeEndpoint: a node as the others see it',
      ],
      fill: '#e8e3f5',
    }),
    arrow('M220 62L278 62'),
    arrow('M280 84L222 84', true),
    ...node(30, 'node', ['10.244.10.0', '10.244.10.2']),
    ...node(400, 'another node', ['10.244.10.1', '10.244.10.3']),
    arrow('M330 120C250 160 115 160 115 234', true),
    arrow('M600 120C600 170 490 170 485 234', true),
    arrow('M115 396L115 381'),
    arrow('M345 347L413 347'),
    arrow('M485 378L485 394'),
    text(
      380,
      482,
      'Pod to pod: one program, one map look-up, one tunnel. What kube-proxy touched goes by the stack.',
      12,
    ),
  ]);
}

/** Mulberry32: small, seeded, the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type State = 'free' | 'bound' | 'cooling';
const colourOf = { free: '#e3e9ef', bound: '#2f7dc1', cooling: '#f2b134' } as const;

/** Pods come and go at a /25: the lowest free address is given, a returned one rests. */
function fill(): string {
  const random = seeded(7);
  const restFor = 12;
  const addresses: Array<{ state: State; since: number }> = Array.from({ length: 128 }, () => ({
    state: 'free',
    since: 0,
  }));
  for (let step = 0; step < 220; step += 1) {
    for (const one of addresses) if (one.state === 'cooling' && step - one.since > restFor) one.state = 'free';
    const lowest = addresses.find(({ state }) => state === 'free');
    if (lowest !== undefined) Object.assign(lowest, { state: 'bound', since: step });
    const bound = addresses.filter(({ state }) => state === 'bound');
    const leaving = bound[Math.floor(random() * bound.length)];
    if (leaving !== undefined && random() < 0.62) Object.assign(leaving, { state: 'cooling', since: step });
  }
  const cells = addresses.map(({ state }, at) => {
    const [x, y] = [20 + (at % 32) * 18, 44 + Math.floor(at / 32) * 18];
    return `<rect x="${x}" y="${y}" width="15" height="15" rx="3" fill="${colourOf[state]}"/>`;
  });
  const count = (state: State): number => addresses.filter((one) => one.state === state).length;
  const legend = (['bound', 'cooling', 'free'] as const).flatMap((state, at) => [
    `<rect x="${150 + at * 120}" y="126" width="12" height="12" rx="3" fill="${colourOf[state]}"/>`,
    text(205 + at * 120, 137, `${count(state)} ${state}`, 12),
  ]);
  return svg(616, 152, [
    text(308, 28, 'A pool of 128 addresses: the lowest free one is given out, a returned one rests', 13, 'bold'),
    ...cells,
    ...legend,
  ]);
}

export function generatePictures(): void {
  mkdirSync(folder, { recursive: true });
  writeOrCompare(join(folder, 'architecture.svg'), architecture());
  writeOrCompare(join(folder, 'pool-fill.svg'), fill());
}

if (import.meta.main) generatePictures();
