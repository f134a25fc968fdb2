// SPDX-License-Identifier: Apache-2.0
// The table from what the API server says to the word that callers act on.
import { describe, expect, it } from 'vitest';
import { errorOfAnswer, errorOfTransport, isPassing, isReason, KubeError } from '../../src/kube/errors.ts';
import { objectKey, resource, resourcePath } from '../../src/kube/object.ts';

const attempt = { verb: 'create', target: 'ipallocations 10.244.10.0' };

describe('errors', () => {
  it.each([
    [409, 'AlreadyExists', 'alreadyExists'],
    [409, 'Conflict', 'conflict'],
    [409, undefined, 'conflict'],
    [404, 'NotFound', 'notFound'],
    [403, 'Forbidden', 'forbidden'],
    [401, 'Unauthorized', 'unauthorized'],
    [410, 'Expired', 'gone'],
    [410, 'Gone', 'gone'],
    [422, 'Invalid', 'invalid'],
    [429, 'TooManyRequests', 'throttled'],
    [500, 'InternalError', 'serverError'],
    [502, undefined, 'serverError'],
    [504, 'Timeout', 'timeout'],
    [418, undefined, 'unknown'],
  ] as const)('calls %i %s %s', (code, reason, word) => {
    const body = { kind: 'Status', code, message: 'said so', ...(reason === undefined ? {} : { reason }) };
    const error = errorOfAnswer(attempt, code, body);
    expect(error).toMatchObject({ reason: word, status: code });
    expect(error.message).toBe('cannot create ipallocations 10.244.10.0: said so');
  });

  it('reads the code of an ERROR event out of its body, for the stream itself answered 200', () => {
    const error = errorOfAnswer(attempt, 500, { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
    expect(error).toMatchObject({ reason: 'gone', status: 410 });
  });

  it('takes Retry-After from the header, else from the status', () => {
    expect(errorOfAnswer(attempt, 429, '', '7').retryAfterMs).toBe(7000);
    expect(errorOfAnswer(attempt, 429, { details: { retryAfterSeconds: 3 } }).retryAfterMs).toBe(3000);
    expect(errorOfAnswer(attempt, 429, '', 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBeUndefined();
    expect(errorOfAnswer(attempt, 429, '').retryAfterMs).toBeUndefined();
    expect(errorOfAnswer(attempt, 429, '', '-1').retryAfterMs).toBeUndefined();
  });

  it('tells no answer in time from no way to the server', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    expect(errorOfTransport(attempt, reset)).toMatchObject({ reason: 'unreachable', status: 0 });
    const slow = Object.assign(new Error('Headers Timeout Error'), { code: 'UND_ERR_HEADERS_TIMEOUT' });
    expect(errorOfTransport(attempt, slow).reason).toBe('timeout');
    expect(errorOfTransport(attempt, new DOMException('aborted', 'AbortError')).reason).toBe('aborted');
  });

  it('knows what may pass by itself', () => {
    const of = (reason: KubeError['reason']): KubeError => new KubeError(reason, attempt, 'x');
    expect([of('throttled'), of('timeout'), of('serverError'), of('unreachable')].every(isPassing)).toBe(true);
    expect([of('conflict'), of('forbidden'), of('gone'), new Error('x')].some(isPassing)).toBe(false);
    expect(isReason(of('gone'), 'notFound', 'gone')).toBe(true);
  });
});

describe('keys and paths', () => {
  it('are the name, after the namespace where there is one', () => {
    expect(objectKey({ metadata: { name: 'web-0', namespace: 'default' } })).toBe('default/web-0');
    expect(objectKey({ metadata: { name: '10.244.10.0' } })).toBe('10.244.10.0');
  });

  it('knows where objects live', () => {
    const pods = resource('', 'v1', 'pods', 'Pod', 'namespaced');
    const ipses = resource('sample.fast.io', 'v1alpha1', 'ipses', 'Ips', 'cluster');
    expect(resourcePath(pods)).toBe('/api/v1/pods');
    expect(resourcePath(pods, { namespace: 'a', name: 'b', subresource: 'status' })).toBe(
      '/api/v1/namespaces/a/pods/b/status',
    );
    expect(resourcePath(ipses, { name: 'x/../y' })).toBe('/apis/sample.fast.io/v1alpha1/ipses/x%2F..%2Fy');
  });
});
