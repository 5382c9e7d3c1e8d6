/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Frames and what the plane keeps, on the host. Counterpart of plane_bpf.h. */
#ifndef HOTRACK_PLANE_HOST_H
#define HOTRACK_PLANE_HOST_H

#include "directory_maps_host.h"
#include "plane_state.h"

/* A frame in memory; only its first `linear` bytes count as read without further ado. */
struct host_frame {
  __u8 *bytes;
  __u32 length;
  __u32 linear;
  __u32 interface; /* that it came in by */
};

/* What a client has asked for; `is_used` 0: nobody's yet. */
struct host_client {
  union plane_address address;
  __u32 is_used;
  struct plane_client client;
};

struct host_plane {
  struct directory *directory;
  struct plane_configuration configuration;
  struct plane_ports *ports;
  struct plane_cpu *cpu;                   /* of the thread that uses this plane */
  struct plane_entry_counts *entry_counts; /* one for each entry of the directory */
  struct hotrack_header copy;              /* of a header, in a dry run */
  struct host_client *clients;             /* in a rack with a rate limit */
  __u32 clients_max;
  __u64 now; /* nanoseconds, for the rate limit */
  /* Takes a sample; null: there is nobody to. */
  void (*sample)(void *context, const struct plane_sample *sample);
  void *context;
};

#define PLANE                      struct host_plane
#define PLANE_DIRECTORY(plane)     ((plane)->directory)
#define PLANE_CPU(plane)           ((plane)->cpu)
#define PLANE_CONFIGURATION(plane) (&(plane)->configuration)
#define PLANE_IS_IPV6(plane)       ((plane)->configuration.ipv6)

#define FRAME       struct host_frame
#define PACKET_SLOW static inline __attribute__((unused))
typedef __u16 __attribute__((may_alias, aligned(1))) PACKET_U16;
typedef __u32 __attribute__((may_alias, aligned(1))) PACKET_U32;

DIRECTORY_ACCESS void *frame_start(FRAME *frame) {
  return frame->bytes;
}
DIRECTORY_ACCESS void *frame_end(FRAME *frame) {
  return frame->bytes + frame->linear;
}
DIRECTORY_ACCESS __u32 frame_interface(FRAME *frame) {
  return frame->interface;
}
DIRECTORY_ACCESS __u32 frame_length(FRAME *frame) {
  return frame->length;
}

DIRECTORY_ACCESS int frame_cut(FRAME *frame, __u32 length) {
  if (length > frame->length)
    return 1;
  frame->length = length;
  return 0;
}

DIRECTORY_ACCESS int frame_sum(FRAME *frame, __u32 offset, __u32 length, __u64 *sum) {
  __u32 index;

  if (length < 1 || offset > frame->length || length > frame->length - offset)
    return 1;
  for (index = 0; index + 1 < length; index += 2)
    *sum += *(const PACKET_U16 *)&frame->bytes[offset + index];
  if (length & 1) {
    __u8 last[2] = {frame->bytes[offset + length - 1], 0};

    *sum += *(const PACKET_U16 *)last;
  }
  return 0;
}

DIRECTORY_ACCESS struct plane_ports *plane_ports_of(PLANE *plane) {
  return plane->ports;
}

DIRECTORY_ACCESS struct plane_entry_counts *plane_entry_counts_at(PLANE *plane, __u32 entry) {
  return entry < plane->cpu->entries ? &plane->entry_counts[entry] : 0;
}

DIRECTORY_ACCESS void plane_next_mac(PLANE *plane, __u8 *mac) {
  __builtin_memcpy(mac, plane->configuration.next_mac, 6);
}

DIRECTORY_ACCESS struct hotrack_header *plane_header_copy(PLANE *plane,
                                                          const struct hotrack_header *h) {
  plane->copy = *h;
  return &plane->copy;
}

DIRECTORY_ACCESS __u64 plane_now(PLANE *plane) {
  return plane->now;
}

/* Those that there is no room for have no limit. */
DIRECTORY_ACCESS struct plane_client *plane_client_at(PLANE *plane,
                                                      const union plane_address *address) {
  struct host_client *place;
  __u32 index;

  for (index = 0; index < plane->clients_max; index++) {
    place = &plane->clients[index];
    if (!place->is_used) {
      place->address = *address;
      place->is_used = 1;
    }
    if (!__builtin_memcmp(&place->address, address, sizeof(*address)))
      return &place->client;
  }
  return 0;
}

DIRECTORY_ACCESS void plane_tell_refused(PLANE *plane, const union plane_address *address,
                                         __u64 refused) {
  struct plane_sample sample = {
      .weight = refused > 0xffffffff ? 0xffffffff : (__u32)refused,
      .kind = PLANE_SAMPLE_REFUSED,
      .operation = HOTRACK_HELLO,
      .key_length = sizeof(*address),
  };

  if (!plane->sample)
    return;
  __builtin_memcpy(sample.key, address, sizeof(*address));
  plane->sample(plane->context, &sample);
}

DIRECTORY_ACCESS void plane_sample(PLANE *plane, FRAME *frame, const struct hotrack_header *h,
                                   __u32 body, __u8 kind, __u32 weight) {
  struct plane_sample sample = {
      .key_hash = __builtin_bswap64(h->key_hash),
      .weight = weight,
      .kind = kind,
      .operation = h->operation,
      .key_length = __builtin_bswap16(h->key_length),
  };

  if (!plane->sample)
    return;
  if (sample.key_length > HOTRACK_KEY_LENGTH_MAX || body + sample.key_length > frame->length)
    sample.key_length = 0;
  __builtin_memcpy(sample.key, frame->bytes + body, sample.key_length);
  plane->sample(plane->context, &sample);
}

#endif
