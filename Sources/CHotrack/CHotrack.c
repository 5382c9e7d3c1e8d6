/* SPDX-License-Identifier: Apache-2.0 */
#include "CHotrack.h"

#include <malloc.h>
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
