/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The benchmark of the data plane. BPF_PROG_TEST_RUN gives a program the same frame again and
 * again, as the program left it; so each case and each baseline is run behind `restore`, which
 * makes the frame anew and goes on by a tail call. What it costs, it costs in every case.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../wire.h"
#include "dataplane.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bench_plan);
} plan SEC(".maps");

/* Sized when it is loaded: a power of two. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bench_key);
} keys SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, BENCH_TARGETS);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u32));
} targets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, BENCH_DEVICES);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct bpf_devmap_val));
} devices SEC(".maps");

/* Frames that have arrived at the server's end. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} arrivals SEC(".maps");

/* struct ethhdr says that it may lie anywhere, and so is read byte by byte. */
struct ethernet {
  __u16 destination[3];
  __u16 source[3];
  __be16 type;
};

/*
 * Makes the next packet of the plan in the frame. Null: something is missing.
 *
 * In pieces in which whole fields of our header lie: a load of what two stores have just written
 * would have to wait for them, which it has not to with a frame that a device has written.
 */
static __always_inline struct bench_plan *next_packet(struct xdp_md *frame) {
  void *start = (void *)(long)frame->data, *end = (void *)(long)frame->data_end;
  struct hotrack_header *header = start + BENCH_HEADERS_LENGTH - HOTRACK_HEADER_LENGTH;
  struct bench_plan *p;
  struct bench_key *k;
  __u32 zero = 0, key, piece;
  __u64 packet, number;

  p = bpf_map_lookup_elem(&plan, &zero);
  if (!p || start + BENCH_HEADERS_LENGTH > end)
    return 0;
  packet = p->packets++;
  key = packet & ((1u << (p->key_bits & 31)) - 1);
  k = bpf_map_lookup_elem(&keys, &key);
  if (!k)
    return 0;
  *(__u16 *)start = *(__u16 *)p->headers;
#pragma clang loop unroll(full)
  for (piece = 0; piece < BENCH_HEADERS_LENGTH / 8; piece++)
    ((__u64 *)(start + 2))[piece] = ((__u64 *)(p->headers + 2))[piece];
  number = bpf_cpu_to_be64(p->same_numbers ? key + 1 : packet + 1);
  header->version =
      bpf_cpu_to_be64(p->first_version + (packet >> (p->key_bits & 31)) * p->version_step);
  header->key_hash = k->key_hash;
  header->client = bpf_cpu_to_be64(key + 1);
  header->sequence = number;
  header->acknowledged = number;
  header->rack_tag = k->rack_tag;
  return p;
}

SEC("xdp.frags")
int restore(struct xdp_md *frame) {
  struct bench_plan *p = next_packet(frame);

  if (!p)
    return XDP_ABORTED;
  /* By constant places, which the kernel makes direct jumps of. */
  if (p->target == BENCH_RACK)
    bpf_tail_call_static(frame, &targets, BENCH_RACK);
  else if (p->target == BENCH_PARSE_SWAP)
    bpf_tail_call_static(frame, &targets, BENCH_PARSE_SWAP);
  else
    bpf_tail_call_static(frame, &targets, BENCH_EMPTY);
  return XDP_ABORTED;
}

/* The first baseline: nothing. */
SEC("xdp.frags")
int empty(struct xdp_md *frame) {
  (void)frame;
  return XDP_PASS;
}

/* The second one: the least that an answer takes. */
SEC("xdp.frags")
int parse_swap(struct xdp_md *frame) {
  struct ethernet *ethernet = (void *)(long)frame->data, before;
  struct iphdr *ipv4 = (void *)(ethernet + 1);
  struct udphdr *udp = (void *)(ipv4 + 1);
  __be32 address;
  __be16 port;

  if ((void *)(udp + 1) > (void *)(long)frame->data_end || ethernet->type != bpf_htons(ETH_P_IP) ||
      ipv4->ihl != 5 || ipv4->protocol != IPPROTO_UDP)
    return XDP_PASS;
  before = *ethernet;
#pragma clang loop unroll(full)
  for (int word = 0; word < 3; word++) {
    ethernet->source[word] = before.destination[word];
    ethernet->destination[word] = before.source[word];
  }
  address = ipv4->saddr;
  ipv4->saddr = ipv4->daddr;
  ipv4->daddr = address;
  port = udp->source;
  udp->source = udp->dest;
  udp->dest = port;
  return XDP_TX;
}

/* Live frames: from the client's end of its link; the baseline in the rack's place; the server. */
SEC("xdp.frags")
int send(struct xdp_md *frame) {
  if (!next_packet(frame))
    return XDP_ABORTED;
  return bpf_redirect_map(&devices, BENCH_FROM_CLIENT, XDP_ABORTED);
}

SEC("xdp.frags")
int bare_redirect(struct xdp_md *frame) {
  (void)frame;
  return bpf_redirect_map(&devices, BENCH_TO_SERVER, XDP_ABORTED);
}

SEC("xdp.frags")
int arrive(struct xdp_md *frame) {
  __u32 zero = 0;
  __u64 *count = bpf_map_lookup_elem(&arrivals, &zero);

  (void)frame;
  if (count)
    ++*count;
  return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
