// SPDX-License-Identifier: Apache-2.0
// The script inside the executable fast-cni, run by QuickJS; see host/src/main.rs.
import type { Host } from './host.ts';
import { run } from './run.ts';

declare const host: Host;

run(host);
