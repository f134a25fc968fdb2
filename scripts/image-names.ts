// SPDX-License-Identifier: Apache-2.0
// The images of this version, by what they run.
import { version } from '../src/api/names.ts';

export const imageTag = version;
export const images = {
  controller: `sample.fast.io/fast-controller-manager:${imageTag}`,
  agent: `sample.fast.io/fast-agent:${imageTag}`,
} as const;

export type ImageName = keyof typeof images;
