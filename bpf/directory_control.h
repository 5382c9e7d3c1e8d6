/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The controller's side of the directory's memory: each function is one change that is safe while
 * packets are handled on any CPU. What must come before what is the controller's business.
 * Host only.
 */
#ifndef HOTRACK_DIRECTORY_CONTROL_H
#define HOTRACK_DIRECTORY_CONTROL_H

#include "directory_maps_host.h"

#define DIRECTORY_STORE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_RELEASE)

/* Publishes an entry as *adding* in an empty place; the key hash last, so that it is seen whole. */
DIRECTORY_ACCESS void directory_insert(DIRECTORY *d, __u32 entry, __u64 key_hash) {
  struct directory_bucket *bucket = &d->buckets[entry / DIRECTORY_WAYS];
  struct directory_detail *detail = &d->details[entry];

  DIRECTORY_STORE(bucket->word[entry % DIRECTORY_WAYS], 0);
  DIRECTORY_STORE(detail->copies, 0);
  DIRECTORY_STORE(detail->mode, DIRECTORY_ADDING);
  DIRECTORY_STORE(bucket->key_hash[entry % DIRECTORY_WAYS], key_hash);
}

/* The base place after the one that a word uses. */
DIRECTORY_ACCESS __u32 directory_next_base(DIRECTORY *d, __u64 word) {
  if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_ONE_BASE))
    return directory_word_base(word);
  return (directory_word_base(word) + 1) % DIRECTORY_BASES;
}

/*
 * Makes an entry hot: replica set, completed version and what they are checked against first, the
 * mode last. `base` is the version that the window starts at; the completed version lies in it.
 */
DIRECTORY_ACCESS void directory_make_hot(DIRECTORY *d, __u32 entry, __u64 completed, __u32 set,
                                         __u64 since, __u8 copies, __u8 targets) {
  struct directory_bucket *bucket = &d->buckets[entry / DIRECTORY_WAYS];
  struct directory_detail *detail = &d->details[entry];
  __u64 word = __atomic_load_n(&bucket->word[entry % DIRECTORY_WAYS], __ATOMIC_ACQUIRE);
  __u32 base = directory_next_base(d, word);

  DIRECTORY_STORE(detail->copies, copies);
  DIRECTORY_STORE(detail->targets, targets);
  DIRECTORY_STORE(detail->since, (__u32)since);
  DIRECTORY_STORE(detail->base[base], completed);
  DIRECTORY_STORE(bucket->word[entry % DIRECTORY_WAYS], directory_word(base, 0, set));
  DIRECTORY_STORE(detail->mode, DIRECTORY_HOT);
}

DIRECTORY_ACCESS void directory_set_mode(DIRECTORY *d, __u32 entry, __u32 mode) {
  DIRECTORY_STORE(d->details[entry].mode, mode);
}

/* Takes the entry out of its place. The place is free after a grace period, not before. */
DIRECTORY_ACCESS void directory_remove(DIRECTORY *d, __u32 entry) {
  DIRECTORY_STORE(d->buckets[entry / DIRECTORY_WAYS].key_hash[entry % DIRECTORY_WAYS], 0);
  DIRECTORY_STORE(d->details[entry].mode, DIRECTORY_EMPTY);
}

/* Takes a server out of one entry's replica set. */
DIRECTORY_ACCESS void directory_forget_server(DIRECTORY *d, __u32 entry, __u32 server) {
  __u64 *word = &d->buckets[entry / DIRECTORY_WAYS].word[entry % DIRECTORY_WAYS];
  __u64 old = __atomic_load_n(word, __ATOMIC_ACQUIRE);

  while (!__atomic_compare_exchange_n(word, &old, old & ~(1ull << server), 0, __ATOMIC_SEQ_CST,
                                      __ATOMIC_ACQUIRE))
    ;
}

/*
 * Moves the window of an entry up to its completed version: the next base first, then the word.
 * The base place that comes into use must not have been left less than a grace period ago.
 */
DIRECTORY_ACCESS void directory_rebase(DIRECTORY *d, __u32 entry) {
  __u64 *word = &d->buckets[entry / DIRECTORY_WAYS].word[entry % DIRECTORY_WAYS];
  struct directory_detail *detail = &d->details[entry];
  __u64 old = __atomic_load_n(word, __ATOMIC_ACQUIRE), next;
  __u32 base = directory_next_base(d, old);

  do {
    DIRECTORY_STORE(detail->base[base], directory_word_version(detail, old));
    next = directory_word(base, 0, directory_word_set(old));
  } while (!__atomic_compare_exchange_n(word, &old, next, 0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
}

/* A server without a reply since the last call has its load halved: a stale load must not stick. */
DIRECTORY_ACCESS void directory_decay_loads(DIRECTORY *d) {
  __u32 server, load;

  for (server = 0; server < HOTRACK_SERVERS_MAX; server++) {
    if (__atomic_exchange_n(&d->loads[server].replied, 0, __ATOMIC_RELAXED))
      continue;
    load = __atomic_load_n(&d->loads[server].load, __ATOMIC_RELAXED);
    __atomic_store_n(&d->loads[server].load, load / 2, __ATOMIC_RELAXED);
  }
}

#endif
