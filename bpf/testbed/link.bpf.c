/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Breaks one link of a testbed, at the node's end of it: loses and duplicates frames, cuts the
 * link, and sends frames by way of a relay in user space that delays them. The directory host, with
 * its XDP program at the other end, is left as it is.
 *
 *   link_to    at the end's ingress: what comes from the directory host
 *   link_from  at the end's egress: what the node sends
 *   link_back  at the ingress of the relay's interface: what it gives back
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "link.h"

/* The mark of frames that have been decided on and pass here once more. */
#define DECIDED 0x4854

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, LINK_DIRECTIONS);
  __type(key, __u32);
  __type(value, struct link_fault);
} link_faults SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct link_place);
} link_places SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, LINK_DIRECTIONS);
  __type(key, __u32);
  __type(value, struct link_count);
} link_counts SEC(".maps");

static __always_inline int happens(__u32 share) {
  return share && bpf_get_prandom_u32() % LINK_SHARE_WHOLE < share;
}

static __always_inline int decide(struct __sk_buff *frame, __u32 direction) {
  struct link_fault *fault = bpf_map_lookup_elem(&link_faults, &direction);
  struct link_count *count = bpf_map_lookup_elem(&link_counts, &direction);
  __u32 zero = 0, relay;
  struct link_place *place = bpf_map_lookup_elem(&link_places, &zero);
  int twice;

  if (!fault || !count || !place || frame->mark == DECIDED)
    return TC_ACT_OK;
  __sync_fetch_and_add(&count->seen, 1);
  if (fault->cut || happens(fault->loss)) {
    __sync_fetch_and_add(&count->lost, 1);
    return TC_ACT_SHOT;
  }
  twice = happens(fault->duplicate);
  if (twice)
    __sync_fetch_and_add(&count->duplicated, 1);
  relay = fault->relay;
  if (relay) {
    __sync_fetch_and_add(&count->delayed, 1 + twice);
    if (twice)
      bpf_clone_redirect(frame, relay, 0);
    return bpf_redirect(relay, 0);
  }
  frame->mark = DECIDED;
  if (twice)
    bpf_clone_redirect(frame, place->interface, direction == LINK_TO ? BPF_F_INGRESS : 0);
  return TC_ACT_OK;
}

SEC("tc")
int link_to(struct __sk_buff *frame) {
  return decide(frame, LINK_TO);
}

SEC("tc")
int link_from(struct __sk_buff *frame) {
  return decide(frame, LINK_FROM);
}

/* A frame to this node goes up, any other one out of the link. */
SEC("tc")
int link_back(struct __sk_buff *frame) {
  void *start = (void *)(long)frame->data, *end = (void *)(long)frame->data_end;
  struct ethhdr *ethernet = start;
  __u32 zero = 0, is_mine = 1, byte;
  struct link_place *place = bpf_map_lookup_elem(&link_places, &zero);

  if (!place || start + sizeof(*ethernet) > end)
    return TC_ACT_SHOT;
#pragma clang loop unroll(full)
  for (byte = 0; byte < ETH_ALEN; byte++)
    is_mine &= ethernet->h_dest[byte] == place->mac[byte];
  frame->mark = DECIDED;
  return bpf_redirect(place->interface, is_mine ? BPF_F_INGRESS : 0);
}

char LICENSE[] SEC("license") = "GPL";
