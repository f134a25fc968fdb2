// SPDX-License-Identifier: Apache-2.0
// A failure on its way to stdout, where the container runtime reads it.
import { cureOf } from '../protocol/error-codes.ts';

/** `code` is of src/protocol/error-codes.ts, the message one sentence; `details` say what to do, else the table does. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: number, msg: string, details?: string) {
    super(msg);
    this.code = code;
    this.details = details ?? cureOf(code);
  }
}

/** The error as CNI 1.1.0, section 5, "Error" has it. */
export function formatError(cniVersion: string, error: CniError): string {
  const details = error.details === undefined ? {} : { details: error.details };
  return `${JSON.stringify({ cniVersion, code: error.code, msg: error.message, ...details })}\n`;
}
