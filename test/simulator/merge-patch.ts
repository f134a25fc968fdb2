// SPDX-License-Identifier: Apache-2.0
// JSON Merge Patch, RFC 7396: objects are merged field by field, null removes, everything else replaces.

export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const merged: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete merged[field];
    else if (value !== undefined) merged[field] = mergePatch(merged[field], value);
  }
  return merged;
}
