/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The directory's memory as the XDP program sees it: array maps, which the controller has mapped
 * into its own memory. Counterpart of directory_maps_host.h.
 *
 * Loads of words are single loads; that they happen in program order is what x86 guarantees and
 * what other machines would need load-acquire instructions for (BPF has them since Linux 6.15).
 */
#ifndef HOTRACK_DIRECTORY_MAPS_BPF_H
#define HOTRACK_DIRECTORY_MAPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "plane_state.h"

/* What is passed around as the directory is this CPU's own state. */
#define DIRECTORY struct plane_cpu

#define DIRECTORY_READ(x)                   (*(const volatile __typeof__(x) *)&(x))
#define DIRECTORY_READ_ACQUIRE(x)           DIRECTORY_READ(x)
#define DIRECTORY_WRITE(x, value)           (*(volatile __typeof__(x) *)&(x) = (value))
#define DIRECTORY_ADD(pointer, value)       ((void)__sync_fetch_and_add((pointer), (value)))
#define DIRECTORY_FETCH_ADD(pointer, value) __sync_fetch_and_add((pointer), (value))
#define DIRECTORY_SWAP(pointer, expected, next) \
  (__sync_val_compare_and_swap((pointer), (expected), (next)) == (expected))
/* Only the objects in bpf/testing have faults. */
#ifndef DIRECTORY_FAULT
#define DIRECTORY_FAULT(d, fault) ((void)(d), 0)
#endif
#define DIRECTORY_TORN_STORE(pointer, next)                            \
  do {                                                                 \
    DIRECTORY_WRITE(*(__u32 *)(pointer), (__u32)(next));               \
    DIRECTORY_WRITE(*((__u32 *)(pointer) + 1), (__u32)((next) >> 32)); \
  } while (0)

#define DIRECTORY_ACCESS static __always_inline __attribute__((unused))

/* An array map whose memory the controller maps. `count` of 1: sized when it is loaded. */
#define SHARED_ARRAY(map, element, count) \
  struct {                                \
    __uint(type, BPF_MAP_TYPE_ARRAY);     \
    __uint(map_flags, BPF_F_MMAPABLE);    \
    __uint(max_entries, count);           \
    __uint(key_size, sizeof(__u32));      \
    __uint(value_size, sizeof(element));  \
  } map SEC(".maps")

/* The elements of an array map are rounded up to 8 bytes: smaller ones come in one element. */
struct directory_slots {
  struct directory_slot slot[HOTRACK_SLOTS];
};
struct directory_targets {
  __u8 server[DIRECTORY_TARGET_TABLES * DIRECTORY_TARGETS];
};

SHARED_ARRAY(control, struct directory_control, 1);
SHARED_ARRAY(buckets, struct directory_bucket, 1);
SHARED_ARRAY(details, struct directory_detail, 1);
SHARED_ARRAY(slots, struct directory_slots, 1);
SHARED_ARRAY(servers, struct directory_server, HOTRACK_SERVERS_MAX);
SHARED_ARRAY(loads, struct directory_load, HOTRACK_SERVERS_MAX);
SHARED_ARRAY(targets, struct directory_targets, 1);

DIRECTORY_ACCESS struct directory_control *directory_control_of(DIRECTORY *d) {
  __u32 key = 0;

  (void)d;
  return bpf_map_lookup_elem(&control, &key);
}
DIRECTORY_ACCESS struct directory_bucket *directory_bucket_at(DIRECTORY *d, __u32 index) {
  (void)d;
  return bpf_map_lookup_elem(&buckets, &index);
}
DIRECTORY_ACCESS struct directory_detail *directory_detail_at(DIRECTORY *d, __u32 entry) {
  (void)d;
  return bpf_map_lookup_elem(&details, &entry);
}
DIRECTORY_ACCESS struct directory_slot *directory_slot_at(DIRECTORY *d, __u32 slot) {
  struct directory_slots *table;
  __u32 key = 0;

  (void)d;
  table = bpf_map_lookup_elem(&slots, &key);
  return table ? &table->slot[slot & (HOTRACK_SLOTS - 1)] : 0;
}
DIRECTORY_ACCESS struct directory_server *directory_server_at(DIRECTORY *d, __u32 server) {
  (void)d;
  return bpf_map_lookup_elem(&servers, &server);
}
DIRECTORY_ACCESS struct directory_load *directory_load_at(DIRECTORY *d, __u32 server) {
  (void)d;
  return bpf_map_lookup_elem(&loads, &server);
}
DIRECTORY_ACCESS __u8 *directory_target_at(DIRECTORY *d, __u32 table, __u32 index) {
  struct directory_targets *all;
  __u32 key = 0;

  (void)d;
  all = bpf_map_lookup_elem(&targets, &key);
  index += (table & (DIRECTORY_TARGET_TABLES - 1)) * DIRECTORY_TARGETS;
  return all ? &all->server[index & (DIRECTORY_TARGET_TABLES * DIRECTORY_TARGETS - 1)] : 0;
}
/* A Weyl sequence of this CPU with a mixing step, as the host build's. */
DIRECTORY_ACCESS __u32 directory_random(DIRECTORY *d) {
  __u32 x = d->random += 0x9e3779b9u;

  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

#endif
