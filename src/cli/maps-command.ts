// SPDX-License-Identifier: Apache-2.0
// `fast-ctl maps`: what the kernel of this node believes.
import { Argument, Command, Option } from 'commander';
import { bpfPinFolder } from '../api/names.ts';
import { mapViews } from './map-views.ts';
import type { MapView } from './map-views.ts';
import type { ReadMap } from './pinned-maps.ts';
import { formatJson, formatTable, outputFormats } from './table.ts';
import type { OutputFormat, Row } from './table.ts';

interface ListOptions {
  output: OutputFormat;
  pinFolder: string;
}

interface Listed {
  view: MapView;
  rows: Row[];
}

function formatListed(listed: Listed[], one: boolean, output: OutputFormat): string {
  if (output === 'json') {
    if (one) return formatJson(listed[0]?.rows ?? []);
    return formatJson(Object.fromEntries(listed.map(({ view, rows }) => [view.name, rows])));
  }
  const tables = listed.map(({ view, rows }) => {
    const table = rows.length === 0 ? 'no entries\n' : formatTable(view.columns, rows);
    return one ? table : `${view.name}\n${table}`;
  });
  return tables.join('\n');
}

/** `open` gives access to the maps pinned under a folder; `print` takes what goes to stdout. */
export function mapsCommand(open: (folder: string) => ReadMap, print: (text: string) => void): Command {
  const names = mapViews.map((view) => view.name);
  const list = new Command('list')
    .description('show the entries of one map, or of all, in the order of their addresses')
    .addArgument(new Argument('[name]', 'the map; without it all are shown').choices(names))
    .addOption(new Option('-o, --output <format>', 'how to show them').choices(outputFormats).default('table'))
    .option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder)
    .action(async (name: string | undefined, options: ListOptions) => {
      const read = open(options.pinFolder);
      const listed: Listed[] = [];
      for (const view of mapViews.filter((one) => name === undefined || one.name === name)) {
        listed.push({ view, rows: view.rows(await read(view.name)) });
      }
      print(formatListed(listed, name !== undefined, options.output));
    });
  return new Command('maps').description("the eBPF maps of this node's datapath").addCommand(list);
}
