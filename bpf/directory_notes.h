/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a controller writes down beside the directory for the controller that comes after it: what
 * it knows of the rack and the directory's memory does not say. It lives as long as that memory. No
 * packet looks at it.
 */
#ifndef HOTRACK_DIRECTORY_NOTES_H
#define HOTRACK_DIRECTORY_NOTES_H

#include "directory_state.h"

/*
 * The meaning of all memory that outlives a program (directory, ports, counts, samples, notes): to
 * be raised when a program or controller of before could not go on with it. What shows in the types
 * is found by itself.
 */
#define PLANE_MEANING 2

/* How the memory is arranged; at the same place for ever, so that any version can tell. */
struct plane_layout {
  __u64 magic;      /* PLANE_LAYOUT_MAGIC */
  __u64 identity;   /* of types and meaning */
  __u64 counters;   /* identity of what the counters are, and their order */
  __u64 image;      /* identity of the compiled program, before its constants are set */
  __u32 buckets;    /* of the directory */
  __u32 processors; /* rows of counts */
  __u64 adoptions;  /* controllers that went on with it */
};
#define PLANE_LAYOUT_MAGIC 0x316b636172746f68ull /* "hotrack1" in memory */

/* The place of a directory entry has one, written before the entry is published. */
struct directory_entry_note {
  __u64 loss_generation; /* the newest loss of a server that its servers have heard of */
  __u8 is_pinned;        /* promoted by command */
  __u8 is_leaving;       /* the transition that is under way demotes it */
  __u8 key_length;       /* 1...HOTRACK_KEY_LENGTH_MAX */
  __u8 key[HOTRACK_KEY_LENGTH_MAX];
  __u8 reserved[3];
};
_Static_assert(sizeof(struct directory_entry_note) == 264, "whole words");

struct directory_ban {
  __u64 key_hash; /* 0: none */
  __u64 until;    /* nanoseconds of the host's monotonic clock */
};
#define DIRECTORY_BANS 64

struct directory_notes {
  struct plane_layout layout;
  __u64 loss_generation; /* of the newest loss of a server; 0: none */
  __u32 losing;          /* bit per server whose loss is being dealt with */
  __u32 away;            /* bit per server that is waited for: it will have what it had */
  __u32 durable;         /* bit per server whose state outlives its process */
  __u32 moving;          /* bit per server that slots move from or to */
  struct directory_ban bans[DIRECTORY_BANS];
};

#endif
