/* SPDX-License-Identifier: Apache-2.0 */
#include "CHotrack.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void hotrack_rack_on_datagram(struct directory *d, struct hotrack_header *h, __u32 length,
                              enum rack_sender sender, __u8 server, struct rack_verdict *verdict) {
  rack_on_datagram(d, h, length, sender, server, verdict);
}

enum packet_action hotrack_packet_handle(struct host_plane *plane, struct host_frame *frame,
                                         __u32 *place) {
  return packet_handle(plane, frame, place);
}

const char *hotrack_counter_name(__u32 counter) {
  static const char *const names[] = {
#define X(name, text) text,
    DIRECTORY_COUNTERS(X)
#undef X
  };

  return counter < COUNTERS ? names[counter] : NULL;
}

__u64 hotrack_plane_memory_size(void) {
  return sizeof(struct plane_memory);
}

void hotrack_plane_memory_parts(void *memory, struct directory *d, struct plane_port **ports) {
  struct plane_memory *parts = memory;

  d->control = &parts->control;
  d->servers = parts->servers;
  d->loads = parts->loads;
  d->slots = parts->slots;
  d->targets = parts->targets;
  *ports = parts->ports.port;
}

/* FNV-1a. */
static void mix(__u64 *identity, const void *bytes, __u64 length) {
  const unsigned char *next = bytes;

  while (length--)
    *identity = (*identity ^ *next++) * 0x100000001b3ull;
}

#define MIX(identity, value)                \
  do {                                      \
    __u64 number = (__u64)(value);          \
    mix(identity, &number, sizeof(number)); \
  } while (0)
#define FIELD(type, field)                             \
  do {                                                 \
    MIX(&identity, offsetof(struct type, field));      \
    MIX(&identity, sizeof(((struct type *)0)->field)); \
    mix(&identity, #field, sizeof(#field));            \
  } while (0)
#define TYPE(type) MIX(&identity, sizeof(struct type))

__u64 hotrack_plane_identity(void) {
  __u64 identity = 0xcbf29ce484222325ull;

  MIX(&identity, PLANE_MEANING);
  MIX(&identity, DIRECTORY_WAYS);
  MIX(&identity, DIRECTORY_BASES);
  MIX(&identity, DIRECTORY_TARGETS);
  MIX(&identity, DIRECTORY_TARGET_TABLES);
  MIX(&identity, PLANE_PORTS);
  MIX(&identity, PLANE_PORT_PROBES);
  TYPE(directory_bucket);
  FIELD(directory_bucket, key_hash);
  FIELD(directory_bucket, word);
  TYPE(directory_detail);
  FIELD(directory_detail, base);
  FIELD(directory_detail, since);
  FIELD(directory_detail, mode);
  FIELD(directory_detail, copies);
  FIELD(directory_detail, targets);
  FIELD(directory_detail, turn);
  TYPE(directory_slot);
  FIELD(directory_slot, home);
  FIELD(directory_slot, moving);
  FIELD(directory_slot, reader);
  TYPE(directory_server);
  FIELD(directory_server, incarnation);
  FIELD(directory_server, interface);
  FIELD(directory_server, port);
  FIELD(directory_server, mac);
  FIELD(directory_server, address);
  FIELD(directory_server, reserved);
  TYPE(directory_load);
  FIELD(directory_load, load);
  FIELD(directory_load, replied);
  FIELD(directory_load, reserved);
  TYPE(directory_control);
  FIELD(directory_control, generation);
  FIELD(directory_control, epoch);
  FIELD(directory_control, serving);
  FIELD(directory_control, alive);
  FIELD(directory_control, server_count);
  FIELD(directory_control, bucket_mask);
  FIELD(directory_control, window);
  FIELD(directory_control, sample_interval);
  FIELD(directory_control, choice);
  FIELD(directory_control, spared);
  FIELD(directory_control, drained);
  FIELD(directory_control, reserved);
  FIELD(directory_control, next_version);
  FIELD(directory_control, reserved2);
  TYPE(plane_memory);
  FIELD(plane_memory, control);
  FIELD(plane_memory, servers);
  FIELD(plane_memory, loads);
  FIELD(plane_memory, slots);
  FIELD(plane_memory, targets);
  FIELD(plane_memory, ports);
  TYPE(plane_port);
  FIELD(plane_port, interface);
  FIELD(plane_port, mac);
  FIELD(plane_port, reserved);
  TYPE(plane_entry_counts);
  FIELD(plane_entry_counts, reads);
  FIELD(plane_entry_counts, writes);
  TYPE(plane_server_counts);
  TYPE(plane_cpu);
  FIELD(plane_cpu, counters);
  FIELD(plane_cpu, servers);
  FIELD(plane_cpu, cpu);
  FIELD(plane_cpu, random);
  FIELD(plane_cpu, skipped);
  FIELD(plane_cpu, entries);
  TYPE(plane_sample);
  FIELD(plane_sample, key_hash);
  FIELD(plane_sample, weight);
  FIELD(plane_sample, kind);
  FIELD(plane_sample, operation);
  FIELD(plane_sample, key_length);
  FIELD(plane_sample, key);
  TYPE(directory_entry_note);
  FIELD(directory_entry_note, loss_generation);
  FIELD(directory_entry_note, is_pinned);
  FIELD(directory_entry_note, is_leaving);
  FIELD(directory_entry_note, key_length);
  FIELD(directory_entry_note, key);
  FIELD(directory_entry_note, reserved);
  TYPE(directory_notes);
  FIELD(directory_notes, layout);
  FIELD(directory_notes, loss_generation);
  FIELD(directory_notes, losing);
  FIELD(directory_notes, away);
  FIELD(directory_notes, durable);
  FIELD(directory_notes, moving);
  FIELD(directory_notes, bans);
  return identity;
}

__u64 hotrack_counters_identity(void) {
  __u64 identity = 0xcbf29ce484222325ull;
  __u32 counter;

  for (counter = 0; counter < COUNTERS; counter++)
    mix(&identity, hotrack_counter_name(counter), strlen(hotrack_counter_name(counter)) + 1);
  return identity;
}

void *hotrack_allocate_lines(__u64 bytes) {
  __u64 lines = (bytes + DIRECTORY_CACHE_LINE - 1) / DIRECTORY_CACHE_LINE;
  void *memory = aligned_alloc(DIRECTORY_CACHE_LINE, lines * DIRECTORY_CACHE_LINE);

  if (memory)
    memset(memory, 0, lines * DIRECTORY_CACHE_LINE);
  return memory;
}

__u64 hotrack_heap_bytes(void) {
  return mallinfo2().uordblks;
}
