/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The directory's memory: shared by the XDP program, which reads it and swaps state words, and the
 * controller, which owns it and changes it through mapped memory (directory_control.h).
 */
#ifndef HOTRACK_DIRECTORY_STATE_H
#define HOTRACK_DIRECTORY_STATE_H

#include <linux/types.h>

#include "wire.h"

#define DIRECTORY_WAYS           4   /* entries in a bucket */
#define DIRECTORY_BASES          3   /* base versions of an entry, used in turn */
#define DIRECTORY_TARGETS        256 /* places in a table of write targets */
#define DIRECTORY_TARGET_TABLES  64  /* tables of write targets */
#define DIRECTORY_WINDOW_DEFAULT (1u << 30)
#define DIRECTORY_CACHE_LINE     64

enum directory_mode {
  DIRECTORY_EMPTY = 0,
  DIRECTORY_ADDING = 1, /* being promoted: reads at home, writes frozen */
  DIRECTORY_HOT = 2,    /* replicated */
  DIRECTORY_REMOVING =
      3, /* being demoted, or its targets change: reads by the set, writes frozen */
};

/* How the reads of a hot key are spread over its replica set. */
enum directory_choice {
  DIRECTORY_CHOICE_LOAD = 0,        /* the less loaded of two random members */
  DIRECTORY_CHOICE_ROUND_ROBIN = 1, /* each in turn, whatever its load: for comparison */
};

/*
 * State words of a bucket's entries: base index 2 | version offset 30 | replica set 32.
 * Completed version = base[base index] + version offset. A key hash of 0 is an empty place.
 */
struct directory_bucket {
  __u64 key_hash[DIRECTORY_WAYS];
  __u64 word[DIRECTORY_WAYS];
};
_Static_assert(sizeof(struct directory_bucket) == DIRECTORY_CACHE_LINE, "one cache line");

/*
 * What seldom changes of an entry; index = bucket * DIRECTORY_WAYS + way. Half a cache line: the
 * fewer lines a packet of a hot key meets, the fewer of them have left the cache before it.
 */
struct directory_detail {
  __u64 base[DIRECTORY_BASES];
  __u32
      since; /* low 32 bits of the generation of its last transition: older replies do not count */
  __u8 mode; /* enum directory_mode */
  __u8 copies;  /* servers that each write is copied to */
  __u8 targets; /* which table of write targets */
  __u8 turn;    /* whose turn it is, with DIRECTORY_CHOICE_ROUND_ROBIN */
};
_Static_assert(DIRECTORY_BASES <= 4,
               "a word has two bits for it; only indices below it are written");
_Static_assert(sizeof(struct directory_detail) == DIRECTORY_CACHE_LINE / 2, "half a cache line");

struct directory_slot {
  __u8 home;
  __u8 moving;
  __u8 reader; /* who serves cold reads: the backup, if there is one, else the home */
};

struct directory_server {
  __u64 incarnation;
  __u32 interface; /* index of its interface on the directory host */
  __be16 port;     /* UDP */
  __u8 mac[6];     /* its own */
  __u8 address[16];
  __u8 reserved[28];
};
_Static_assert(sizeof(struct directory_server) == DIRECTORY_CACHE_LINE, "one cache line");

struct directory_load {
  __u32 load;    /* waiting requests in its last reply + requests steered since */
  __u32 replied; /* set by every reply, cleared by the controller */
  __u8 reserved[56];
};
_Static_assert(sizeof(struct directory_load) == DIRECTORY_CACHE_LINE, "one cache line");

struct directory_control {
  __u64 generation;
  __u32 epoch;
  __u32 serving;
  __u32 alive;        /* bit per server */
  __u32 server_count; /* highest server number + 1 */
  __u32 bucket_mask;
  __u32 window;          /* versions that a state word can count: at most 2^30 */
  __u32 sample_interval; /* one of so many requests is sampled; 0: none */
  __u32 choice;          /* enum directory_choice */
  __u32 spared;          /* bit per server that gets no copies of hot keys */
  __u32 drained; /* bit per server that is to take no part, for the controller's successor */
  __u8 reserved[16];
  __u64 next_version; /* alone in its cache line: every write changes it */
  __u8 reserved2[56];
};
_Static_assert(sizeof(struct directory_control) == 2 * DIRECTORY_CACHE_LINE, "two cache lines");

/* name, what it says on the screen */
#define DIRECTORY_COUNTERS(X)                                                                     \
  X(PASS, "pass") /* not ours: to the kernel */                                                   \
  X(COLD_READ, "cold_read")                                                                       \
  X(HOT_READ, "hot_read")                                                                         \
  X(COLD_WRITE, "cold_write")                                                                     \
  X(HOT_WRITE, "hot_write")                                                                       \
  X(FORWARDED_WRITE, "forwarded_write")                                                           \
  X(READ_REPLY, "read_reply")                                                                     \
  X(WRITE_REPLY, "write_reply")                                                                   \
  X(CHAIN_FORWARD, "chain_forward")                                                               \
  X(COPY, "copy")                                                                                 \
  X(COPY_UNNEEDED, "copy_unneeded") /* outdated, or nobody lacks it: not sent on */               \
  X(SLOT_COPY, "slot_copy")         /* of the move of a slot, both ways */                        \
  X(COPY_ACK, "copy_ack")                                                                         \
  X(MIRROR, "mirror")   /* a write on its way to its second server */                             \
  X(CONTROL, "control") /* a server's answer to us */                                             \
  X(FROZEN_ENTRY, "frozen_entry")                                                                 \
  X(FROZEN_SLOT, "frozen_slot")                                                                   \
  X(HELLO, "hello")                                                                               \
  X(UNSUPPORTED, "unsupported")                                                                   \
  X(BUSY_NO_REPLICA, "busy_no_replica")                                                           \
  X(BUSY_SERVER_DEAD, "busy_server_dead")                                                         \
  X(BUSY_NOT_SERVING, "busy_not_serving")                                                         \
  X(SAMPLE_LOST, "sample_lost")       /* the ring was full */                                     \
  X(DROP_TRUNCATED, "drop_truncated") /* ends inside a header */                                  \
  X(DROP_FRAGMENT, "drop_fragment")   /* an IP fragment for the rack */                           \
  X(DROP_IP_OPTIONS, "drop_ip_options")                                                           \
  X(DROP_MALFORMED, "drop_malformed")       /* fields contradict each other */                    \
  X(DROP_PROTOCOL, "drop_protocol")         /* another protocol version */                        \
  X(DROP_OPERATION, "drop_operation")       /* not for this sender to send */                     \
  X(DROP_BYPASS, "drop_bypass")             /* a client speaks to a server */                     \
  X(DROP_FORGED_STAMP, "drop_forged_stamp") /* a client fills in our fields */                    \
  X(DROP_RATE_LIMIT, "drop_rate_limit")     /* a client asks too much */                          \
  X(DROP_RACK_TAG, "drop_rack_tag")         /* a server's, without the rack's keyed tag */        \
  X(DROP_NOT_A_SERVER, "drop_not_a_server") /* wrong interface, MAC, address, port */             \
  X(DROP_NOT_A_LIVING_SERVER, "drop_not_a_living_server") /* dead, or another incarnation */      \
  X(DROP_NOT_NEIGHBOUR, "drop_not_neighbour")             /* forwarded, but not from that rack */ \
  X(DROP_STALE_EPOCH, "drop_stale_epoch")                                                         \
  X(DROP_CONTENDED, "drop_contended")   /* the swap kept failing */                               \
  X(DROP_NOT_HOLDER, "drop_not_holder") /* a result that is newer than what is completed */       \
  X(DROP_OUTSIDE_WINDOW, "drop_outside_window")                                                   \
  X(DROP_COPY_TARGET_DEAD, "drop_copy_target_dead")                                               \
  X(DROP_NO_RETURN_PATH, "drop_no_return_path") /* where to is not known */                       \
  X(DROP_HOPS, "drop_hops")                     /* its time to live ran out */                    \
  X(DROP_NOT_SERVING, "drop_not_serving")                                                         \
  X(DROP_REWRITE, "drop_rewrite") /* the kernel refused a helper call */

enum directory_counter {
#define X(name, text) COUNTER_##name,
  DIRECTORY_COUNTERS(X)
#undef X
      COUNTERS
};

/* Deliberate faults, for tests of the tests; the host build alone knows them. */
enum directory_fault {
  DIRECTORY_FAULT_NONE = 0,
  DIRECTORY_FAULT_READ_REPLIES_IGNORED = 1,
  DIRECTORY_FAULT_RETRY_ANYWHERE = 2,
  DIRECTORY_FAULT_ERRORS_MOVE = 4,
  DIRECTORY_FAULT_SINCE_IGNORED = 8,
  DIRECTORY_FAULT_TORN_WORD = 16,
  DIRECTORY_FAULT_GENERATION_LATE = 32,
  DIRECTORY_FAULT_FLAGGED_PASSES = 64,
  DIRECTORY_FAULT_UNRECORDED_PASSES = 128,
  DIRECTORY_FAULT_COPY_RESTAMPED = 256,
  DIRECTORY_FAULT_ONE_BASE = 512,
  DIRECTORY_FAULT_NOT_FROZEN = 1024,
  DIRECTORY_FAULT_HOT_FIRST = 2048,
  DIRECTORY_FAULT_SINCE_FIRST = 4096,
};

static inline __attribute__((always_inline, unused)) __u64 directory_word(__u32 base, __u32 offset,
                                                                          __u32 set) {
  return (__u64)base << 62 | (__u64)offset << 32 | set;
}
static inline __attribute__((always_inline, unused)) __u32 directory_word_base(__u64 word) {
  return (__u32)(word >> 62);
}
static inline __attribute__((always_inline, unused)) __u32 directory_word_offset(__u64 word) {
  return (__u32)(word >> 32) & 0x3fffffffu;
}
static inline __attribute__((always_inline, unused)) __u32 directory_word_set(__u64 word) {
  return (__u32)word;
}
static inline __attribute__((always_inline, unused)) __u64
directory_word_version(const struct directory_detail *detail, __u64 word) {
  return *(const volatile __u64 *)&detail->base[directory_word_base(word)] +
         directory_word_offset(word);
}

#endif
