// SPDX-License-Identifier: Apache-2.0
// The functions of libbpf.so.1 (1.1 and later) as koffi sees them. The library is opened at the first use, so that
// programs which only name this package run where libbpf is not installed. Types are anonymous: a test runner may load
// this module twice in one process, and a named koffi type exists once.
import { isMainThread } from 'node:worker_threads';
import type { LibraryHandle } from 'koffi';
import koffi from 'koffi';
import { SysError } from '../errors.ts';
import { libc } from '../libc.ts';

/** An opaque pointer of libbpf: an object, a program or a map. */
export type Handle = unknown;

function load() {
  const library = openLibrary();
  const f = (prototype: string) => library.func(prototype);
  return {
    setPrint: f('void *libbpf_set_print(void *print)'),
    version: f('const char *libbpf_version_string()'),
    possibleCpus: f('int libbpf_num_possible_cpus()'),
    openFile: f('void *bpf_object__open_file(const char *path, void *options)'),
    openMemory: f('void *bpf_object__open_mem(const uint8_t *bytes, size_t length, void *options)'),
    loadObject: f('int bpf_object__load(void *object)'),
    closeObject: f('void bpf_object__close(void *object)'),
    nextMap: f('void *bpf_object__next_map(void *object, void *last)'),
    nextProgram: f('void *bpf_object__next_program(void *object, void *last)'),
    objectBtf: f('void *bpf_object__btf(void *object)'),
    btfBytes: f('void *btf__raw_data(void *btf, _Out_ uint32_t *length)'),
    mapName: f('const char *bpf_map__name(void *map)'),
    mapFd: f('int bpf_map__fd(void *map)'),
    mapType: f('int bpf_map__type(void *map)'),
    mapKeySize: f('uint32_t bpf_map__key_size(void *map)'),
    mapValueSize: f('uint32_t bpf_map__value_size(void *map)'),
    mapMaxEntries: f('uint32_t bpf_map__max_entries(void *map)'),
    mapFlags: f('uint32_t bpf_map__map_flags(void *map)'),
    setMaxEntries: f('int bpf_map__set_max_entries(void *map, uint32_t entries)'),
    setPinPath: f('int bpf_map__set_pin_path(void *map, const char *path)'),
    initialValue: f('void *bpf_map__initial_value(void *map, _Out_ size_t *length)'),
    programName: f('const char *bpf_program__name(void *program)'),
    programFd: f('int bpf_program__fd(void *program)'),
    setAutoload: f('int bpf_program__set_autoload(void *program, bool on)'),
    pin: f('int bpf_obj_pin(int fd, const char *path)'),
    getPinned: f('int bpf_obj_get(const char *path)'),
    info: f('int bpf_obj_get_info_by_fd(int fd, uint8_t *info, _Inout_ uint32_t *length)'),
    createMap: f(
      'int bpf_map_create(int type, const char *name, uint32_t key, uint32_t value, uint32_t most, const uint8_t *options)',
    ),
    lookup: f('int bpf_map_lookup_elem(int fd, const uint8_t *key, uint8_t *value)'),
    update: f('int bpf_map_update_elem(int fd, const uint8_t *key, const uint8_t *value, uint64_t flags)'),
    remove: f('int bpf_map_delete_elem(int fd, const uint8_t *key)'),
    nextKey: f('int bpf_map_get_next_key(int fd, const uint8_t *key, uint8_t *next)'),
    lookupBatch: f(
      'int bpf_map_lookup_batch(int fd, const uint8_t *from, uint8_t *next, uint8_t *keys, uint8_t *values, _Inout_ uint32_t *count, void *options)',
    ),
    updateBatch: f(
      'int bpf_map_update_batch(int fd, const uint8_t *keys, const uint8_t *values, _Inout_ uint32_t *count, void *options)',
    ),
    removeBatch: f('int bpf_map_delete_batch(int fd, const uint8_t *keys, _Inout_ uint32_t *count, void *options)'),
    testRun: f('int bpf_prog_test_run_opts(int fd, uint8_t *options)'),
    detachLink: f('int bpf_link_detach(int fd)'),
    nextBtfId: f('int bpf_btf_get_next_id(uint32_t id, _Out_ uint32_t *next)'),
    btfFdById: f('int bpf_btf_get_fd_by_id(uint32_t id)'),
    mapFdById: f('int bpf_map_get_fd_by_id(uint32_t id)'),
    programFdById: f('int bpf_prog_get_fd_by_id(uint32_t id)'),
  } as const;
}

function openLibrary(): LibraryHandle {
  try {
    return koffi.load('libbpf.so.1');
  } catch (error) {
    const cure = 'install libbpf 1.1 or later, on Debian: apt-get install libbpf1';
    throw new SysError('dlopen libbpf.so.1', 2, error instanceof Error ? error.message : String(error), cure);
  }
}

let loaded: ReturnType<typeof load> | undefined;

/** libbpf's functions. They answer the error as a negative number; pointers are null and errno says why. */
export function libbpf(): ReturnType<typeof load> {
  if (loaded === undefined) {
    loaded = load();
    listen(loaded);
  }
  return loaded;
}

/** The verifier's log can have 16 MiB, and its end is what matters. Untouched pages of the buffer cost nothing. */
const largestLog = 17 << 20;
const shortLine = 4096;
const keptLines = 2000;
let lines: string[] = [];

function listen(functions: ReturnType<typeof load>): void {
  // A callback of a worker ends the process when the worker ends, so workers do without the log.
  if (!isMainThread) {
    functions.setPrint(null);
    return;
  }
  functions.setPrint(koffi.register(keep, koffi.pointer(koffi.proto('int (int level, void *format, void *list)'))));
}

function keep(level: number, format: unknown, list: unknown): number {
  // Level 2 is libbpf's debugging, several hundred lines per object.
  if (level > 1) return 0;
  const pattern = koffi.decode(format, 'char', -1) as string;
  const bytes = Buffer.allocUnsafeSlow(pattern.includes('LOG') ? largestLog : shortLine);
  const length = libc.vsnprintf(bytes, bytes.length, pattern, list);
  const text = bytes.toString('utf8', 0, Math.max(0, Math.min(length, bytes.length - 1)));
  lines.push(...text.trimEnd().split('\n').slice(-keptLines));
  if (lines.length > keptLines) lines = lines.slice(-keptLines);
  return length;
}

/** What libbpf and the verifier have said since the last call: the last `most` lines. */
export function takeLog(most: number): string[] {
  const taken = lines.slice(-most);
  lines = [];
  return taken;
}

/** For example `v1.1`. */
export function libbpfVersion(): string {
  return libbpf().version() as string;
}

/** How many CPUs a per-CPU value has room for; more than are online, sometimes. */
export function possibleCpus(): number {
  const count = libbpf().possibleCpus() as number;
  if (count <= 0) throw new SysError('read /sys/devices/system/cpu/possible', -count);
  return count;
}
