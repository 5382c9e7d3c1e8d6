/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The directory's memory as the host sees it: plain arrays, or maps of the XDP program mapped into
 * the controller. Several threads may use one directory, as several CPUs do in the kernel.
 */
#ifndef HOTRACK_DIRECTORY_MAPS_HOST_H
#define HOTRACK_DIRECTORY_MAPS_HOST_H

#include "directory_notes.h"
#include "directory_state.h"

struct directory {
  struct directory_control *control;
  struct directory_bucket *buckets;
  struct directory_detail *details; /* DIRECTORY_WAYS for each bucket */
  struct directory_slot *slots;     /* HOTRACK_SLOTS */
  struct directory_server *servers; /* HOTRACK_SERVERS_MAX */
  struct directory_load *loads;     /* HOTRACK_SERVERS_MAX */
  __u8 *targets;                    /* DIRECTORY_TARGET_TABLES * DIRECTORY_TARGETS */
  struct directory_notes *notes;
  __u64 *slot_losses;                       /* HOTRACK_SLOTS */
  struct directory_entry_note *entry_notes; /* one for each entry */
  __u32 *random;                            /* state of the host build's random numbers */
  __u32 faults;                             /* enum directory_fault; tests only */
};
#define DIRECTORY struct directory

/* Before every access to what processors share; the stepped build stops there (Stepped.c). */
#ifndef DIRECTORY_STEP
#define DIRECTORY_STEP() ((void)0)
#endif

#define DIRECTORY_READ(x)         (DIRECTORY_STEP(), __atomic_load_n(&(x), __ATOMIC_RELAXED))
#define DIRECTORY_READ_ACQUIRE(x) (DIRECTORY_STEP(), __atomic_load_n(&(x), __ATOMIC_ACQUIRE))
#define DIRECTORY_WRITE(x, value) \
  (DIRECTORY_STEP(), __atomic_store_n(&(x), (value), __ATOMIC_RELAXED))
#define DIRECTORY_ADD(pointer, value) \
  (DIRECTORY_STEP(), __atomic_fetch_add((pointer), (value), __ATOMIC_RELAXED))
#define DIRECTORY_FETCH_ADD(pointer, value) \
  (DIRECTORY_STEP(), __atomic_fetch_add((pointer), (value), __ATOMIC_SEQ_CST))
#define DIRECTORY_SWAP(pointer, expected, next) \
  (DIRECTORY_STEP(), __sync_bool_compare_and_swap((pointer), (expected), (next)))
#define DIRECTORY_FAULT(d, fault) ((d)->faults & (fault))
/* What a swap replaces: two stores that another CPU can come between. */
#define DIRECTORY_TORN_STORE(pointer, next)                                            \
  do {                                                                                 \
    __atomic_store_n((__u32 *)(pointer), (__u32)(next), __ATOMIC_RELAXED);             \
    DIRECTORY_STEP();                                                                  \
    __atomic_store_n((__u32 *)(pointer) + 1, (__u32)((next) >> 32), __ATOMIC_RELAXED); \
  } while (0)

#define DIRECTORY_ACCESS static inline __attribute__((always_inline, unused))

DIRECTORY_ACCESS struct directory_control *directory_control_of(DIRECTORY *d) {
  return d->control;
}
DIRECTORY_ACCESS struct directory_bucket *directory_buckets_of(DIRECTORY *d) {
  return d->buckets;
}
DIRECTORY_ACCESS struct directory_detail *directory_details_of(DIRECTORY *d) {
  return d->details;
}
DIRECTORY_ACCESS __u32 directory_bucket_mask(DIRECTORY *d) {
  return d->control->bucket_mask;
}
/* Of use only where packets are many. */
DIRECTORY_ACCESS void directory_touch(DIRECTORY *d, __u64 key_hash) {
  (void)d;
  (void)key_hash;
}
DIRECTORY_ACCESS struct directory_slot *directory_slot_at(DIRECTORY *d, __u32 slot) {
  return &d->slots[slot];
}
DIRECTORY_ACCESS struct directory_server *directory_server_at(DIRECTORY *d, __u32 server) {
  return &d->servers[server];
}
DIRECTORY_ACCESS struct directory_load *directory_load_at(DIRECTORY *d, __u32 server) {
  return &d->loads[server];
}
DIRECTORY_ACCESS __u8 *directory_target_at(DIRECTORY *d, __u32 table, __u32 index) {
  return &d->targets[(table & (DIRECTORY_TARGET_TABLES - 1)) * DIRECTORY_TARGETS + index];
}
/* Weyl sequence with a mixing step; the state may be shared: a lost step does no harm. */
DIRECTORY_ACCESS __u32 directory_random(DIRECTORY *d) {
  __u32 x = __atomic_add_fetch(d->random, 0x9e3779b9u, __ATOMIC_RELAXED);

  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

#endif
