/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The rack tag: SipHash-2-4 (Aumasson and Bernstein, 2012) of a packet's header under a key that
 * only the rack knows. One text for the programs in the kernel, the host build and, through it, the
 * servers and the controller.
 *
 * SipHash is made for short messages, has no table and no multiplication, and 64 bits of it are
 * what the header has room for. 2-4, and not the quicker 1-3: tags are seen by whoever sees
 * packets, and only 2-4 is proposed by its authors as a MAC; 1-3 guards hash tables, whose hashes
 * nobody sees.
 *
 * The message is the whole header, with the direction in the tag's own place (a little-endian
 * word), so that a packet is never taken for one that goes the other way. Key and value are not
 * covered, but for the key's hash: a loop over them costs more than all the rest of a packet's
 * handling.
 */
#ifndef HOTRACK_TAG_H
#define HOTRACK_TAG_H

#include "wire.h"

enum tag_direction {
  TAG_TO_SERVER = 1,   /* from the directory or its controller */
  TAG_FROM_SERVER = 2, /* to them */
};

/* The 16 bytes of a key, as two little-endian words. */
struct tag_key {
  __u64 word[2];
};

#ifdef __bpf__
/* A global function: the verifier walks it once. */
#define TAG_FUNCTION __attribute__((noinline))
typedef const __u64 __attribute__((may_alias)) TAG_U64;
#else
#define TAG_FUNCTION static inline __attribute__((unused))
typedef const __u64 __attribute__((may_alias, aligned(1))) TAG_U64;
#endif
#define TAG_INLINE static inline __attribute__((always_inline, unused))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TAG_LITTLE(x) (x)
#else
#define TAG_LITTLE(x) __builtin_bswap64(x)
#endif

#define TAG_WORDS (HOTRACK_HEADER_LENGTH / 8)
#define TAG_PLACE (__builtin_offsetof(struct hotrack_header, rack_tag) / 8)
_Static_assert(HOTRACK_HEADER_LENGTH % 8 == 0, "the header is whole words");
_Static_assert(__builtin_offsetof(struct hotrack_header, rack_tag) % 8 == 0, "and so is the tag");

struct tag_state {
  __u64 v0, v1, v2, v3;
};

TAG_INLINE __u64 tag_rotate(__u64 x, int bits) {
  return x << bits | x >> (64 - bits);
}

TAG_INLINE void tag_round(struct tag_state *s) {
  s->v0 += s->v1;
  s->v2 += s->v3;
  s->v1 = tag_rotate(s->v1, 13) ^ s->v0;
  s->v3 = tag_rotate(s->v3, 16) ^ s->v2;
  s->v0 = tag_rotate(s->v0, 32);
  s->v2 += s->v1;
  s->v0 += s->v3;
  s->v1 = tag_rotate(s->v1, 17) ^ s->v2;
  s->v3 = tag_rotate(s->v3, 21) ^ s->v0;
  s->v2 = tag_rotate(s->v2, 32);
}

TAG_INLINE void tag_add(struct tag_state *s, __u64 word) {
  s->v3 ^= word;
  tag_round(s);
  tag_round(s);
  s->v0 ^= word;
}

/* The tag of a header under a key (`first`, `second`: its words); what stands in its place is not
   read. `direction`: enum tag_direction. */
TAG_FUNCTION __u64 tag_of(const struct hotrack_header *h, __u64 first, __u64 second,
                          __u64 direction) {
  TAG_U64 *word = (TAG_U64 *)h;
  struct tag_state s;
  __u32 index;

  if (!h)
    return 0;
  s.v0 = first ^ 0x736f6d6570736575ull;
  s.v1 = second ^ 0x646f72616e646f6dull;
  s.v2 = first ^ 0x6c7967656e657261ull;
  s.v3 = second ^ 0x7465646279746573ull;
#pragma clang loop unroll(disable)
  for (index = 0; index < TAG_PLACE; index++)
    tag_add(&s, TAG_LITTLE(word[index]));
  tag_add(&s, direction);
#pragma clang loop unroll(full)
  for (index = TAG_PLACE + 1; index < TAG_WORDS; index++)
    tag_add(&s, TAG_LITTLE(word[index]));
  tag_add(&s, (__u64)(HOTRACK_HEADER_LENGTH & 0xff) << 56);
  s.v2 ^= 0xff;
  tag_round(&s);
  tag_round(&s);
  tag_round(&s);
  tag_round(&s);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif
