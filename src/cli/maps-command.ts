// SPDX-License-Identifier: Apache-2.0
// `fast-ctl maps`: what the kernel of this node believes.
import { Argument, Command } from 'commander';
import { bpfPinFolder } from '../api/names.ts';
import { mapViews } from './map-views.ts';
import type { MapView } from './map-views.ts';
import { formatData, formatRows, type OutputFormat, outputOption } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import type { Row } from './table.ts';
import { colours, plain } from './tones.ts';

interface ListOptions {
  output: OutputFormat;
  pinFolder: string;
}

interface Listed {
  view: MapView;
  rows: Row[];
}

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

export function mapsCommand({ openMaps, print, isColourful }: Surroundings): Command {
  const names = mapViews.map((view) => view.name);
  const list = new Command('list')
    .description('show the entries of one map, or of all, in the order of their addresses')
    .addArgument(new Argument('[name]', 'the map; without it all are shown').choices(names))
    .addOption(outputOption())
    .option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder)
    .action(async (name: string | undefined, options: ListOptions) => {
      const read = openMaps(options.pinFolder);
      const listed: Listed[] = [];
      for (const view of mapViews.filter((one) => name === undefined || one.name === name)) {
        listed.push({ view, rows: view.rows(await read(view.name)) });
      }
      print(formatListed(listed, name !== undefined, options.output, isColourful));
    });
  return new Command('maps').description("the eBPF maps of a node's datapath").addCommand(list);
}
