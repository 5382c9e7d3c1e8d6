/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Frames and what the plane keeps, in the programs for the kernel. Counterpart of plane_host.h. */
#ifndef HOTRACK_PLANE_BPF_H
#define HOTRACK_PLANE_BPF_H

#include "directory_maps_bpf.h"
#include "directory_notes.h"

/* The plane, the directory and this CPU's state are the same thing here. */
#define PLANE                      struct plane_cpu
#define PLANE_DIRECTORY(plane)     (plane)
#define PLANE_CPU(plane)           (plane)
#define PLANE_CONFIGURATION(plane) ((void)(plane), &configuration)
/* Each of the two has programs of its own, so that neither costs the other anything. */
#ifdef RACK_IPV6
#define PLANE_IS_IPV6(plane) ((void)(plane), 1)
#else
#define PLANE_IS_IPV6(plane) ((void)(plane), 0)
#endif

/* A global function: the verifier walks it once, not once for each path that leads to it. */
#define PACKET_SLOW __attribute__((noinline))

typedef __u16 __attribute__((may_alias)) PACKET_U16;
typedef __u32 __attribute__((may_alias)) PACKET_U32;

SHARED_ARRAY(entry_counts, struct plane_entry_counts, 1); /* a row for each CPU */
/* The controllers' own. */
SHARED_ARRAY(notes, struct directory_notes, 1);
/* For each slot: since which generation what it held is lost; 0: it is not. */
SHARED_ARRAY(slot_losses, __u64, HOTRACK_SLOTS);
SHARED_ARRAY(entry_notes, struct directory_entry_note, 1); /* one for each entry */

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, PLANE_PORTS);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct bpf_devmap_val));
} devices SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct plane_cpu));
} processors SEC(".maps");

/* Where a datagram is laid whole to be summed; bpf_csum_diff takes at most 512 bytes at once. */
#define SCRATCH_PIECE  512
#define SCRATCH_PIECES 3
struct scratch {
  __u8 bytes[SCRATCH_PIECES * SCRATCH_PIECE];
  __u32 end; /* a last word may lie partly here */
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct scratch));
} scratch_memory SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} samples SEC(".maps");

/* What clients have asked for, in a rack with a rate limit. Sized when it is loaded. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(union plane_address));
  __uint(value_size, sizeof(struct plane_client));
} clients SEC(".maps");

#ifdef FRAME_TC
#include "frame_tc.h"
#else
#include "frame_xdp.h"
#endif

DIRECTORY_ACCESS struct plane_ports *plane_ports_of(PLANE *plane) {
  (void)plane;
  return &memory.ports;
}

DIRECTORY_ACCESS struct plane_entry_counts *plane_entry_counts_at(PLANE *plane, __u32 entry) {
  __u32 place = plane->cpu * plane->entries + entry;

  return bpf_map_lookup_elem(&entry_counts, &place);
}

DIRECTORY_ACCESS void plane_next_mac(PLANE *plane, __u8 *mac) {
  int index;

  (void)plane;
#pragma clang loop unroll(full)
  for (index = 0; index < 6; index++)
    mac[index] = configuration.next_mac[index];
}

/* In the scratch memory, where no datagram is summed in a dry run. */
DIRECTORY_ACCESS struct hotrack_header *plane_header_copy(PLANE *plane,
                                                          const struct hotrack_header *h) {
  struct scratch *scratch;
  struct hotrack_header *copy;
  __u32 key = 0;

  (void)plane;
  scratch = bpf_map_lookup_elem(&scratch_memory, &key);
  if (!scratch)
    return 0;
  copy = (struct hotrack_header *)scratch->bytes;
  *copy = *h;
  return copy;
}

/* Puts a record into the ring; nobody is woken: the controller looks in its own time. */
PACKET_SLOW int plane_sample_out(PLANE *plane, FRAME *frame, __u64 key_hash, __u64 about,
                                 __u32 body) {
  __u32 key_length = about & 0xffff;
  struct plane_sample *sample;

  if (!plane)
    return 1;
  sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
  if (!sample) {
    plane->counters[COUNTER_SAMPLE_LOST]++;
    return 1;
  }
  sample->key_hash = key_hash;
  sample->weight = about >> 32;
  sample->operation = about >> 16;
  sample->kind = about >> 24;
  if (key_length > HOTRACK_KEY_LENGTH_MAX ||
      (key_length && frame_load(frame, body, sample->key, key_length)))
    key_length = 0;
  sample->key_length = key_length;
  bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);
  return 0;
}

DIRECTORY_ACCESS __u64 plane_now(PLANE *plane) {
  (void)plane;
  return bpf_ktime_get_ns();
}

/* What is kept of a client; null: there is no room. */
DIRECTORY_ACCESS struct plane_client *plane_client_at(PLANE *plane,
                                                      const union plane_address *address) {
  struct plane_client *client = bpf_map_lookup_elem(&clients, address);
  struct plane_client fresh = {0};

  (void)plane;
  if (client)
    return client;
  /* Another processor may have been quicker. */
  bpf_map_update_elem(&clients, address, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&clients, address);
}

/* Tells the controller of requests that were refused. */
DIRECTORY_ACCESS void plane_tell_refused(PLANE *plane, const union plane_address *address,
                                         __u64 refused) {
  struct plane_sample *sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);

  if (!sample) {
    plane->counters[COUNTER_SAMPLE_LOST]++;
    return;
  }
  sample->key_hash = 0;
  sample->weight = refused > 0xffffffff ? 0xffffffff : refused;
  sample->kind = PLANE_SAMPLE_REFUSED;
  sample->operation = HOTRACK_HELLO; /* it says nothing here */
  sample->key_length = sizeof(*address);
  *(union plane_address *)sample->key = *address;
  bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);
}

DIRECTORY_ACCESS void plane_sample(PLANE *plane, FRAME *frame, const struct hotrack_header *h,
                                   __u32 body, __u8 kind, __u32 weight) {
  __u64 about = (__u64)weight << 32 | (__u32)kind << 24 | (__u32)h->operation << 16 |
                __builtin_bswap16(h->key_length);

  plane_sample_out(plane, frame, __builtin_bswap64(h->key_hash), about, body);
}

#endif
