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

#define DIRECTORY_READ(x)         (*(const volatile __typeof__(x) *)&(x))
#define DIRECTORY_READ_ACQUIRE(x) DIRECTORY_READ(x)
#define DIRECTORY_WRITE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
/* Of estimates: an addition that another CPU's overwrites is no loss, and a locked one waits for
   all loads before it. */
#define DIRECTORY_ADD(pointer, value) \
  DIRECTORY_WRITE(*(pointer), DIRECTORY_READ(*(pointer)) + (value))
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

/* Each is one element, an array whose size is set when it is loaded, as in the configuration. */
SHARED_ARRAY(buckets, struct directory_bucket, 1);
SHARED_ARRAY(details, struct directory_detail, 1);

const volatile struct plane_configuration configuration SEC(".rodata.configuration");

/* Of the maps this is the one that libbpf makes for zeroed variables, `.bss`. */
struct plane_memory memory;

DIRECTORY_ACCESS struct directory_control *directory_control_of(DIRECTORY *d) {
  (void)d;
  return &memory.control;
}
DIRECTORY_ACCESS struct directory_bucket *directory_buckets_of(DIRECTORY *d) {
  __u32 key = 0;

  (void)d;
  return bpf_map_lookup_elem(&buckets, &key);
}
DIRECTORY_ACCESS struct directory_detail *directory_details_of(DIRECTORY *d) {
  __u32 key = 0;

  (void)d;
  return bpf_map_lookup_elem(&details, &key);
}
/* Constant while the program is loaded, so that the verifier can tell that indices are in bounds.
 */
DIRECTORY_ACCESS __u32 directory_bucket_mask(DIRECTORY *d) {
  (void)d;
  return configuration.bucket_mask;
}
/*
 * Has the processor fetch what the entry of a key hash would most likely lie in, while the packet
 * is still being checked. Of any hash: nothing is decided by it.
 */
DIRECTORY_ACCESS void directory_touch(DIRECTORY *d, __u64 key_hash) {
  struct directory_bucket *first = directory_buckets_of(d);
  struct directory_detail *details = directory_details_of(d);
  __u32 index = (__u32)key_hash & directory_bucket_mask(d);

  if (!first || !details)
    return;
  (void)DIRECTORY_READ(first[index].key_hash[0]);
  (void)DIRECTORY_READ(details[index * DIRECTORY_WAYS].mode);
}
DIRECTORY_ACCESS struct directory_slot *directory_slot_at(DIRECTORY *d, __u32 slot) {
  (void)d;
  return &memory.slots[slot & (HOTRACK_SLOTS - 1)];
}
DIRECTORY_ACCESS struct directory_server *directory_server_at(DIRECTORY *d, __u32 server) {
  (void)d;
  return &memory.servers[server & (HOTRACK_SERVERS_MAX - 1)];
}
DIRECTORY_ACCESS struct directory_load *directory_load_at(DIRECTORY *d, __u32 server) {
  (void)d;
  return &memory.loads[server & (HOTRACK_SERVERS_MAX - 1)];
}
DIRECTORY_ACCESS __u8 *directory_target_at(DIRECTORY *d, __u32 table, __u32 index) {
  (void)d;
  index += (table & (DIRECTORY_TARGET_TABLES - 1)) * DIRECTORY_TARGETS;
  return &memory.targets[index & (DIRECTORY_TARGET_TABLES * DIRECTORY_TARGETS - 1)];
}
/* A Weyl sequence of this CPU with a mixing step, as the host build's. */
DIRECTORY_ACCESS __u32 directory_random(DIRECTORY *d) {
  __u32 x = d->random += 0x9e3779b9u;

  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

#endif
