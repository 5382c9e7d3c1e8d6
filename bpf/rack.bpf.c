/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The rack's data plane on XDP, switch mode. */
#include "directory_maps_bpf.h"
#include "rack.h"

const volatile struct plane_configuration configuration SEC(".rodata.configuration");

SHARED_ARRAY(ports, struct plane_port, PLANE_PORTS);
SHARED_ARRAY(entry_counts, struct plane_entry_counts, 1);

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, PLANE_PORTS);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct bpf_devmap_val));
} devices SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct plane_cpu));
} processors SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} samples SEC(".maps");

SEC("xdp.frags")
int rack(struct xdp_md *context) {
  __u32 key = 0;
  struct plane_cpu *cpu = bpf_map_lookup_elem(&processors, &key);

  if (!cpu || !configuration.port || !context->ingress_ifindex)
    return XDP_ABORTED;
  cpu->counters[COUNTER_PASS]++;
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
