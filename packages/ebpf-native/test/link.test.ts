// SPDX-License-Identifier: Apache-2.0
// Programs on devices: tcx links and clsact filters.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Anchor,
  BpfLink,
  BpfObject,
  RouteSocket,
  addAddress,
  createVeth,
  deleteFilter,
  deleteLink,
  ensureClsact,
  findLink,
  listFilters,
  replaceFilter,
  setLink,
  tcxChain,
} from '../src/index.ts';
import { compileFixture, makeFolder, makeNetns, mountBpffs, run, u32 } from './workbench.ts';

const folder = makeFolder();
const bpffs = mountBpffs();
const home = makeNetns('links');
const away = makeNetns('links-far');
const socket = RouteSocket.open(home.netns);
const wire = RouteSocket.open(away.netns);
let object: BpfObject;
/** The same object with a program that drops by its constant. */
let dropping: BpfObject;
let index = 0;

beforeAll(() => {
  const file = compileFixture(folder.path);
  object = BpfObject.open(file);
  dropping = BpfObject.open(file, { rodata: { verdict: u32(2) } });
});
beforeEach(() => {
  const old = findLink(socket, { name: 'near' });
  if (old) deleteLink(socket, old.index);
  createVeth(socket, { name: 'near', peer: { name: 'far', netns: away.netns } });
  index = findLink(socket, { name: 'near' })?.index ?? 0;
  setLink(socket, index, { up: true });
  setLink(wire, findLink(wire, { name: 'far' })?.index ?? 0, { up: true });
});
afterAll(() => {
  for (const one of [object, dropping, socket, wire]) one.close();
  for (const one of [home, away]) one.remove();
  bpffs.remove();
  folder.remove();
});

/** What a ping says; that nobody answers is no failure here. */
function pingAs(words: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile('ip', words, (_error, output) => resolve(output));
  });
}

function attach(name: string, anchor?: Anchor): BpfLink {
  return home.netns.run(() => BpfLink.attachTcx(object.program(name), index, 'ingress', { anchor }));
}

function attached(): number[] {
  return home.netns.run(() => tcxChain(index, 'ingress')).programs.map((one) => one.programId);
}

describe('a tcx link', () => {
  it('knows its device, direction and program', () => {
    const link = attach('counts');
    expect(link.info()).toMatchObject({ ifindex: index, direction: 'ingress', programId: object.program('counts').id });
    expect(home.netns.run(() => tcxChain(index, 'ingress')).programs).toEqual([
      { programId: object.program('counts').id, linkId: link.info().id },
    ]);
    link.close();
  });

  it('stands where its anchor says', () => {
    const ids = (...names: string[]) => names.map((name) => object.program(name).id);
    const second = attach('counts');
    const first = attach('drops', { before: second });
    expect(attached()).toEqual(ids('drops', 'counts'));
    const head = attach('answers', { before: 'all' });
    expect(attached()).toEqual(ids('answers', 'drops', 'counts'));
    for (const link of [head, first, second]) link.close();
    expect(attached()).toEqual([]);
  });

  it('stands next to a program whoever attached it', () => {
    const ids = (...names: string[]) => names.map((name) => object.program(name).id);
    const links = [attach('counts'), attach('drops')];
    links.push(attach('answers', { before: { programId: object.program('drops').id } }));
    expect(attached()).toEqual(ids('counts', 'answers', 'drops'));
    links.push(attach('tells', { after: { programId: object.program('counts').id } }));
    expect(attached()).toEqual(ids('counts', 'tells', 'answers', 'drops'));
    for (const link of links) link.close();
  });

  it('is refused beside a program that is not there', () => {
    expect(() => attach('counts', { after: { programId: object.program('drops').id } })).toThrow(
      /ENOENT \(the anchor does not stand on this device and direction\)/,
    );
  });

  it('is not attached where others changed the chain since it was read', () => {
    const attachAt = (expectedRevision: bigint) =>
      home.netns.run(() => BpfLink.attachTcx(object.program('drops'), index, 'ingress', { expectedRevision }));
    const first = attach('counts');
    const { revision } = home.netns.run(() => tcxChain(index, 'ingress'));
    const other = attach('answers');
    expect(() => attachAt(revision)).toThrow(/ESTALE \(others changed the chain meanwhile: query it again\)/);
    const { revision: now } = home.netns.run(() => tcxChain(index, 'ingress'));
    const second = attachAt(now);
    for (const link of [first, other, second]) link.close();
  });

  it('keeps its program where another has replaced the one that was expected', () => {
    const link = attach('counts');
    link.update(object.program('drops'), object.program('counts'));
    expect(() => link.update(object.program('answers'), object.program('counts'))).toThrow(
      /EPERM \(the link has another program by now: read it again\)/,
    );
    expect(attached()).toEqual([object.program('drops').id]);
    link.close();
  });

  it('outlives its process by its pin, and is updated in place by the next one', () => {
    const path = join(bpffs.path, 'links/near');
    const link = attach('counts');
    link.pin(path);
    link.close();
    const again = BpfLink.openPinned(path);
    again.update(object.program('drops'));
    expect(attached()).toEqual([object.program('drops').id]);
    again.detach();
    expect(attached()).toEqual([]);
    again.close();
  });

  it('says that its device is gone', () => {
    const link = attach('counts');
    deleteLink(socket, index);
    expect(link.info().ifindex).toBe(0);
    expect(() => link.update(object.program('drops'))).toThrow(/ENOLINK: |ENOLINK \(its device is gone\)/);
    link.close();
  });

  it('is not made on a device that does not exist', () => {
    expect(() => home.netns.run(() => BpfLink.attachTcx(object.program('counts'), 9999, 'egress'))).toThrow(/ENODEV/);
  });
});

describe('a clsact filter', () => {
  const place = { priority: 7, handle: 3, name: 'mine' };

  it('is added, replaced in place, and deleted', () => {
    ensureClsact(socket, index);
    ensureClsact(socket, index);
    replaceFilter(socket, index, 'ingress', { ...place, program: object.program('counts') });
    const before = { ...place, programId: object.program('counts').id };
    expect(listFilters(socket, index, 'ingress')).toEqual([before]);
    replaceFilter(socket, index, 'ingress', { ...place, program: object.program('drops') });
    expect(listFilters(socket, index, 'ingress')).toEqual([{ ...place, programId: object.program('drops').id }]);
    expect(listFilters(socket, index, 'egress')).toEqual([]);
    deleteFilter(socket, index, 'ingress', 7, 3);
    expect(listFilters(socket, index, 'ingress')).toEqual([]);
  });

  it('lets no packet by while it is replaced, many times', async () => {
    const far = findLink(wire, { name: 'far' })?.index ?? 0;
    addAddress(socket, { index, address: '192.0.2.1', prefixLength: 24 });
    addAddress(wire, { index: far, address: '192.0.2.2', prefixLength: 24 });
    ensureClsact(socket, index);
    const ping = (count: string) =>
      pingAs(['netns', 'exec', away.name, 'busybox', 'ping', '-c', count, '-i', '0.001', '-W', '1', '192.0.2.1']);
    expect(await ping('20')).toContain('20 packets received');
    const progress = { word: 'pinging' };
    const programs = [object.program('drops'), dropping.program('answers')] as const;
    replaceFilter(socket, index, 'ingress', { ...place, program: programs[0] });
    const report = ping('400').finally(() => {
      progress.word = 'done';
    });
    let replaced = 0;
    while (progress.word === 'pinging' && replaced < 100_000) {
      replaceFilter(socket, index, 'ingress', { ...place, program: programs[replaced % 2] ?? programs[0] });
      replaced++;
      await setImmediate();
    }
    expect(await report).toContain('400 packets transmitted, 0 packets received');
    expect(replaced).toBeGreaterThan(100);
  });

  it('is listed as none without a qdisc, and says that it needs one', () => {
    expect(listFilters(socket, index, 'ingress')).toEqual([]);
    const add = () => replaceFilter(socket, index, 'ingress', { ...place, program: object.program('drops') });
    expect(add).toThrow(/Parent Qdisc doesn't exists/);
  });

  it('names a qdisc that has the place of clsact', () => {
    run('tc', '-n', home.name, 'qdisc', 'add', 'dev', 'near', 'ingress');
    expect(() => ensureClsact(socket, index)).toThrow(/EEXIST: .*its place is taken by qdisc 'ingress'/);
  });
});
