/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a testbed tells the programs that break a link, which are in link.bpf.c. */
#ifndef HOTRACK_TESTBED_LINK_H
#define HOTRACK_TESTBED_LINK_H

#include <linux/types.h>

/* Seen from the node at the link's end, which has the programs: frames that come to it from the
 * directory host, and frames that it sends. */
enum link_direction { LINK_TO, LINK_FROM, LINK_DIRECTIONS };

/* A share is counted in millionths. */
#define LINK_SHARE_WHOLE 1000000

/* What happens to the frames of one direction, in this order. */
struct link_fault {
  __u32 cut;       /* not 0: all are lost */
  __u32 loss;      /* share that is lost */
  __u32 duplicate; /* share of the others that goes on twice */
  __u32 relay;     /* not 0: the interface of the relay, which delays them and gives them back */
  __u32 delay;     /* for the relay: by how many microseconds, */
  __u32 jitter;    /* by how many more at most, */
  __u32 reorder;   /* and the share that is not delayed at all */
};

/* Of the link that is broken. */
struct link_place {
  __u32 interface; /* the link's end */
  __u8 mac[6];     /* and its address */
  __u16 reserved;
};

/* Frames of one direction, since the programs are there. */
struct link_count {
  __u64 seen;
  __u64 lost; /* cut ones included */
  __u64 duplicated;
  __u64 delayed; /* given to the relay, duplicates included */
};

#endif
