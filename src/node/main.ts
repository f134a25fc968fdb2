// SPDX-License-Identifier: Apache-2.0
// fast-agent: wires the pods of one node and keeps its eBPF maps equal to the API server's state.
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseRange } from '../ip/range.ts';
import { RangeSet } from '../ip/range-set.ts';
import { createLog } from '../kube/log.ts';
import { modes } from '../api/names.ts';
import { Agent } from './agent.ts';
import { type AgentOptions, defaults } from './options.ts';

type Flags = Omit<AgentOptions, 'healthPort' | 'masqueradeExclude'> & { healthPort: string; masqueradeExclude: string };

/** Ranges between commas or blanks; `refuse` hears of each that is none. */
function rangesOf(text: string, refuse: (problem: string) => void): RangeSet {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  return RangeSet.of(
    words.flatMap((word) => {
      try {
        return [parseRange(word)];
      } catch (error) {
        refuse(error instanceof Error ? error.message : String(error));
        return [];
      }
    }),
  );
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError('write 1 to 65535');
  return port;
}

function readMtu(text: string): number | 'auto' {
  const mtu = Number(text);
  if (text === 'auto') return 'auto';
  // RFC 791: every host takes 576 bytes.
  if (!/^[0-9]{3,5}$/.test(text) || mtu < 576 || mtu > 65_485)
    throw new InvalidArgumentError('write 576 to 65485, or auto');
  return mtu;
}

function readOptions(): AgentOptions {
  const command = new Command('fast-agent')
    .description('Wires the pods of this node and keeps its eBPF maps equal to the state in the API server.')
    .addOption(new Option('--node <name>', 'the Node object of this machine').env('NODE_NAME').makeOptionMandatory())
    .option('--kubeconfig <file>', 'how to reach the API server from outside a cluster')
    .option('--socket <path>', 'where fast-cni reaches the agent', defaults.socket)
    .option('--bpf-object <file>', 'the compiled programs', defaults.bpfObject)
    .option('--pin-folder <path>', 'where maps and links outlive the agent, in a bpffs', defaults.pinFolder)
    .option('--cni-bin-dir <path>', "the runtime's plugins", defaults.cniBinDir)
    .option('--cni-conf-dir <path>', "the runtime's network configurations", defaults.cniConfDir)
    .option('--cni-source <folder>', 'where fast-cni and the plugins that it runs are', defaults.cniSource)
    .option('--host-run <path>', "the host's /run, for the files that keep others off our devices", defaults.hostRun)
    .option('--health-port <port>', 'serves /healthz, /readyz and /metrics', defaults.healthPort)
    .option('--masquerade-exclude <ranges>', 'destinations that see pods by their own addresses: CIDRs, ranges a-b', '')
    .option('--health-host <address>', 'where it serves them', defaults.healthHost)
    .addOption(new Option('--mtu <bytes>', 'the MTU of pods, or auto').default(defaults.mtu).argParser(readMtu))
    .addOption(
      new Option('--tunnel-port <port>', 'the UDP port of the tunnel, the same on all nodes')
        .default(defaults.tunnelPort)
        .argParser(readPort),
    )
    .option('--uplink <link>', 'the link that other nodes are reached by, or auto', defaults.uplink)
    .addOption(
      new Option('--mode <mode>', 'tunnel, or direct: without a tunnel between nodes of one network')
        .choices(modes)
        .default(defaults.mode),
    )
    .addOption(
      new Option('--log-level <level>').choices(['debug', 'info', 'warn', 'error']).default(defaults.logLevel),
    );
  const options = command.parse().opts<Flags>();
  const healthPort = Number(options.healthPort);
  if (!Number.isInteger(healthPort) || healthPort < 0 || healthPort > 65_535) {
    command.error(`--health-port is ${options.healthPort}; write a port from 0 to 65535`);
  }
  const masqueradeExclude = rangesOf(options.masqueradeExclude, (problem) => {
    command.error(`--masquerade-exclude: ${problem}`);
  });
  return { ...options, healthPort, masqueradeExclude };
}

const options = readOptions();
const log = createLog({ name: 'fast-agent', level: options.logLevel });
const agent = new Agent(options, log);

async function stop(signal: string): Promise<void> {
  log.info({ signal }, 'stopping; the datapath stays as it is');
  await agent.stop();
  process.exit(0);
}

process.once('SIGTERM', (signal) => void stop(signal));
process.once('SIGINT', (signal) => void stop(signal));
try {
  await agent.start();
} catch (error) {
  log.error({ err: error }, 'fast-agent cannot start');
  process.exit(1);
}
