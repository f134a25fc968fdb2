// SPDX-License-Identifier: Apache-2.0
// One line of JSON per event on stdout, the way a cluster's log collectors read it. The interface is the small part of
// pino that we use, so that a test may pass an array.

import { pino } from 'pino';

/** Without the keys that every line has of its own: pino would write them twice into one JSON object. */
type Fields = Readonly<Record<string, unknown>> & { readonly [key in 'level' | 'time' | 'logger' | 'msg']?: never };

/** Fields first, then one sentence. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  /** A log whose every line carries `fields`. */
  child(fields: Fields): Log;
}

/**
 * A JSON log. The program is the field `logger`, as controller-runtime has it: `name` is the object's that a line is
 * about. `level` is one of debug, info, warn, error; info if absent.
 */
export function createLog(options: { name: string; level?: string }): Log {
  return pino({
    base: { logger: options.name },
    level: options.level ?? 'info',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: pino.stdSerializers.err },
  });
}

/** Says nothing; the default where a caller passes no log. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
