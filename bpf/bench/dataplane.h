/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the data plane's benchmark tells its program, which is in dataplane.bpf.c. */
#ifndef HOTRACK_BENCH_DATAPLANE_H
#define HOTRACK_BENCH_DATAPLANE_H

#include <linux/types.h>

/* Ethernet, IPv4, UDP and our header: all that the data plane may change of a frame. */
#define BENCH_HEADERS_LENGTH 178

/* Programs that a packet is given to. */
enum bench_target { BENCH_EMPTY, BENCH_PARSE_SWAP, BENCH_RACK, BENCH_TARGETS };

/* What is different in the packets of each key; in network byte order. */
struct bench_key {
  __be64 key_hash;
  __be64 rack_tag; /* of a server's packet in a rack with a key; else zero */
};

/* One case: the packet as its sender sent it, and what changes from one to the next. */
struct bench_plan {
  __u8 lead[6];
  __u8 headers[BENCH_HEADERS_LENGTH]; /* aligned to 8 bytes from its third one on */
  __u64 first_version;
  __u64 version_step; /* added after each pass over all the keys */
  __u64 packets;      /* so far */
  __u32 key_bits;     /* 2^key_bits keys */
  __u32 target;       /* enum bench_target */
  __u32 same_numbers; /* each key's packets have the same sequence number every time, and so one tag
                       */
  __u32 reserved;
};

/* Places in the map of devices that frames are sent out of. */
enum bench_device { BENCH_FROM_CLIENT, BENCH_TO_SERVER, BENCH_DEVICES };

#endif
