// SPDX-License-Identifier: Apache-2.0
// fast-controller-manager: reads its configuration, runs the operator, and ends with it.
import { hostname } from 'node:os';
import { controllerName } from '../api/names.ts';
import { createLog } from '../kube/log.ts';
import { readConfig } from './config.ts';
import { FastOperator } from './operator.ts';

const config = readConfig(process.argv.slice(2), process.env, hostname());
const log = createLog({ name: controllerName, level: config.logLevel });
const operator = new FastOperator(config, log);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    log.info({ signal }, 'stopping');
    operator.stop();
  });
}

try {
  await operator.start();
} catch (error) {
  log.error({ err: error }, 'cannot start');
  process.exit(1);
}
const ending = await operator.ended;
if (ending === 'leadershipLost') {
  // What this process knows may be behind what the next leader writes; a fresh start is the safe way back.
  log.error({ identity: config.identity }, 'lost the lease; exiting, so that nothing is written without it');
  process.exit(1);
}
process.exit(0);
