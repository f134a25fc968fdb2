// SPDX-License-Identifier: Apache-2.0
// Colours by what they mean. Without them every word still says the same.
import { styleText } from 'node:util';

export type Tone = 'good' | 'bad' | 'doubtful' | 'faint' | 'strong';

const styles = { good: 'green', bad: 'red', doubtful: 'yellow', faint: 'dim', strong: 'bold' } as const;

export type Paint = (tone: Tone | undefined, text: string) => string;

export const plain: Paint = (_tone, text) => text;

/** `validateStream` is off: whether stdout is a terminal has been asked once, where the program starts. */
export const colours: Paint = (tone, text) =>
  tone === undefined || text === '' ? text : styleText(styles[tone], text, { validateStream: false });
