// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { addressCount, countOf } from '../../src/api/count-of.ts';

it('one thing is told of in the singular, none and several in the plural', () => {
  expect([0, 1, 2].map(addressCount)).toEqual(['0 addresses', '1 address', '2 addresses']);
  expect([1, 2].map((count) => countOf(count, 'pod'))).toEqual(['1 pod', '2 pods']);
});
