/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Frames in the TC program: socket buffers, whose checksums the kernel knows the state of. An outer
 * VLAN tag lies beside such a frame, not in it, and stays with it wherever it goes.
 */
#ifndef HOTRACK_FRAME_TC_H
#define HOTRACK_FRAME_TC_H

#define FRAME struct __sk_buff

DIRECTORY_ACCESS void *frame_start(FRAME *frame) {
  return (void *)(long)frame->data;
}
DIRECTORY_ACCESS void *frame_end(FRAME *frame) {
  return (void *)(long)frame->data_end;
}
DIRECTORY_ACCESS __u32 frame_interface(FRAME *frame) {
  return frame->ifindex;
}
DIRECTORY_ACCESS __u32 frame_length(FRAME *frame) {
  return frame->len;
}

/* Cuts the frame to `length`. Not zero: refused. */
DIRECTORY_ACCESS int frame_cut(FRAME *frame, __u32 length) {
  return frame->len == length ? 0 : (int)bpf_skb_change_tail(frame, length, 0);
}

/* Copies bytes of the frame, wherever they lie. Not zero: they are not there. */
DIRECTORY_ACCESS long frame_load(FRAME *frame, __u32 offset, void *to, __u32 length) {
  return bpf_skb_load_bytes(frame, offset, to, length);
}

/*
 * Makes the UDP checksum at an offset right again after changes of the pseudo-header and of what
 * it covers besides (differences of sums); `check` is what it was before. A checksum that the
 * sender's kernel has left to a device stays left to it. Not zero: refused.
 */
#define FRAME_MENDS_CHECKSUMS
DIRECTORY_ACCESS int frame_mend(FRAME *frame, int is_ipv6, __u32 offset, __u16 check, __u16 pseudo,
                                __u16 rest) {
  if (!check) {
    /* Not there; but a device may have summed the frame. */
    bpf_csum_update(frame, rest);
    return 0;
  }
  if (bpf_l4_csum_replace(frame, offset, 0, pseudo, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0))
    return 1;
  /* The helper takes it that the IP header has a sum of its own; IPv6's takes part in the frame's.
   */
  if (is_ipv6)
    bpf_csum_update(frame, pseudo);
  return bpf_l4_csum_replace(frame, offset, 0, rest, BPF_F_MARK_MANGLED_0) != 0;
}

#endif
