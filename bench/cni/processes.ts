// SPDX-License-Identifier: Apache-2.0
// CPU time of a process that lives on, with that of the programs that it ran.
import { readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const tickMs = 10;

/** utime, stime, cutime and cstime, fields 14 to 17 of /proc/PID/stat, proc(5). */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program, in brackets, may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]) * tickMs, 0);
}
