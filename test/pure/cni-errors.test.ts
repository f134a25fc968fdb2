// SPDX-License-Identifier: Apache-2.0
// The table of errors: what the documentation says is what the code says, and every code carries its cure to stdout.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CniError, formatError } from '../../src/cni/cni-error.ts';
import { errorTable, type ErrorKind } from '../../src/protocol/error-codes.ts';
import { call, errorOf, podVariables } from './cni-fake-host.ts';

const kinds: ErrorKind[] = Object.values(errorTable);

describe('the table of errors', () => {
  it('stands in docs/cni.md as it stands in the code', () => {
    const page = readFileSync(new URL('../../docs/cni.md', import.meta.url), 'utf8');
    const rows = page.slice(page.indexOf('## Errors')).match(/^\| \d+ \| .* \|$/gm);
    expect(rows).toEqual(kinds.map(({ code, means, cure }) => `| ${code} | ${means} | ${cure} |`));
  });

  it('has each code once, in order, and of those below 100 only what the specification knows', () => {
    const codes = kinds.map(({ code }) => code);
    expect(codes).toEqual([...new Set(codes)].toSorted((a, b) => a - b));
    expect(codes.filter((code) => code < 100)).toEqual([1, 2, 3, 4, 5, 6, 7, 11, 50, 51]);
  });

  it.each(kinds)('gives an error of code $code its cure, unless it brings a better one', ({ code, cure }) => {
    expect(JSON.parse(formatError('1.0.0', new CniError(code, 'x')))).toEqual({
      cniVersion: '1.0.0',
      code,
      msg: 'x',
      details: cure,
    });
    expect(new CniError(code, 'x', 'do that').details).toBe('do that');
  });

  it('reaches what the agent sends, which may be of an older release and have no cure', () => {
    const answer = { text: JSON.stringify({ ok: false, code: 102, msg: 'make the veth pair: no memory' }) };
    const error = errorOf(call({ variables: { ...podVariables, CNI_COMMAND: 'ADD' }, answer }));
    expect(error).toMatchObject({ code: 102, details: errorTable.wiring.cure });
  });
});
