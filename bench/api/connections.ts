// SPDX-License-Identifier: Apache-2.0
// Counts the connections that undici makes in this process: who measures one client at a time knows whose they are.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

const channel = 'undici:client:connected';

/** Runs `work` and answers how many connections came to be meanwhile. */
export async function connectionsDuring(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const onConnected = (): void => {
    count += 1;
  };
  subscribe(channel, onConnected);
  try {
    await work();
  } finally {
    unsubscribe(channel, onConnected);
  }
  return count;
}
