/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the data plane keeps besides the directory: who it is, its ports, counts and samples.
 * Shared by the XDP program, the host build and the controller.
 */
#ifndef HOTRACK_PLANE_STATE_H
#define HOTRACK_PLANE_STATE_H

#include "directory_state.h"
#include "tag.h"

/* An address; IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), its four bytes in words[3]. */
union plane_address {
  __u8 bytes[16];
  __be32 words[4];
};

#define PLANE_RACK_KEYS 2

/* Who the rack is. Constant while the program is loaded. */
struct plane_configuration {
  union plane_address address;
  union plane_address neighbour; /* the rack before this one; zero: none */
  union plane_address next;      /* the rack after this one; zero: none */
  __be16 port;                   /* UDP; clients speak to it */
  __be16 control_port;           /* UDP; servers answer the controller on it */
  __be16 neighbour_port;
  __be16 next_port;
  __u32 next_interface; /* index of the interface that leads to the next rack */
  __u8 next_mac[6];     /* of the next rack, or of the router towards it */
  __u8 one_arm;         /* one interface leads to clients and servers alike */
  __u8 dry_run;         /* count, and leave every packet to the kernel as it is */
  __u32 bucket_mask;    /* buckets of the directory, less one */
  __u8 ipv6;            /* the rack's address is one of IPv6, and so are clients' and servers' */
  __u8 rack_key_count;  /* of rack_keys; 0: the rack's packets carry no tags (tag.h) */
  __u8 reserved[6];
  struct tag_key rack_keys[PLANE_RACK_KEYS]; /* the first tags; any of them is taken */
  __u64 limit_interval; /* nanoseconds between two requests of a client; 0: no limit (limit.h) */
  __u64 limit_room;     /* so much of that at once */
};

/*
 * Ports are found by interface index: first place = index modulo PLANE_PORTS, then the next ones.
 * A port's place is what return_interface of the wire header names, plus one: 0 is no port.
 */
#define PLANE_PORTS       1024
#define PLANE_PORT_PROBES 8

struct plane_port {
  __u32 interface; /* 0: free */
  __u8 mac[6];     /* its own */
  __u8 reserved[6];
};

struct plane_ports {
  struct plane_port port[PLANE_PORTS];
};

/*
 * All that the program has one of, in one piece: reached without looking a map up, and mapped by
 * the controller. What packets change lies apart from what they only read.
 */
struct plane_memory {
  struct directory_control control;
  struct directory_server servers[HOTRACK_SERVERS_MAX];
  struct directory_load loads[HOTRACK_SERVERS_MAX];
  struct directory_slot slots[HOTRACK_SLOTS];
  __u8 targets[DIRECTORY_TARGET_TABLES * DIRECTORY_TARGETS];
  struct plane_ports ports;
} __attribute__((aligned(DIRECTORY_CACHE_LINE)));

struct plane_server_counts {
  __u64 reads; /* steered to it */
  __u64 writes;
  __u64 copies;
  __u64 replies; /* that came from it and went on */
};

struct plane_entry_counts {
  __u64 reads;
  __u64 writes;
};

/* What one client address has asked for, in a rack with a rate limit. */
struct plane_client {
  __u64 due;     /* when all that was let through would be, had it come evenly: nanoseconds */
  __u64 refused; /* requests since the controller was told */
  __u64 told;    /* when that was */
};

#define PLANE_COUNTERS 64
_Static_assert(COUNTERS <= PLANE_COUNTERS, "room for every counter");

/* One for each CPU, so that nothing in it is shared. */
struct plane_cpu {
  __u64 counters[PLANE_COUNTERS]; /* by enum directory_counter */
  struct plane_server_counts servers[HOTRACK_SERVERS_MAX];
  __u32 cpu;     /* its number; set when the program is loaded */
  __u32 random;  /* a Weyl sequence */
  __u32 skipped; /* requests since the last sample */
  __u32 entries; /* places in the directory */
};

enum plane_sample_kind {
  PLANE_SAMPLE_REQUEST = 0,
  PLANE_SAMPLE_COLLISION = 1, /* a server answered `other key`: two keys share this hash */
  PLANE_SAMPLE_REFUSED = 2,   /* beyond the rate limit; the key is the client's address */
};

struct plane_sample {
  __u64 key_hash;
  __u32 weight; /* how many requests it stands for */
  __u8 kind;
  __u8 operation;
  __u16 key_length; /* 0 if the packet had no key */
  __u8 key[256];
};

#endif
