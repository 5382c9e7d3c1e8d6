/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the rack does with a hotrack header, once packet.h has found it and said who sent it:
 * check it, let directory.h decide, stamp it. The same text runs in the XDP program, in the
 * simulator and in the unit tests.
 */
#ifndef HOTRACK_RACK_H
#define HOTRACK_RACK_H

#include "directory.h"

/* Who sent a packet, by its interface, addresses and ports; never by what it says of itself. */
enum rack_sender {
  RACK_CLIENT,
  RACK_SERVER,    /* interface, MAC, address and port of the registered server `server` */
  RACK_NEIGHBOUR, /* the rack before this one in the chain */
};

/*
 * Sums of 16-bit or 32-bit words as they lie in memory, of what a rewrite takes away and of what it
 * puts in the place: checksums are mended from them (RFC 1624), without reading what was written.
 */
struct rack_sums {
  __u64 removed;
  __u64 added;
};

/* What becomes of the packet, beyond the decision. */
struct rack_verdict {
  struct directory_decision decision;
  struct rack_sums sums; /* of the header, with DIRECTORY_STEER and DIRECTORY_FORWARD */
  __be64 return_path;    /* with DIRECTORY_FORWARD: return_mac and return_interface of the header */
  __u8 to_controller; /* with DIRECTORY_CONSUME: hand it to the kernel, and so to the controller */
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define RACK_SWAP16(x) ((__u16)__builtin_bswap16(x))
#define RACK_SWAP32(x) __builtin_bswap32(x)
#define RACK_SWAP64(x) __builtin_bswap64(x)
#else
#define RACK_SWAP16(x) ((__u16)(x))
#define RACK_SWAP32(x) (x)
#define RACK_SWAP64(x) (x)
#endif

/* Several fields of a header in one load or store. */
#ifdef __bpf__
typedef __u32 __attribute__((may_alias)) RACK_U32;
typedef __u64 __attribute__((may_alias)) RACK_U64;
#else
typedef __u32 __attribute__((may_alias, aligned(1))) RACK_U32;
typedef __u64 __attribute__((may_alias, aligned(1))) RACK_U64;
#endif
#define RACK_WHAT(h)                 (*(RACK_U32 *)&(h)->status)     /* status, server, flags */
#define RACK_COPIES(h)               (*(RACK_U64 *)&(h)->epoch)      /* epoch, load, copy_targets */
#define RACK_RETURN(h)               (*(RACK_U64 *)&(h)->return_mac) /* return_mac, return_interface */
#define RACK_RETURN_ADDRESS(h, half) (((RACK_U64 *)&(h)->return_address)[half])

/* As they lie in memory. */
#define RACK_WHAT_OF(status, server, flags) \
  RACK_SWAP32((__u32)(status) << 24 | (__u32)(server) << 16 | (__u32)(flags))
#define RACK_COPIES_OF(epoch, load, copy_targets) \
  RACK_SWAP64((__u64)(epoch) << 48 | (__u64)(load) << 32 | (__u32)(copy_targets))

DIRECTORY_INLINE __u64 rack_sum(__u64 words) {
  return (words & 0xffffffff) + (words >> 32);
}

#define RACK_CLIENT_FLAGS (HOTRACK_FLAG_RETRY)

/* Is this operation a client's to ask for (answered `unsupported` where it is not built yet)? */
DIRECTORY_INLINE int rack_is_request(__u8 operation) {
  return operation >= HOTRACK_GET && operation <= HOTRACK_HELLO;
}

DIRECTORY_INLINE int rack_is_to_controller(__u8 operation) {
  return operation == HOTRACK_FENCE_ACK || operation == HOTRACK_SYNC_ACK ||
         operation == HOTRACK_FLOOR_ACK || operation == HOTRACK_SLOTS_ACK ||
         operation == HOTRACK_PROBE_ACK || operation == HOTRACK_ADMIT_ACK ||
         operation == HOTRACK_LEARN_ACK || operation == HOTRACK_SLOTS_MOVE_ACK;
}

/* What servers say to each other, or to the directory: addressed to the rack. */
DIRECTORY_INLINE int rack_is_between_servers(__u8 operation) {
  return operation == HOTRACK_COPY || operation == HOTRACK_COPY_ACK ||
         operation == HOTRACK_SLOT_COPY || operation == HOTRACK_SLOT_COPY_ACK ||
         operation == HOTRACK_MIRROR || operation == HOTRACK_MIRROR_ACK;
}

/* Lengths first: nothing else of a header that contradicts the datagram is worth reading. */
DIRECTORY_INLINE __u32 rack_check_form(const struct hotrack_header *h, __u32 length) {
  __u32 key_length = RACK_SWAP16(h->key_length), value_length = RACK_SWAP16(h->value_length);

  if (h->protocol != HOTRACK_PROTOCOL)
    return COUNTER_DROP_PROTOCOL;
  if (key_length > HOTRACK_KEY_LENGTH_MAX || key_length + value_length > HOTRACK_BODY_LENGTH_MAX ||
      HOTRACK_HEADER_LENGTH + key_length + value_length != length)
    return COUNTER_DROP_MALFORMED;
  if (h->status >= HOTRACK_STATUSES || RACK_SWAP16(h->parts) == 0 ||
      RACK_SWAP16(h->part) >= RACK_SWAP16(h->parts))
    return COUNTER_DROP_MALFORMED;
  return COUNTER_PASS;
}

/* A client leaves every field that others fill in as zero (server: HOTRACK_NO_SERVER). */
DIRECTORY_INLINE __u32 rack_check_request(struct hotrack_header *h, int neighbour) {
  __u16 flags = RACK_SWAP16(h->flags);
  __u64 window = RACK_SWAP64(h->sequence) - RACK_SWAP64(h->acknowledged);

  if (!rack_is_request(h->operation) || (flags & HOTRACK_FLAG_REPLY))
    return COUNTER_DROP_OPERATION;
  if (flags & HOTRACK_FLAG_FORWARDED) {
    if (!neighbour)
      return COUNTER_DROP_NOT_NEIGHBOUR;
    if (h->version == 0 || directory_is_read(h->operation))
      return COUNTER_DROP_MALFORMED;
  } else if (h->version) {
    return COUNTER_DROP_FORGED_STAMP;
  }
  if ((RACK_WHAT(h) & ~RACK_WHAT_OF(0, 0, RACK_CLIENT_FLAGS | HOTRACK_FLAG_FORWARDED)) !=
          RACK_WHAT_OF(0, HOTRACK_NO_SERVER, 0) ||
      (RACK_COPIES(h) | h->generation | h->incarnation | RACK_RETURN(h)) ||
      (RACK_RETURN_ADDRESS(h, 0) | RACK_RETURN_ADDRESS(h, 1) | h->return_port))
    return COUNTER_DROP_FORGED_STAMP;
  if (h->operation == HOTRACK_HELLO ? h->key_length || h->value_length
                                    : !h->key_length || !h->key_hash)
    return COUNTER_DROP_MALFORMED;
  if (!h->client || window >= HOTRACK_OUTSTANDING_MAX)
    return COUNTER_DROP_MALFORMED;
  if ((h->operation == HOTRACK_GET || h->operation == HOTRACK_DELETE) && h->value_length)
    return COUNTER_DROP_MALFORMED;
  return COUNTER_PASS;
}

/* The sum of what rack_stamp overwrites whole. */
DIRECTORY_INLINE __u64 rack_stamped_sum(struct hotrack_header *h) {
  return rack_sum(RACK_COPIES(h)) + rack_sum(h->generation) + rack_sum(h->version) +
         rack_sum(h->incarnation);
}

/* Stamps what goes on to a server. `removed`: rack_stamped_sum(h). */
DIRECTORY_INLINE void rack_stamp(struct hotrack_header *h, struct rack_verdict *verdict,
                                 __u64 removed) {
  const struct directory_decision *decision = &verdict->decision;
  __u32 before = RACK_WHAT(h);
  __u32 what =
      (before & ~RACK_WHAT_OF(0, 0xff, 0)) |
      RACK_WHAT_OF(0, decision->server, decision->replicated ? HOTRACK_FLAG_REPLICATED : 0);
  __u64 copies = (RACK_COPIES(h) & RACK_COPIES_OF(0, 0xffff, 0)) |
                 RACK_COPIES_OF((__u16)decision->epoch, 0, decision->copy_targets);
  __u64 generation = RACK_SWAP64(decision->generation);
  __u64 version = RACK_SWAP64(decision->version);
  __u64 incarnation = RACK_SWAP64(decision->incarnation);

  RACK_WHAT(h) = what;
  RACK_COPIES(h) = copies;
  h->generation = generation;
  h->version = version;
  h->incarnation = incarnation;
  verdict->sums.removed = removed + before;
  verdict->sums.added =
      rack_sum(copies) + rack_sum(generation) + rack_sum(version) + rack_sum(incarnation) + what;
}

/* Turns a request into its own answer; the caller cuts the body off. */
DIRECTORY_INLINE void rack_answer(struct hotrack_header *h,
                                  const struct directory_decision *decision) {
  h->server = HOTRACK_NO_SERVER;
  h->status = decision->status;
  h->flags |= RACK_SWAP16(HOTRACK_FLAG_REPLY);
  h->epoch = RACK_SWAP16((__u16)decision->epoch);
  h->generation = RACK_SWAP64(decision->generation);
  h->version = 0;
  h->key_length = 0;
  h->value_length = 0;
}

/*
 * A reply on its way to its client, or a write on its way to the next rack, which stamps it anew:
 * for it, a request with a version.
 */
DIRECTORY_INLINE void rack_unstamp(struct hotrack_header *h, int is_reply,
                                   struct rack_verdict *verdict) {
  __u64 copies = RACK_COPIES(h);
  __u32 what = RACK_WHAT(h);

  verdict->return_path = RACK_RETURN(h);
  verdict->sums.removed =
      rack_sum(copies) + rack_sum(verdict->return_path) + rack_sum(h->incarnation) + what;
  if (is_reply) {
    copies &= RACK_COPIES_OF(0xffff, 0xffff, 0);
  } else {
    verdict->sums.removed += rack_sum(h->generation);
    h->generation = 0;
    copies = 0;
    what = (what & RACK_WHAT_OF(0, 0, HOTRACK_FLAG_FORWARDED | HOTRACK_FLAG_RETRY)) |
           RACK_WHAT_OF(0, HOTRACK_NO_SERVER, 0);
    RACK_WHAT(h) = what;
  }
  RACK_COPIES(h) = copies;
  RACK_RETURN(h) = 0;
  h->incarnation = 0;
  verdict->sums.added = rack_sum(copies) + what;
}

DIRECTORY_INLINE void rack_on_request(DIRECTORY *d, struct hotrack_header *h, int neighbour,
                                      struct rack_verdict *verdict) {
  struct directory_decision *decision = &verdict->decision;
  struct directory_request request;
  __u32 refused = rack_check_request(h, neighbour);

  if (refused != COUNTER_PASS) {
    directory_drop(decision, refused);
    return;
  }
  request.key_hash = RACK_SWAP64(h->key_hash);
  request.version = RACK_SWAP64(h->version);
  request.client = RACK_SWAP64(h->client);
  request.sequence = RACK_SWAP64(h->sequence);
  request.operation = h->operation;
  request.forwarded = !!(h->flags & RACK_SWAP16(HOTRACK_FLAG_FORWARDED));
  if (h->operation > HOTRACK_DELETE || h->parts != RACK_SWAP16(1)) {
    struct directory_control *control = directory_control_of(d);

    decision->epoch = control ? control->epoch : 0;
    decision->generation = control ? DIRECTORY_READ_ACQUIRE(control->generation) : 0;
    if (h->operation == HOTRACK_HELLO)
      directory_answer(decision, HOTRACK_OK, COUNTER_HELLO);
    else
      directory_answer(decision, HOTRACK_UNSUPPORTED, COUNTER_UNSUPPORTED);
  } else {
    directory_on_request(d, &request, decision);
  }
  /* All but a forwarded write's version was zero, or it would have been refused. */
  if (decision->action == DIRECTORY_STEER)
    rack_stamp(h, verdict, rack_sum(h->version));
  else if (decision->action == DIRECTORY_ANSWER)
    rack_answer(h, decision);
}

DIRECTORY_INLINE void rack_on_report(DIRECTORY *d, struct hotrack_header *h, __u8 server,
                                     struct rack_verdict *verdict) {
  struct directory_decision *decision = &verdict->decision;
  struct directory_report report;
  __u16 flags = RACK_SWAP16(h->flags);
  int is_reply = flags & HOTRACK_FLAG_REPLY;

  if (h->server != server) {
    directory_drop(decision, COUNTER_DROP_NOT_A_SERVER);
    return;
  }
  if (rack_is_to_controller(h->operation)) {
    decision->action = DIRECTORY_CONSUME;
    decision->counter = COUNTER_CONTROL;
    verdict->to_controller = 1;
    return;
  }
  report.key_hash = RACK_SWAP64(h->key_hash);
  report.version = RACK_SWAP64(h->version);
  report.generation = RACK_SWAP64(h->generation);
  report.incarnation = RACK_SWAP64(h->incarnation);
  report.epoch = RACK_SWAP16(h->epoch);
  report.load = RACK_SWAP16(h->load);
  report.flags = flags;
  report.operation = h->operation;
  report.status = h->status;
  report.server = server;
  if (h->operation == HOTRACK_MIRROR || h->operation == HOTRACK_MIRROR_ACK) {
    directory_on_mirror(d, &report, RACK_SWAP32(h->copy_targets), decision);
    if (decision->action == DIRECTORY_STEER)
      rack_stamp(h, verdict, rack_stamped_sum(h));
    return;
  }
  if (rack_is_between_servers(h->operation) && h->operation != HOTRACK_COPY_ACK) {
    directory_on_copy(d, &report, RACK_SWAP32(h->copy_targets), decision);
    if (decision->action == DIRECTORY_STEER)
      rack_stamp(h, verdict, rack_stamped_sum(h));
    return;
  }
  if (h->operation != HOTRACK_COPY_ACK && !(is_reply && rack_is_request(h->operation)) &&
      !((flags & HOTRACK_FLAG_FORWARDED) &&
        (h->operation == HOTRACK_SET || h->operation == HOTRACK_DELETE))) {
    directory_drop(decision, COUNTER_DROP_OPERATION);
    return;
  }
  directory_on_report(d, &report, decision);
  if (decision->action == DIRECTORY_FORWARD)
    rack_unstamp(h, is_reply, verdict);
}

/*
 * Decides a datagram of `length` bytes that begins with `h` (magic already seen), and stamps it.
 * `server` is the number of the registered server that sent it, with RACK_SERVER.
 */
DIRECTORY_INLINE void rack_on_datagram(DIRECTORY *d, struct hotrack_header *h, __u32 length,
                                       enum rack_sender sender, __u8 server,
                                       struct rack_verdict *verdict) {
  __u32 refused = rack_check_form(h, length);

  verdict->to_controller = 0;
  verdict->return_path = 0;
  verdict->decision.server = HOTRACK_NO_SERVER;
  verdict->decision.entry = DIRECTORY_NO_ENTRY;
  if (refused != COUNTER_PASS)
    directory_drop(&verdict->decision, refused);
  else if (sender == RACK_SERVER)
    rack_on_report(d, h, server, verdict);
  else
    rack_on_request(d, h, sender == RACK_NEIGHBOUR, verdict);
}

#endif
