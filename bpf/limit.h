/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Rate limits: of each client address so many requests per second are taken, and so many at once.
 *
 * A token bucket in one word (the virtual scheduling of GCRA, ITU-T I.371): when all that was let
 * through would be due if it came evenly. It changes by one swap, on whatever processor, and
 * nothing has to be refilled. Buckets are in a table of bounded size, from which the client that
 * has asked for nothing for the longest time goes first: who is forgotten begins with a full
 * bucket, so that a flood from many addresses makes the limit milder, never stricter.
 */
#ifndef HOTRACK_LIMIT_H
#define HOTRACK_LIMIT_H

#include "rack.h"

/* More packets of one client at the same moment than this are refused. */
#define LIMIT_TRIES   4
/* The controller is told of a client at most so often: nanoseconds. */
#define LIMIT_TELLING 1000000000ull

/* Two words of an address, as they lie in memory, in one argument. */
#define LIMIT_HALF(first, second) ((__u64)(first) << 32 | (second))

/*
 * Takes a request of a client into account (its address in halves, IPv4 as IPv4-mapped IPv6). Not
 * zero: it is beyond the limit.
 */
PACKET_SLOW int limit_refuses(PLANE *plane, __u64 high, __u64 low) {
  union plane_address address;
  struct plane_client *client;
  __u64 interval, room, now, due, next, refused;
  int try;

  if (!plane)
    return 0;
  address.words[0] = high >> 32;
  address.words[1] = (__u32)high;
  address.words[2] = low >> 32;
  address.words[3] = (__u32)low;
  interval = PLANE_CONFIGURATION(plane)->limit_interval;
  room = PLANE_CONFIGURATION(plane)->limit_room;
  client = plane_client_at(plane, &address);
  if (!client)
    return 0;
  now = plane_now(plane);
#pragma clang loop unroll(disable)
  for (try = 0; try < LIMIT_TRIES; try++) {
    due = DIRECTORY_READ(client->due);
    next = (due > now ? due : now) + interval;
    if (next - now > room)
      break;
    if (DIRECTORY_SWAP(&client->due, due, next))
      return 0;
  }
  DIRECTORY_ADD(&client->refused, 1);
  if (now - DIRECTORY_READ(client->told) < LIMIT_TELLING && DIRECTORY_READ(client->told))
    return 1;
  /* Two processors may both tell of the same refusals: an estimate. */
  refused = DIRECTORY_READ(client->refused);
  DIRECTORY_WRITE(client->told, now);
  DIRECTORY_WRITE(client->refused, 0);
  plane_tell_refused(plane, &address, refused);
  return 1;
}

#endif
