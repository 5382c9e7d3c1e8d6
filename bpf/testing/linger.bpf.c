/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A program that takes its time, for the test of the grace period: it says that it has begun, is
 * busy for a while, and says that it has ended.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 2);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u64));
} moments SEC(".maps");

static long wait(__u32 index, void *context) {
  volatile __u64 *sink = context;

  *sink += index;
  return 0;
}

SEC("xdp.frags")
int linger(struct xdp_md *frame) {
  __u32 first = 0, second = 1;
  __u64 *begun = bpf_map_lookup_elem(&moments, &first);
  __u64 *ended = bpf_map_lookup_elem(&moments, &second);
  volatile __u64 sink = 0;
  int round;

  (void)frame;
  if (!begun || !ended)
    return XDP_ABORTED;
  *begun = 1;
  for (round = 0; round < 4; round++)
    bpf_loop(1 << 23, wait, (void *)&sink, 0);
  *ended = 1;
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
