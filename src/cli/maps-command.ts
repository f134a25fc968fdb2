// SPDX-License-Identifier: Apache-2.0
// `fast-ctl maps`: what the kernel of this node believes, shown and changed.
import { Argument, Command } from 'commander';
import { bpfPinFolder } from '../api/names.ts';
import type { RawEntry } from '../datapath/codecs.ts';
import { changed, type Editable, editables, keyOf, parseFields } from './map-entries.ts';
import { mapViews } from './map-views.ts';
import type { MapView } from './map-views.ts';
import { mapsDiffCommand } from './maps-diff-command.ts';
import type { NodeKernel } from './node-kernel.ts';
import { formatData, formatRows, type OutputFormat, outputOption } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import type { Row } from './table.ts';
import { colours, plain } from './tones.ts';

interface Options {
  output: OutputFormat;
  pinFolder: string;
}

interface Listed {
  view: MapView;
  rows: Row[];
}

const agentsWord =
  'the agent writes the maps by what the API server says: at its next comparison, within half a minute, it undoes this';
const keptWord = 'the agent keeps this, over its restarts too, until it is set back';

function formatListed(listed: Listed[], one: boolean, output: OutputFormat, isColourful: boolean): string {
  if (!one) {
    const data = formatData(Object.fromEntries(listed.map(({ view, rows }) => [view.name, rows])), output);
    if (data !== undefined) return data;
  }
  const tables = listed.map(({ view, rows }) => {
    const paint = isColourful ? colours : plain;
    const table = formatRows(view.columns, rows, output, { nothing: 'no entries', paint });
    return one ? table : `${view.name}\n${table}`;
  });
  return tables.join('\n');
}

function listCommand({ openMaps, print, isColourful }: Surroundings): Command {
  const names = mapViews.map((view) => view.name);
  return new Command('list')
    .description('show the entries of one map, or of all, in the order of their addresses')
    .addArgument(new Argument('[name]', 'the map; without it all are shown').choices(names))
    .action(async (name: string | undefined, options: Options) => {
      const read = openMaps(options.pinFolder);
      const listed: Listed[] = [];
      for (const view of mapViews.filter((one) => name === undefined || one.name === name)) {
        listed.push({ view, rows: view.rows(await read(view.name)) });
      }
      print(formatListed(listed, name !== undefined, options.output, isColourful));
    });
}

function mapArgument(): Argument {
  return new Argument('<name>', 'the map').choices(editables.map(({ name }) => name));
}

function editable(name: string): Editable {
  const found = editables.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no entry of ${name} can be written by hand`);
  return found;
}

async function withKernel<T>(s: Surroundings, folder: string, work: (kernel: NodeKernel) => T): Promise<T> {
  const kernel = await s.openKernel(folder);
  try {
    return work(kernel);
  } finally {
    kernel.close();
  }
}

function printEntry(s: Surroundings, name: string, entry: RawEntry, output: OutputFormat): void {
  const view = mapViews.find((one) => one.name === name);
  const [row = {}] = view?.rows([entry]) ?? [];
  const data = formatData(row, output);
  s.print(data ?? formatRows(view?.columns ?? [], [row], output, { nothing: '' }));
}

function getCommand(s: Surroundings): Command {
  return new Command('get')
    .description('show one entry')
    .addArgument(mapArgument())
    .argument('[address]', 'the key, where the map has one')
    .action(async (name: string, address: string | undefined, { output, pinFolder }: Options) => {
      const key = keyOf(editable(name), address);
      const value = await withKernel(s, pinFolder, (kernel) => kernel.lookup(name, key));
      if (value === undefined) throw new Error(`${name} has no entry ${address}`);
      printEntry(s, name, [key, value], output);
    });
}

function setCommand(s: Surroundings): Command {
  return new Command('set')
    .description(
      'write one entry, or change fields of it: maps set cluster_pod_ips 10.244.10.7 nodeAddress=10.29.15.50',
    )
    .addArgument(mapArgument())
    .argument('<words...>', 'the key, where the map has one, and FIELD=VALUE')
    .action(async (name: string, words: string[], { output, pinFolder }: Options) => {
      const map = editable(name);
      const address = map.key === undefined ? undefined : words[0];
      const key = keyOf(map, address);
      const fields = parseFields(map, map.key === undefined ? words : words.slice(1));
      const entry = await withKernel(s, pinFolder, (kernel) => {
        const old = kernel.lookup(name, key);
        const written = changed(map, address, old === undefined ? undefined : [key, old], fields);
        kernel.update(name, written);
        return written;
      });
      printEntry(s, name, entry, output);
      const isKept = Object.keys(fields).every((field) => map.kept?.includes(field));
      s.printError(`fast-ctl: ${isKept ? keptWord : agentsWord}\n`);
    });
}

function deleteCommand(s: Surroundings): Command {
  const keyed = editables.filter(({ key }) => key !== undefined).map(({ name }) => name);
  return new Command('delete')
    .description('take one entry away')
    .addArgument(new Argument('<name>', 'the map').choices(keyed))
    .argument('<address>', 'the key')
    .action(async (name: string, address: string, { output, pinFolder }: Options) => {
      const key = keyOf(editable(name), address);
      const isGone = await withKernel(s, pinFolder, (kernel) => kernel.remove(name, key));
      if (!isGone) throw new Error(`${name} has no entry ${address}`);
      s.print(formatData({ map: name, deleted: address }, output) ?? `deleted ${address} from ${name}\n`);
      s.printError(`fast-ctl: ${agentsWord}\n`);
    });
}

export function mapsCommand(s: Surroundings): Command {
  const maps = new Command('maps').description("the eBPF maps of a node's datapath");
  for (const command of [listCommand(s), getCommand(s), setCommand(s), deleteCommand(s), mapsDiffCommand(s)]) {
    command.addOption(outputOption()).option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder);
    maps.addCommand(command);
  }
  return maps;
}
