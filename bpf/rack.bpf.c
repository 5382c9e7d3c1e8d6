/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The rack's data plane on XDP. */
#include "plane_bpf.h"
#include "temperature.h"
#include "packet.h"

SEC("xdp.frags")
int rack(struct xdp_md *frame) {
  __u32 key = 0, place = 0;
  struct plane_cpu *plane = bpf_map_lookup_elem(&processors, &key);

  if (!plane)
    return XDP_ABORTED;
  switch (packet_handle(plane, frame, &place)) {
  case PACKET_PASS:
    return XDP_PASS;
  case PACKET_RETURN:
    /*
     * Redirected too: a veth sends what XDP_TX gives it only when its peer runs a program as well.
     * With a peer that has GRO alone, such a frame waits there until others come after it.
     */
    if (configuration.one_arm || !packet_port(plane, frame->ingress_ifindex, &place))
      return XDP_TX;
    return bpf_redirect_map(&devices, place, XDP_TX);
  case PACKET_SEND:
    if (configuration.one_arm)
      return XDP_TX;
    /* A port that was taken away a moment ago: an error that can be traced, not a silent pass. */
    return bpf_redirect_map(&devices, place, XDP_ABORTED);
  default:
    return XDP_DROP;
  }
}

char LICENSE[] SEC("license") = "GPL";
