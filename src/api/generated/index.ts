// SPDX-License-Identifier: Apache-2.0
// Generated from crds/ by `npm run generate`; do not edit.
export * from './ip-allocation.ts';
export * from './ips.ts';
export * from './node-endpoint.ts';
