/* SPDX-License-Identifier: Apache-2.0 */
/* The C headers of bpf/ built for the host, and the functions that Swift calls of them. */
#ifndef CHOTRACK_H
#define CHOTRACK_H

#include "../../../bpf/wire.h"
#include "../../../bpf/directory_state.h"
#include "../../../bpf/directory_notes.h"
#include "../../../bpf/directory_maps_host.h"
#include "../../../bpf/directory_control.h"
#include "../../../bpf/rack.h"
#include "../../../bpf/plane_host.h"
#include "../../../bpf/tag.h"
#include "../../../bpf/temperature.h"
#include "../../../bpf/packet.h"
#include "../../../bpf/bench/dataplane.h"
#include "../../../bpf/testbed/link.h"

/* rack_on_datagram of rack.h, not inlined: decides and stamps one datagram. */
void hotrack_rack_on_datagram(struct directory *d, struct hotrack_header *h, __u32 length,
                              enum rack_sender sender, __u8 server, struct rack_verdict *verdict);

/*
 * rack_on_datagram in steps, on a stack of its own: it can stop before every access to memory that
 * processors share. One thread at a time may use it; `h` and `verdict` stay where they are until it
 * has finished. create: NULL if there is no memory.
 */
struct hotrack_stepped;
struct hotrack_stepped *hotrack_stepped_create(void);
void hotrack_stepped_destroy(struct hotrack_stepped *decision);
void hotrack_stepped_begin(struct hotrack_stepped *decision, struct directory *d,
                           struct hotrack_header *h, __u32 length, enum rack_sender sender,
                           __u8 server, struct rack_verdict *verdict);
/* Or a change of the controller's, in steps; `change` stays where it is. */
void hotrack_stepped_begin_change(struct hotrack_stepped *decision, struct directory *d,
                                  const struct directory_change *change);
/* Goes on until `steps` accesses from now (0: to the end). Returns whether it has finished. */
int hotrack_stepped_run(struct hotrack_stepped *decision, __u32 steps);

/* packet_handle of packet.h, not inlined: decides, rewrites and counts one frame. */
enum packet_action hotrack_packet_handle(struct host_plane *plane, struct host_frame *frame,
                                         __u32 *place);

/* The name of a counter as it stands on the screen, or NULL. */
const char *hotrack_counter_name(__u32 counter);

/* Single loads and stores of shared memory: acquire and release. */
static inline __u64 hotrack_load64(__u64 *p) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline __u32 hotrack_load32(__u32 *p) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void hotrack_store64(__u64 *p, __u64 x) {
  __atomic_store_n(p, x, __ATOMIC_RELEASE);
}
static inline void hotrack_store32(__u32 *p, __u32 x) {
  __atomic_store_n(p, x, __ATOMIC_RELEASE);
}
static inline void hotrack_store8(__u8 *p, __u8 x) {
  __atomic_store_n(p, x, __ATOMIC_RELEASE);
}
static inline __u64 hotrack_fetch_add64(__u64 *p, __u64 x) {
  return __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST);
}

/* The size of struct plane_memory, too large an aggregate for Swift; and where its parts are. */
__u64 hotrack_plane_memory_size(void);
void hotrack_plane_memory_parts(void *memory, struct directory *d, struct plane_port **ports);

/*
 * A number that tells arrangements of the memory that outlives a program apart: of its types and of
 * PLANE_MEANING. And one that tells lists of counters apart.
 */
__u64 hotrack_plane_identity(void);
__u64 hotrack_counters_identity(void);

/* Bytes that are allocated from the heap now (Swift's Glibc module lacks <malloc.h>). */
__u64 hotrack_heap_bytes(void);

/* Zeroed memory in whole cache lines; freed with free(). NULL if there is none. */
void *hotrack_allocate_lines(__u64 bytes);

#endif
