/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The rack's data plane on TC ingress (tcx): for interfaces whose driver cannot run XDP programs or
 * send what they redirect, and beside an XDP program of somebody else's.
 */
#define FRAME_TC
#include "plane_bpf.h"
#include "temperature.h"
#include "packet.h"

#define ACTION_NEXT     (-1) /* the next program, and in the end the kernel */
#define ACTION_DROP     2
#define HEADERS_LENGTH  (14 + 2 * 4 + 40 + 8 + HOTRACK_HEADER_LENGTH)
#define PROTOCOL_OFFSET (14 + 9) /* in an IPv4 frame */

/* Of a frame, the first buffer may hold less than our headers; what is not UDP stays as it is. */
static __always_inline void pull_headers(FRAME *frame) {
  __u32 length = frame->len < HEADERS_LENGTH ? frame->len : HEADERS_LENGTH;
  __u8 *start = frame_start(frame), *end = frame_end(frame);

  if (start + length <= end)
    return;
  if (frame->protocol == PACKET_TYPE_IPV4 && start + PROTOCOL_OFFSET + 1 <= end &&
      start[PROTOCOL_OFFSET] != PACKET_PROTOCOL_UDP)
    return;
  bpf_skb_pull_data(frame, length);
}

SEC("tc")
int rack(struct __sk_buff *frame) {
  __u32 key = 0, place = 0;
  struct plane_cpu *plane = bpf_map_lookup_elem(&processors, &key);
  struct plane_port *port;

  if (!plane)
    return ACTION_DROP;
  pull_headers(frame);
  switch (packet_handle(plane, frame, &place)) {
  case PACKET_PASS:
    return ACTION_NEXT;
  case PACKET_RETURN:
    return (int)bpf_redirect(frame->ifindex, 0);
  case PACKET_SEND:
    if (configuration.one_arm)
      return (int)bpf_redirect(frame->ifindex, 0);
    port = packet_port_at(plane, place);
    return port ? (int)bpf_redirect(port->interface, 0) : ACTION_DROP;
  default:
    return ACTION_DROP;
  }
}

char LICENSE[] SEC("license") = "GPL";
