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

/* What becomes of the packet, beyond the decision. */
struct rack_verdict {
  struct directory_decision decision;
  __u8 to_controller; /* with DIRECTORY_CONSUME: hand it to the kernel, and so to the controller */
  __u8 return_mac[6]; /* with DIRECTORY_FORWARD: the way back to the client */
  __u16 return_interface;
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

#define RACK_CLIENT_FLAGS (HOTRACK_FLAG_RETRY)

/* Is this operation a client's to ask for (answered `unsupported` where it is not built yet)? */
DIRECTORY_INLINE int rack_is_request(__u8 operation) {
  return operation >= HOTRACK_GET && operation <= HOTRACK_HELLO;
}

DIRECTORY_INLINE int rack_is_to_controller(__u8 operation) {
  return operation == HOTRACK_FENCE_ACK || operation == HOTRACK_SYNC_ACK ||
         operation == HOTRACK_FLOOR_ACK || operation == HOTRACK_SLOTS_ACK ||
         operation == HOTRACK_PROBE_ACK || operation == HOTRACK_ADMIT_ACK;
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
DIRECTORY_INLINE __u32 rack_check_request(const struct hotrack_header *h, int neighbour) {
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
  if ((flags & ~(RACK_CLIENT_FLAGS | HOTRACK_FLAG_FORWARDED)) || h->status ||
      h->server != HOTRACK_NO_SERVER || h->epoch || h->load || h->copy_targets || h->generation ||
      h->incarnation || h->return_interface || h->return_mac[0] || h->return_mac[1] ||
      h->return_mac[2] || h->return_mac[3] || h->return_mac[4] || h->return_mac[5])
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

DIRECTORY_INLINE void rack_stamp(struct hotrack_header *h,
                                 const struct directory_decision *decision) {
  h->server = decision->server;
  h->epoch = RACK_SWAP16((__u16)decision->epoch);
  h->generation = RACK_SWAP64(decision->generation);
  h->version = RACK_SWAP64(decision->version);
  h->incarnation = RACK_SWAP64(decision->incarnation);
  h->copy_targets = RACK_SWAP32(decision->copy_targets);
  if (decision->replicated)
    h->flags |= RACK_SWAP16(HOTRACK_FLAG_REPLICATED);
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

/* A write on its way to the next rack, which stamps it anew: for it, a request with a version. */
DIRECTORY_INLINE void rack_unstamp(struct hotrack_header *h) {
  h->server = HOTRACK_NO_SERVER;
  h->status = 0;
  h->flags &= RACK_SWAP16(HOTRACK_FLAG_FORWARDED | HOTRACK_FLAG_RETRY);
  h->epoch = 0;
  h->load = 0;
  h->generation = 0;
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
  if (decision->action == DIRECTORY_STEER)
    rack_stamp(h, decision);
  else if (decision->action == DIRECTORY_ANSWER)
    rack_answer(h, decision);
}

DIRECTORY_INLINE void rack_on_report(DIRECTORY *d, struct hotrack_header *h, __u8 server,
                                     struct rack_verdict *verdict) {
  struct directory_decision *decision = &verdict->decision;
  struct directory_report report;
  __u16 flags = RACK_SWAP16(h->flags);
  int is_reply = flags & HOTRACK_FLAG_REPLY, i;

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
  if (h->operation == HOTRACK_COPY) {
    directory_on_copy(d, &report, RACK_SWAP32(h->copy_targets), decision);
    if (decision->action == DIRECTORY_STEER)
      rack_stamp(h, decision);
    return;
  }
  if (h->operation != HOTRACK_COPY_ACK && !(is_reply && rack_is_request(h->operation)) &&
      !((flags & HOTRACK_FLAG_FORWARDED) &&
        (h->operation == HOTRACK_SET || h->operation == HOTRACK_DELETE))) {
    directory_drop(decision, COUNTER_DROP_OPERATION);
    return;
  }
  directory_on_report(d, &report, decision);
  if (decision->action != DIRECTORY_FORWARD)
    return;
  if (!is_reply)
    rack_unstamp(h);
#pragma clang loop unroll(full)
  for (i = 0; i < 6; i++) {
    verdict->return_mac[i] = h->return_mac[i];
    h->return_mac[i] = 0;
  }
  verdict->return_interface = RACK_SWAP16(h->return_interface);
  h->return_interface = 0;
  h->incarnation = 0;
  h->copy_targets = 0;
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
  verdict->return_interface = 0;
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
