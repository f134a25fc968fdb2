// SPDX-License-Identifier: Apache-2.0
// The nftables table `fast`, replaced as one transaction when it should change or somebody changed it.
import { vxlanDevice } from '../api/names.ts';
import type { RangeSet } from '../ip/range-set.ts';
import { masqueradeScript } from '../wiring/overlay.ts';
import { type Host, runProgram } from './host.ts';

export class Masquerade {
  readonly #host: Host;
  /** Destinations outside that see pods by their own addresses. */
  readonly #excluded: RangeSet;
  readonly #tunnelPort: number;
  /** The script that was applied last. */
  #applied = '';
  /** The kernel's listing right after that: whatever differs later was changed by somebody else. */
  #listing = '';

  constructor(host: Host, excluded: RangeSet, tunnelPort: number) {
    this.#host = host;
    this.#excluded = excluded;
    this.#tunnelPort = tunnelPort;
  }

  /** With `verify` also what others did to the table is found. Answers whether it had to be written. */
  async ensure(addresses: RangeSet, verify: boolean): Promise<boolean> {
    const rules = { addresses, excluded: this.#excluded, device: vxlanDevice, tunnelPort: this.#tunnelPort };
    const script = masqueradeScript(rules);
    if (script === this.#applied && (!verify || (await this.#list()) === this.#listing)) {
      return false;
    }
    const { code, stderr } = await runProgram(this.#host, ['nft', '-f', '-'], script);
    if (code !== 0) throw new Error(`nft refused the table fast: ${stderr.trim()}`);
    this.#applied = script;
    this.#listing = await this.#list();
    return true;
  }

  /** Without counters, which every packet changes; '' where the table is gone. */
  async #list(): Promise<string> {
    const { code, stdout } = await runProgram(this.#host, ['nft', '--stateless', 'list', 'table', 'ip', 'fast']);
    return code === 0 ? stdout : '';
  }
}
