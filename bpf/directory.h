/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The coherence directory's decisions (docs/protocol.md, "The directory"): what happens to a
 * request on its way to a server, and to a packet on its way back.
 *
 * Plain C without loops over unknown bounds: it compiles for BPF and for the host from this text.
 * Everything it touches in memory goes through directory_maps_bpf.h or directory_maps_host.h,
 * one of which must be included first. It neither parses nor rewrites packets (packet.h does).
 */
#ifndef HOTRACK_DIRECTORY_H
#define HOTRACK_DIRECTORY_H

#include "directory_state.h"
#include "wire.h"

#define DIRECTORY_INLINE static inline __attribute__((always_inline, unused))

enum directory_action {
  DIRECTORY_STEER,   /* stamp it, send it to `server` */
  DIRECTORY_ANSWER,  /* send it back to where it came from, with `status` */
  DIRECTORY_FORWARD, /* a reply: on to its client; a chain forward: on to the next rack */
  DIRECTORY_CONSUME, /* it ends here, as it should */
  DIRECTORY_DROP,    /* refused */
};

#define DIRECTORY_NO_ENTRY 0xffffffffu

/* What the decision needs of a request; in host byte order. */
struct directory_request {
  __u64 key_hash;
  __u64 version; /* kept if the request was forwarded down the chain */
  __u64 client;
  __u64 sequence;
  __u8 operation;
  __u8 forwarded; /* it says so, and came from the neighbour rack's address and port */
};

/* A reply, COPY_ACK or outgoing chain forward; in host byte order. */
struct directory_report {
  __u64 key_hash;
  __u64 version;
  __u64 generation;
  __u64 incarnation;
  __u32 epoch;
  __u32 load;
  __u16 flags;
  __u8 operation;
  __u8 status;
  __u8 server;
};

struct directory_decision {
  __u64 generation;
  __u64 version;
  __u64 incarnation;
  __u32 epoch;
  __u32 entry; /* index of the directory entry, or DIRECTORY_NO_ENTRY */
  __u32 copy_targets;
  __u32 counter; /* enum directory_counter: what to count this packet as */
  __u8 action;
  __u8 server;
  __u8 status; /* with DIRECTORY_ANSWER */
  __u8 replicated;
};

/* A well-mixed function of the request alone, so that a retry has the same value. */
DIRECTORY_INLINE __u32 directory_target_index(__u64 client, __u64 sequence) {
  __u64 x = (client ^ (sequence * 0x9e3779b97f4a7c15ull)) * 0xbf58476d1ce4e5b9ull;

  return (__u32)((x ^ (x >> 32)) >> 8) & (DIRECTORY_TARGETS - 1);
}

/*
 * Of the bits of a set, byte by byte: byte i of the result counts those in bytes 0 to i. What
 * follows from it is arithmetic on bytes side by side, without branches: random choices mislead the
 * processor's prediction, and each branch doubles the paths that the kernel's verifier walks.
 */
DIRECTORY_INLINE __u32 directory_counts(__u32 set) {
  set = set - ((set >> 1) & 0x55555555u);
  set = (set & 0x33333333u) + ((set >> 2) & 0x33333333u);
  set = (set + (set >> 4)) & 0x0f0f0f0fu;
  return set * 0x01010101u;
}

DIRECTORY_INLINE __u32 directory_popcount(__u32 set) {
  return directory_counts(set) >> 24;
}

#define DIRECTORY_BYTES      0x0101010101010101ull /* a one in each byte */
#define DIRECTORY_BYTES_HIGH 0x8080808080808080ull
#define DIRECTORY_BYTES_BITS 0x8040201008040201ull /* bit i in byte i */

/*
 * The number of the rank-th set bit (rank from 0, below the population count); `counts` is
 * directory_counts(set). First the byte, then the bit in it: those whose counts do not exceed the
 * rank lie below it. A byte's comparison is in its highest bit: 0x80 + rank - count.
 */
DIRECTORY_INLINE __u32 directory_select_counted(__u32 set, __u32 counts, __u32 rank) {
  __u32 below = (((rank * 0x01010101u) | 0x80808080u) - counts) >> 7 & 0x01010101u;
  __u32 shift = (below * 0x01010101u) >> 24 << 3;
  __u64 bits;

  rank -= (__u32)(((__u64)counts << 8) >> (shift & 31)) & 0xff;
  bits = ((__u64)(set >> (shift & 31)) & 0xff) * DIRECTORY_BYTES & DIRECTORY_BYTES_BITS;
  bits = ((bits + 0x7f * DIRECTORY_BYTES) >> 7 & DIRECTORY_BYTES) * DIRECTORY_BYTES;
  bits = ((rank * DIRECTORY_BYTES | DIRECTORY_BYTES_HIGH) - bits) >> 7 & DIRECTORY_BYTES;
  return (shift + (__u32)((bits * DIRECTORY_BYTES) >> 56)) & (HOTRACK_SERVERS_MAX - 1);
}

DIRECTORY_INLINE __u32 directory_select(__u32 set, __u32 rank) {
  return directory_select_counted(set, directory_counts(set), rank);
}

/* Keeps the compiler from knowing a value, and so from making a branch of arithmetic. */
#define DIRECTORY_HIDE(x) __asm__("" : "+r"(x))

/* `a` or, if `second` is 1, `b`. */
DIRECTORY_INLINE __u32 directory_either(__u32 a, __u32 b, __u32 second) {
  __u32 mask = 0 - second;

  DIRECTORY_HIDE(mask);
  return a ^ ((a ^ b) & mask);
}

/* 1 if a < b, without a branch. */
DIRECTORY_INLINE __u32 directory_is_less(__u32 a, __u32 b) {
  __u64 difference = (__u64)a - b;

  DIRECTORY_HIDE(difference);
  return (__u32)(difference >> 63);
}

/* Two random members, the one with less load (power of two choices). `set` is not empty. */
DIRECTORY_INLINE __u32 directory_choose(DIRECTORY *d, __u32 set) {
  __u32 counts = directory_counts(set), count = counts >> 24;
  __u32 first, second, random;
  struct directory_load *a, *b;

  if (count == 1)
    return directory_select_counted(set, counts, 0);
  random = directory_random(d);
  first = ((random & 0xffffu) * count) >> 16;
  /* The second is drawn from the others, so that two choices are always two. */
  second = ((random >> 16) * (count - 1)) >> 16;
  second += directory_is_less(second, first) ^ 1;
  /* Where all servers are members, as of keys that are read and seldom written, the rank is it. */
  if (set & (set + 1)) {
    first = directory_select_counted(set, counts, first);
    second = directory_select_counted(set, counts, second);
  }
  a = directory_load_at(d, first);
  b = directory_load_at(d, second);
  if (!a || !b)
    return first;
  return directory_either(first, second,
                          directory_is_less(DIRECTORY_READ(b->load), DIRECTORY_READ(a->load)));
}

/* A member of a hot key's replica set for a read. `set` is not empty. */
DIRECTORY_INLINE __u32 directory_choose_reader(DIRECTORY *d, struct directory_control *control,
                                               struct directory_detail *detail, __u32 set) {
  __u32 count, turn;

  if (DIRECTORY_READ(control->choice) != DIRECTORY_CHOICE_ROUND_ROBIN)
    return directory_choose(d, set);
  count = directory_popcount(set);
  /* Two processors may take the same turn: no harm in a comparison. */
  turn = DIRECTORY_READ(detail->turn);
  DIRECTORY_WRITE(detail->turn, (__u8)(turn + 1));
  return directory_select(set, turn % (count ? count : 1));
}

/* Where the entry of a key hash is. */
struct directory_place {
  struct directory_detail *detail; /* null: there is none */
  __u64 *word;
};

/* Finds the entry of a key hash. Returns its index, or DIRECTORY_NO_ENTRY. */
DIRECTORY_INLINE __u32 directory_find(DIRECTORY *d, __u64 key_hash, struct directory_place *place) {
  struct directory_bucket *buckets = directory_buckets_of(d), *bucket;
  struct directory_detail *details = directory_details_of(d);
  __u32 mask = directory_bucket_mask(d), index;
  int choice, way;

  place->detail = 0;
  place->word = 0;
  if (!buckets || !details)
    return DIRECTORY_NO_ENTRY;
#pragma clang loop unroll(full)
  for (choice = 0; choice < 2; choice++) {
    index = (choice ? (__u32)(key_hash >> 32) : (__u32)key_hash) & mask;
    bucket = &buckets[index];
#pragma clang loop unroll(full)
    for (way = 0; way < DIRECTORY_WAYS; way++)
      if (DIRECTORY_READ_ACQUIRE(bucket->key_hash[way]) == key_hash) {
        place->detail = &details[index * DIRECTORY_WAYS + way];
        place->word = &bucket->word[way];
        return index * DIRECTORY_WAYS + way;
      }
  }
  return DIRECTORY_NO_ENTRY;
}

/* A copy set for a write: `copies` servers in a row, from a place that moves with the version. */
DIRECTORY_INLINE __u32 directory_copy_targets(__u32 copies, __u32 server, __u64 version,
                                              __u32 server_count, __u32 receivers) {
  __u64 row;
  __u32 start;

  if (!copies || server_count < 2)
    return 0;
  if (copies > server_count)
    copies = server_count;
  start = (__u32)(((version * 0x9e3779b97f4a7c15ull) >> 32) * server_count >> 32);
  row = ((1ull << (copies & 63)) - 1) << (start & 31);
  row |= row >> (server_count & 63);
  row &= (1ull << (server_count & 63)) - 1;
  return (__u32)row & receivers & ~(1u << (server & 31));
}

DIRECTORY_INLINE void directory_answer(struct directory_decision *decision, __u8 status,
                                       __u32 counter) {
  decision->action = DIRECTORY_ANSWER;
  decision->status = status;
  decision->counter = counter;
}

DIRECTORY_INLINE void directory_drop(struct directory_decision *decision, __u32 counter) {
  decision->action = DIRECTORY_DROP;
  decision->counter = counter;
}

DIRECTORY_INLINE int directory_is_read(__u8 operation) {
  return operation == HOTRACK_GET;
}

/* Steers to `server`, if it is alive; counts the request to its load. */
DIRECTORY_INLINE void directory_steer(DIRECTORY *d, struct directory_control *control, __u32 server,
                                      __u32 counter, struct directory_decision *decision) {
  struct directory_server *entry;
  struct directory_load *load;

  server &= HOTRACK_SERVERS_MAX - 1;
  entry = directory_server_at(d, server);
  load = directory_load_at(d, server);
  if (!entry || !load || !(DIRECTORY_READ(control->alive) & (1u << server))) {
    directory_answer(decision, HOTRACK_BUSY, COUNTER_BUSY_SERVER_DEAD);
    return;
  }
  DIRECTORY_ADD(&load->load, 1);
  decision->action = DIRECTORY_STEER;
  decision->server = server;
  decision->incarnation = DIRECTORY_READ(entry->incarnation);
  decision->counter = counter;
}

/*
 * Decides a request of a client, or a write that came down the chain.
 *
 * The generation is read before the entry is looked up: a write that carries a new generation has
 * then surely seen the frozen entry that was published before it.
 */
DIRECTORY_INLINE void directory_on_request(DIRECTORY *d, const struct directory_request *request,
                                           struct directory_decision *decision) {
  struct directory_control *control = directory_control_of(d);
  struct directory_place place;
  struct directory_slot *slot;
  __u32 mode = DIRECTORY_EMPTY, alive, readers;
  __u8 *target;
  __u64 word;
  int is_read = directory_is_read(request->operation);

  decision->server = HOTRACK_NO_SERVER;
  decision->entry = DIRECTORY_NO_ENTRY;
  decision->version = 0;
  decision->incarnation = 0;
  decision->copy_targets = 0;
  decision->replicated = 0;
  decision->generation = 0;
  decision->epoch = 0;
  decision->status = 0;
  if (!control) {
    directory_drop(decision, COUNTER_DROP_NOT_SERVING);
    return;
  }
  decision->generation = DIRECTORY_READ_ACQUIRE(control->generation);
  decision->epoch = control->epoch;
  if (!DIRECTORY_READ(control->serving)) {
    directory_answer(decision, HOTRACK_BUSY, COUNTER_BUSY_NOT_SERVING);
    return;
  }

  decision->entry = directory_find(d, request->key_hash, &place);
  if (place.detail)
    mode = DIRECTORY_READ_ACQUIRE(place.detail->mode);
  if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_GENERATION_LATE))
    decision->generation = DIRECTORY_READ_ACQUIRE(control->generation);

  if (is_read && place.detail && (mode == DIRECTORY_HOT || mode == DIRECTORY_REMOVING)) {
    /* Version and set come from one load: together they were true at one moment. */
    word = DIRECTORY_READ_ACQUIRE(*place.word);
    alive = readers = DIRECTORY_READ(control->alive);
    DIRECTORY_HIDE(readers);
    /* A branch on purpose: where every server is a member, as of keys that are much read, it is
       foretold, and the choice of one does not wait for the entry. */
    if ((alive & directory_word_set(word)) != alive)
      readers = alive & directory_word_set(word);
    decision->version = directory_word_version(place.detail, word);
    decision->replicated = 1;
    if (!readers) {
      directory_answer(decision, HOTRACK_BUSY, COUNTER_BUSY_NO_REPLICA);
      return;
    }
    directory_steer(d, control, directory_choose_reader(d, control, place.detail, readers),
                    COUNTER_HOT_READ, decision);
    return;
  }

  slot =
      directory_slot_at(d, (__u32)(request->key_hash >> HOTRACK_SLOT_SHIFT) & (HOTRACK_SLOTS - 1));
  if (!slot) {
    directory_drop(decision, COUNTER_DROP_NOT_SERVING);
    return;
  }
  if (is_read) {
    directory_steer(d, control, DIRECTORY_READ(slot->reader), COUNTER_COLD_READ, decision);
    return;
  }

  if ((mode == DIRECTORY_ADDING || mode == DIRECTORY_REMOVING) &&
      !DIRECTORY_FAULT(d, DIRECTORY_FAULT_NOT_FROZEN)) {
    directory_answer(decision, HOTRACK_FROZEN, COUNTER_FROZEN_ENTRY);
    return;
  }
  /* Before its home: a slot that has moved is seen as frozen or at its new home. */
  if (DIRECTORY_READ_ACQUIRE(slot->moving) && mode != DIRECTORY_HOT) {
    directory_answer(decision, HOTRACK_FROZEN, COUNTER_FROZEN_SLOT);
    return;
  }
  decision->version =
      request->forwarded ? request->version : DIRECTORY_FETCH_ADD(&control->next_version, 1);
  if (mode == DIRECTORY_HOT && place.detail) {
    __u32 index = directory_target_index(request->client, request->sequence);

    if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_RETRY_ANYWHERE))
      index = directory_random(d) & (DIRECTORY_TARGETS - 1);
    target = directory_target_at(d, DIRECTORY_READ(place.detail->targets), index);
    if (!target) {
      directory_drop(decision, COUNTER_DROP_NOT_SERVING);
      return;
    }
    decision->replicated = 1;
    directory_steer(d, control, DIRECTORY_READ(*target),
                    request->forwarded ? COUNTER_FORWARDED_WRITE : COUNTER_HOT_WRITE, decision);
    if (decision->action == DIRECTORY_STEER)
      decision->copy_targets = directory_copy_targets(
          DIRECTORY_READ(place.detail->copies), decision->server, decision->version,
          control->server_count, DIRECTORY_READ(control->alive) & ~DIRECTORY_READ(control->spared));
    return;
  }
  directory_steer(d, control, DIRECTORY_READ(slot->home),
                  request->forwarded ? COUNTER_FORWARDED_WRITE : COUNTER_COLD_WRITE, decision);
}

enum directory_record_result {
  DIRECTORY_RECORDED,
  DIRECTORY_RECORD_CONTENDED,
  DIRECTORY_RECORD_OUTSIDE_WINDOW,
};

#define DIRECTORY_SWAP_ATTEMPTS 8

/* Records that `server` holds `version`: completed version and replica set change in one swap. */
DIRECTORY_INLINE int directory_record(DIRECTORY *d, struct directory_control *control,
                                      const struct directory_place *place, __u64 version,
                                      __u32 server) {
  __u64 word, next, base, completed;
  __u32 bit = 1u << (server & (HOTRACK_SERVERS_MAX - 1));
  int attempt;

  for (attempt = 0; attempt < DIRECTORY_SWAP_ATTEMPTS; attempt++) {
    word = DIRECTORY_READ_ACQUIRE(*place->word);
    base = DIRECTORY_READ(place->detail->base[directory_word_base(word)]);
    completed = base + directory_word_offset(word);
    if (version < completed)
      return DIRECTORY_RECORDED;
    if (version == completed) {
      if (word & bit)
        return DIRECTORY_RECORDED;
      next = word | bit;
    } else {
      /* >= : the largest offset is kept free, so that a window of n holds n - 1 versions. */
      if (version - base >= control->window)
        return DIRECTORY_RECORD_OUTSIDE_WINDOW;
      next = directory_word(directory_word_base(word), (__u32)(version - base), bit);
    }
    if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_TORN_WORD)) {
      DIRECTORY_TORN_STORE(place->word, next);
      return DIRECTORY_RECORDED;
    }
    if (DIRECTORY_SWAP(place->word, word, next))
      return DIRECTORY_RECORDED;
  }
  return DIRECTORY_RECORD_CONTENDED;
}

/* A packet may speak for a server only in its present incarnation, while it is alive. */
DIRECTORY_INLINE int directory_is_from_server(DIRECTORY *d, struct directory_control *control,
                                              __u8 server, __u64 incarnation) {
  struct directory_server *entry;

  if (server >= HOTRACK_SERVERS_MAX)
    return 0;
  entry = directory_server_at(d, server);
  return entry && (DIRECTORY_READ(control->alive) & (1u << server)) &&
         DIRECTORY_READ(entry->incarnation) == incarnation;
}

/* Begins the decision of what came from a server. Not zero: it is dropped. */
DIRECTORY_INLINE int directory_refuses_report(DIRECTORY *d, struct directory_control *control,
                                              const struct directory_report *report,
                                              struct directory_decision *decision) {
  decision->server = report->server;
  decision->entry = DIRECTORY_NO_ENTRY;
  decision->version = report->version;
  decision->generation = report->generation;
  decision->epoch = report->epoch;
  decision->incarnation = 0;
  decision->copy_targets = 0;
  decision->replicated = 0;
  decision->status = report->status;
  if (!control)
    directory_drop(decision, COUNTER_DROP_NOT_SERVING);
  else if (report->epoch != control->epoch)
    directory_drop(decision, COUNTER_DROP_STALE_EPOCH);
  else if (!directory_is_from_server(d, control, report->server, report->incarnation))
    directory_drop(decision, COUNTER_DROP_NOT_A_LIVING_SERVER);
  else
    return 0;
  return 1;
}

/*
 * Decides a reply, a COPY_ACK or a chain forward that leaves the rack. The caller has checked that
 * it came from the interface, address and port of `report->server`.
 *
 * What was not recorded must not reach a client: a later read could be steered to an older value.
 */
DIRECTORY_INLINE void directory_on_report(DIRECTORY *d, const struct directory_report *report,
                                          struct directory_decision *decision) {
  struct directory_control *control = directory_control_of(d);
  struct directory_place place;
  struct directory_load *load;
  __u32 mode;
  int counts, result;

  if (directory_refuses_report(d, control, report, decision))
    return;
  load = directory_load_at(d, report->server & (HOTRACK_SERVERS_MAX - 1));
  if (load) {
    DIRECTORY_WRITE(load->load, report->load);
    DIRECTORY_WRITE(load->replied, 1);
  }

  counts = report->status == HOTRACK_OK || report->status == HOTRACK_NOT_FOUND ||
           DIRECTORY_FAULT(d, DIRECTORY_FAULT_ERRORS_MOVE);
  if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_READ_REPLIES_IGNORED) &&
      directory_is_read(report->operation))
    counts = 0;
  decision->entry = directory_find(d, report->key_hash, &place);
  if (counts && place.detail) {
    mode = DIRECTORY_READ_ACQUIRE(place.detail->mode);
    if (report->flags & HOTRACK_FLAG_NOT_HOLDER) {
      /* It would tell its client of a version that no later read is steered to yet. */
      if ((mode == DIRECTORY_HOT || mode == DIRECTORY_REMOVING) &&
          report->version >
              directory_word_version(place.detail, DIRECTORY_READ_ACQUIRE(*place.word)) &&
          !DIRECTORY_FAULT(d, DIRECTORY_FAULT_FLAGGED_PASSES)) {
        directory_drop(decision, COUNTER_DROP_NOT_HOLDER);
        return;
      }
    } else if ((mode == DIRECTORY_HOT || mode == DIRECTORY_REMOVING) &&
               ((__s32)((__u32)report->generation - DIRECTORY_READ(place.detail->since)) >= 0 ||
                DIRECTORY_FAULT(d, DIRECTORY_FAULT_SINCE_IGNORED))) {
      result = directory_record(d, control, &place, report->version, report->server);
      if (result != DIRECTORY_RECORDED && !DIRECTORY_FAULT(d, DIRECTORY_FAULT_UNRECORDED_PASSES)) {
        directory_drop(decision, result == DIRECTORY_RECORD_CONTENDED
                                     ? COUNTER_DROP_CONTENDED
                                     : COUNTER_DROP_OUTSIDE_WINDOW);
        return;
      }
    }
  }
  if (report->operation == HOTRACK_COPY_ACK) {
    decision->action = DIRECTORY_CONSUME;
    decision->counter = COUNTER_COPY_ACK;
    return;
  }
  decision->action = DIRECTORY_FORWARD;
  decision->counter = !(report->flags & HOTRACK_FLAG_REPLY)  ? COUNTER_CHAIN_FORWARD
                      : directory_is_read(report->operation) ? COUNTER_READ_REPLY
                                                             : COUNTER_WRITE_REPLY;
}

/*
 * Who gets a copy of a hot key: the server it names or the one half the rack away from it,
 * whichever has less load, among those that live and lack the version. The copies of one write name
 * servers in a row, and are exchanged only if that is at most half of the rack, so that no two of
 * them meet. A spared server gets none.
 *
 * HOTRACK_NO_SERVER: nobody lacks it. Such a copy is as good as lost, and spares a server the work.
 */
DIRECTORY_INLINE __u32 directory_choose_copy_target(DIRECTORY *d, struct directory_control *control,
                                                    const struct directory_place *place,
                                                    const struct directory_report *report,
                                                    __u32 named) {
  __u64 word = DIRECTORY_READ_ACQUIRE(*place->word);
  __u64 completed = directory_word_version(place->detail, word);
  __u32 count = control->server_count, other = named + count / 2, candidates = 1u << (named & 31);
  struct directory_load *a, *b;

  if (report->version < completed)
    return HOTRACK_NO_SERVER;
  if (other >= count)
    other -= count;
  other &= HOTRACK_SERVERS_MAX - 1;
  if (DIRECTORY_READ(place->detail->copies) <= count / 2 && other != report->server)
    candidates |= 1u << other;
  if (report->version == completed)
    candidates &= ~directory_word_set(word);
  if (!candidates)
    return HOTRACK_NO_SERVER;
  candidates &= DIRECTORY_READ(control->alive) & ~DIRECTORY_READ(control->spared);
  if (!(candidates & (1u << other)))
    return named;
  if (!(candidates & (1u << (named & 31))))
    return other;
  a = directory_load_at(d, named & (HOTRACK_SERVERS_MAX - 1));
  b = directory_load_at(d, other);
  return a && b && DIRECTORY_READ(b->load) < DIRECTORY_READ(a->load) ? other : named;
}

/*
 * Decides a COPY, or what belongs to the move of a slot, from server to server. The caller has
 * checked where it came from. `copy_targets` names exactly one server; the generation of the
 * sender's order is kept. While the key is hot, another server may do as well for a COPY; in a
 * transition it is the home server that needs it.
 */
DIRECTORY_INLINE void directory_on_copy(DIRECTORY *d, const struct directory_report *report,
                                        __u32 copy_targets, struct directory_decision *decision) {
  struct directory_control *control = directory_control_of(d);
  struct directory_place place;
  __u32 target;

  if (directory_refuses_report(d, control, report, decision))
    return;
  decision->server = HOTRACK_NO_SERVER;
  decision->copy_targets = copy_targets;
  decision->replicated = 1;
  decision->status = 0;
  if (directory_popcount(copy_targets) != 1) {
    directory_drop(decision, COUNTER_DROP_MALFORMED);
    return;
  }
  target = directory_select(copy_targets, 0);
  if (report->operation != HOTRACK_COPY) {
    directory_steer(d, control, target, COUNTER_SLOT_COPY, decision);
    if (decision->action != DIRECTORY_STEER)
      directory_drop(decision, COUNTER_DROP_COPY_TARGET_DEAD);
    return;
  }
  directory_find(d, report->key_hash, &place);
  if (place.detail && DIRECTORY_READ_ACQUIRE(place.detail->mode) == DIRECTORY_HOT) {
    target = directory_choose_copy_target(d, control, &place, report, target);
    if (target == HOTRACK_NO_SERVER) {
      decision->action = DIRECTORY_CONSUME;
      decision->counter = COUNTER_COPY_UNNEEDED;
      return;
    }
    decision->copy_targets = 1u << (target & (HOTRACK_SERVERS_MAX - 1));
  }
  if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_COPY_RESTAMPED))
    decision->version = DIRECTORY_FETCH_ADD(&control->next_version, 1);
  directory_steer(d, control, target, COUNTER_COPY, decision);
  if (decision->action != DIRECTORY_STEER)
    directory_drop(decision, COUNTER_DROP_COPY_TARGET_DEAD);
}

/*
 * Decides a MIRROR: a write on its way from the server that has executed it to a second one. The
 * caller has checked where it came from. A cold key's has one target, the slot's backup, which the
 * sender names. A hot key's may go to any other living server: best to one that is to get a copy
 * anyway, and to a spared one only if there is no other. MIRROR_ACK, the way back, is like a cold
 * key's.
 */
DIRECTORY_INLINE void directory_on_mirror(DIRECTORY *d, const struct directory_report *report,
                                          __u32 copy_targets, struct directory_decision *decision) {
  struct directory_control *control = directory_control_of(d);
  __u32 others, target;

  if (directory_refuses_report(d, control, report, decision))
    return;
  decision->server = HOTRACK_NO_SERVER;
  decision->status = 0;
  if (report->flags & HOTRACK_FLAG_REPLICATED) {
    others = DIRECTORY_READ(control->alive) & ~(1u << (report->server & (HOTRACK_SERVERS_MAX - 1)));
    if (others & ~DIRECTORY_READ(control->spared))
      others &= ~DIRECTORY_READ(control->spared);
    if (others & copy_targets)
      others &= copy_targets;
    if (!others) {
      directory_drop(decision, COUNTER_DROP_COPY_TARGET_DEAD);
      return;
    }
    target = directory_choose(d, others);
    decision->copy_targets = copy_targets & ~(1u << (target & (HOTRACK_SERVERS_MAX - 1)));
    decision->replicated = 1;
  } else {
    if (directory_popcount(copy_targets) != 1) {
      directory_drop(decision, COUNTER_DROP_MALFORMED);
      return;
    }
    target = directory_select(copy_targets, 0);
  }
  directory_steer(d, control, target, COUNTER_MIRROR, decision);
  if (decision->action != DIRECTORY_STEER)
    directory_drop(decision, COUNTER_DROP_COPY_TARGET_DEAD);
}

#endif
