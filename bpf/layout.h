// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What every other header needs, and the number under which the maps are pinned.
 *
 * The headers here are also the source of src/datapath/generated/layout.ts. scripts/generate-layout.ts reads a plain
 * dialect of C: `#define NAME number`, structs of fixed-width members, one enum of counters with written-out numbers,
 * and maps as libbpf has them. A member's type says its byte order: __be32 is network order, __u32 the machine's.
 */
#ifndef FAST_LAYOUT_H
#define FAST_LAYOUT_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Part of the pin's path. It grows with every change of a key or a value, so that new programs never meet old maps. */
#define LAYOUT_VERSION 2

/* Debian 12's headers predate tcx (kernel commit e420bed02507). The same numbers mean the same to a clsact filter:
 * -1 is TC_ACT_UNSPEC, "ask the next one", and 2 is TC_ACT_SHOT.
 */
#define TCX_NEXT (-1)
#define TCX_DROP 2

#endif
