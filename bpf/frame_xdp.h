/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Frames in the XDP program. Counterparts: frame_tc.h, and the first part of plane_host.h. */
#ifndef HOTRACK_FRAME_XDP_H
#define HOTRACK_FRAME_XDP_H

#define FRAME struct xdp_md

DIRECTORY_ACCESS void *frame_start(FRAME *frame) {
  return (void *)(long)frame->data;
}
DIRECTORY_ACCESS void *frame_end(FRAME *frame) {
  return (void *)(long)frame->data_end;
}
DIRECTORY_ACCESS __u32 frame_interface(FRAME *frame) {
  return frame->ingress_ifindex;
}
DIRECTORY_ACCESS __u32 frame_length(FRAME *frame) {
  return bpf_xdp_get_buff_len(frame);
}

/* Cuts the frame to `length`. Not zero: refused. */
DIRECTORY_ACCESS int frame_cut(FRAME *frame, __u32 length) {
  __u32 now = bpf_xdp_get_buff_len(frame);

  return now == length ? 0 : bpf_xdp_adjust_tail(frame, (int)length - (int)now);
}

/* Copies bytes of the frame, wherever they lie. Not zero: they are not there. */
DIRECTORY_ACCESS long frame_load(FRAME *frame, __u32 offset, void *to, __u32 length) {
  return bpf_xdp_load_bytes(frame, offset, to, length);
}

/* Adds `length` bytes of the frame to a sum, wherever they lie. Seldom needed, so it may cost. */
PACKET_SLOW int frame_sum(FRAME *frame, __u32 offset, __u32 length, __u64 *sum) {
  struct scratch *scratch;
  __u32 key = 0, piece;
  __s64 part;

  scratch = bpf_map_lookup_elem(&scratch_memory, &key);
  if (!sum || !scratch || length < 1 || length > sizeof(scratch->bytes))
    return 1;
  if (bpf_xdp_load_bytes(frame, offset, scratch->bytes, length))
    return 1;
  *(volatile __u32 *)&scratch->bytes[length] = 0;
  for (piece = 0; piece < SCRATCH_PIECES; piece++) {
    __u32 start = piece * SCRATCH_PIECE;
    __u32 rest = length > start ? (length - start + 3) & ~3u : 0;

    part = bpf_csum_diff(0, 0, (__be32 *)&scratch->bytes[start],
                         rest > SCRATCH_PIECE ? SCRATCH_PIECE : rest, 0);
    if (part < 0)
      return 1;
    *sum += (__u32)part;
  }
  return 0;
}

#endif
