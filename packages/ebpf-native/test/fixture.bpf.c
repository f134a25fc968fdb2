// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Small programs for the package's own tests: each shows one thing that a loader must do. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifndef VALUE_TYPE
#define VALUE_TYPE __u64
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, VALUE_TYPE);
} pods SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} told SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} untold SEC(".maps");

/* A struct with what a layout may have: a typedef, an array, a hole, a qualified pointer, a bit field. */
typedef __u8 octet;
struct laid_out {
	const __u32 ifindex;
	octet mac[6];
	__u32 narrow : 3;
	void *next;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct laid_out);
} laid SEC(".maps");

const volatile __u32 first_setting = 1;
const volatile __u32 verdict = 7;

struct nf_conn {
	int unused;
} __attribute__((preserve_access_index));
/* libbpf compares prototypes by the kinds of types, so that these stand for the kernel's own. */
struct bpf_ct_opts {
	int unused;
} __attribute__((preserve_access_index));
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple_size,
					 struct bpf_ct_opts *opts, __u32 opts_size) __ksym __weak;
extern void fixture_function_that_no_kernel_has(void) __ksym __weak;

static __always_inline void count(__u32 which)
{
	__u32 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		*value += 1;
}

SEC("tc")
int counts(struct __sk_buff *skb)
{
	count(first_setting);
	return -1;
}

SEC("tc")
int answers(struct __sk_buff *skb)
{
	skb->cb[0] = skb->mark + 1;
	return verdict;
}

/* Tells the packet's length; an odd mark is thought better of. */
SEC("tc")
int tells(struct __sk_buff *skb)
{
	__u32 zero = 0, *lost;
	__u32 *record = bpf_ringbuf_reserve(&told, 12, 0);

	if (!record) {
		lost = bpf_map_lookup_elem(&untold, &zero);
		if (lost)
			*lost += 1;
		return 1;
	}
	record[0] = skb->len;
	record[1] = skb->mark;
	record[2] = 0xfa57;
	if (skb->mark & 1)
		bpf_ringbuf_discard(record, 0);
	else
		bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tc")
int drops(struct __sk_buff *skb)
{
	return 2;
}

SEC("tc")
int has_kfuncs(struct __sk_buff *skb)
{
	if (fixture_function_that_no_kernel_has)
		fixture_function_that_no_kernel_has();
	return (bpf_skb_ct_lookup ? 1 : 0) | (fixture_function_that_no_kernel_has ? 2 : 0);
}

#ifdef BROKEN
SEC("tc")
int broken(struct __sk_buff *skb)
{
	return *(int *)(long)(skb->len);
}
#endif

#ifdef STRONG
extern void strong_function_that_no_kernel_has(void) __ksym;

SEC("tc")
int strong(struct __sk_buff *skb)
{
	strong_function_that_no_kernel_has();
	return 0;
}
#endif

#ifdef NO_HELPER
static long (*no_helper)(void) = (void *)100000;

SEC("tc")
int helpless(struct __sk_buff *skb)
{
	return no_helper();
}
#endif

#ifndef LICENSE
#define LICENSE "Dual BSD/GPL"
#endif
char fixture_license[] SEC("license") = LICENSE;
