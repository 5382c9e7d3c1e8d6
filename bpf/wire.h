/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The wire format: one UDP datagram is this header, the key, the value; nothing behind them.
 * All integers are in network byte order. docs/protocol.md describes every field and message.
 *
 * This one file is compiled into the XDP program, the host library and (as a C module) Swift.
 */
#ifndef HOTRACK_WIRE_H
#define HOTRACK_WIRE_H

#include <linux/types.h>

/*
 * Fields lie where the offsets of docs/protocol.md say. The XDP program may read them in one load
 * each: the kernel accepts unaligned access to packets where the machine does.
 */
#ifdef __bpf__
#define HOTRACK_LAYOUT(alignment) __attribute__((packed, aligned(alignment)))
#else
#define HOTRACK_LAYOUT(alignment) __attribute__((packed))
#endif

#define HOTRACK_MAGIC        0x4854 /* "HT" */
#define HOTRACK_PROTOCOL     1
#define HOTRACK_PORT         18516 /* UDP port of a rack and of its servers, unless told otherwise */
#define HOTRACK_CONTROL_PORT 18517 /* UDP port of the controller on the directory host */

#define HOTRACK_SERVERS_MAX 32
#define HOTRACK_SLOTS       16384
#define HOTRACK_SLOT_SHIFT  50 /* slot = key hash >> 50: its top 14 bits */

#define HOTRACK_KEY_LENGTH_MAX  250
#define HOTRACK_BODY_LENGTH_MAX 1316 /* key and value; with the header, UDP and IPv6: 1,500 */

#define HOTRACK_OUTSTANDING_MAX 64  /* sequence numbers a client may have unfinished */
#define HOTRACK_NO_SERVER       255 /* server field of a packet that is not steered yet */

/* version = epoch << 48 | counter */
#define HOTRACK_VERSION_EPOCH_SHIFT 48

/*
 * Requests and their replies share the operation; a reply has HOTRACK_FLAG_REPLY. The others are
 * spoken between the directory, its controller and the servers only.
 */
enum hotrack_operation {
  HOTRACK_GET = 1,
  HOTRACK_SET = 2,
  HOTRACK_DELETE = 3,
  HOTRACK_CAS = 4, /* 4 to 7: reserved, answered `unsupported` */
  HOTRACK_INCR = 5,
  HOTRACK_APPEND = 6,
  HOTRACK_TOUCH = 7,
  HOTRACK_HELLO = 8, /* answered by the directory itself: its epoch and generation */

  HOTRACK_COPY = 16,       /* server to server, through the directory */
  HOTRACK_COPY_ACK = 17,   /* server to the directory; ends there */
  HOTRACK_COPY_ORDER = 18, /* controller to server: send copies of your value */

  HOTRACK_SLOT_COPY = 19, /* server to server, through the directory: what a moving slot holds */
  HOTRACK_SLOT_COPY_ACK = 20, /* its answer, through the directory too */
  HOTRACK_MIRROR = 21,     /* server to server, through the directory: a write that the sender has
                              executed, for the second server, which answers the client */
  HOTRACK_MIRROR_ACK = 22, /* back: a cold key's delete is there */

  HOTRACK_FENCE = 24, /* controller to server; the answers go back to the controller */
  HOTRACK_FENCE_ACK = 25,
  HOTRACK_SYNC = 26,
  HOTRACK_SYNC_ACK = 27,
  HOTRACK_FLOOR = 28,
  HOTRACK_FLOOR_ACK = 29,
  HOTRACK_SLOTS_SET = 30,
  HOTRACK_SLOTS_ACK = 31,

  HOTRACK_PROBE = 32,
  HOTRACK_PROBE_ACK = 33,
  HOTRACK_ADMIT = 34,
  HOTRACK_ADMIT_ACK = 35,

  HOTRACK_SLOTS_MOVE = 36, /* controller to the old and the new home of slots: one step of a move */
  HOTRACK_SLOTS_MOVE_ACK = 37,

  HOTRACK_LEARN = 38, /* what do you have from the epoch before this one? */
  HOTRACK_LEARN_ACK = 39,
  HOTRACK_RENEW = 40, /* the rack has gone on without you: drop everything, begin anew */
};

/* A status speaks of this attempt only. */
enum hotrack_status {
  HOTRACK_OK = 0,
  HOTRACK_NOT_FOUND = 1,
  HOTRACK_TOO_LARGE = 2,
  HOTRACK_MALFORMED = 3,
  HOTRACK_UNSUPPORTED = 4,
  HOTRACK_WRONG_HASH = 5,
  HOTRACK_WRONG_SERVER = 6,
  HOTRACK_OTHER_KEY = 7,
  HOTRACK_FROZEN = 8,
  HOTRACK_BEHIND = 9,
  HOTRACK_STALE_GENERATION = 10,
  HOTRACK_STALE_EPOCH = 11,
  HOTRACK_BUSY = 12,
  HOTRACK_FINISHED = 13,
  HOTRACK_SESSION_LOST = 14,
  HOTRACK_AMBIGUOUS = 15,
  HOTRACK_LOST = 16,
};
#define HOTRACK_STATUSES 17

#define HOTRACK_FLAG_REPLY      0x0001 /* answers a request */
#define HOTRACK_FLAG_REPLICATED 0x0002 /* steered by a directory entry */
#define HOTRACK_FLAG_FORWARDED  0x0004 /* comes down the chain, with the head's version */
#define HOTRACK_FLAG_NOT_HOLDER 0x0008 /* the sender stores less than this version */
#define HOTRACK_FLAG_TOMBSTONE  0x0010 /* this version of the key is a delete */
#define HOTRACK_FLAG_RETRY      0x0020 /* not the first attempt; informative */
#define HOTRACK_FLAG_LOST       0x0040 /* in SYNC, SLOT_COPY: no server has the newest value */
#define HOTRACK_FLAG_VIA_RACK   0x0080 /* in MIRROR: the answer goes to the rack's address */

/*
 * The first 48 bytes are all that the directory writes in switch mode; in one-arm mode it writes
 * return_port and return_address too, and in a rack with a key rack_tag. A checksum can be mended
 * from them alone.
 */
struct hotrack_header {
  __be16 magic;
  __u8 protocol;
  __u8 operation; /* enum hotrack_operation */
  __u8 status;    /* enum hotrack_status; 0 in requests */
  __u8 server;    /* to: the server steered to; from a server: itself */
  __be16 flags;
  __be16 epoch;
  __be16 load;         /* in replies: requests waiting at the server */
  __be32 copy_targets; /* bit per server that is to get a copy */
  __be64 generation;
  __be64 version;     /* of the write or the value; in a stamped read: the least acceptable */
  __be64 incarnation; /* of the server; never shown to clients */
  __u8 return_mac[6]; /* where the request came from, for the way back; echoed by servers */
  __be16 return_interface;

  __be64 key_hash;
  __be64 client;
  __be64 sequence;
  __be64 acknowledged;     /* every sequence below it is finished at the client */
  __be64 first_generation; /* newest the client knew when it first sent this request */
  __be64 known_generation; /* newest the client knew when it sent this packet */
  __be32 chain;
  __be16 return_port; /* one-arm mode: the client's UDP port; else zero */
  __be16 lateness;    /* in replies: how late the server was, in 10 microseconds; saturates */
  __be16 part;        /* from 0 */
  __be16 parts;       /* 1 unless the message has several */
  __be16 key_length;
  __be16 value_length;
  __be64 rack_tag;         /* of a rack with a key (tag.h); else zero, and to clients */
  __u8 return_address[16]; /* one-arm mode: the client's address; else zero */
} HOTRACK_LAYOUT(8);

#define HOTRACK_HEADER_LENGTH  136
#define HOTRACK_STAMPED_LENGTH 48
_Static_assert(sizeof(struct hotrack_header) == HOTRACK_HEADER_LENGTH, "header length");
_Static_assert(__builtin_offsetof(struct hotrack_header, key_hash) == HOTRACK_STAMPED_LENGTH,
               "what the directory stamps comes first");

/* One entry of a session, in FENCE_ACK and SYNC. */
struct hotrack_session_entry {
  __be64 client;
  __be64 sequence;
  __be64 version;
  __u8 operation;
  __u8 status;
  __u8 reserved[6];
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_session_entry) == 32, "session entry length");

/* What follows the key in FENCE_ACK, before the session entries. */
struct hotrack_fence_body {
  __be64 evicted_birth;     /* the newest client whose session was evicted; 0: none ever was */
  __be64 stored_generation; /* stamped on what stored the value; 0: nothing is stored */
  __be64 counts_from;       /* values stored elsewhere under older generations are left over */
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_fence_body) == 24, "fence body length");

/* What follows the key in SYNC, before the session entries. */
struct hotrack_sync_body {
  __be64 fresh_version;   /* the version to give the value; 0: keep it */
  __be64 loss_generation; /* unseen requests first sent below it are ambiguous; 0: no loss */
  __be64 evicted_birth;
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_sync_body) == 24, "sync body length");

/* What a server is to a slot. */
enum hotrack_slot_role {
  HOTRACK_ROLE_HOME = 0,    /* it executes writes, and serves reads if there is no backup */
  HOTRACK_ROLE_BACKUP = 1,  /* it takes what its home has executed, and serves reads */
  HOTRACK_ROLE_LEAVING = 2, /* in ASSIGN: it serves nothing any more, and keeps what it stores */
};

/* SLOTS_SET carries `runs` of these, then `hashes` key hashes that have a directory entry. */
struct hotrack_slots_body {
  __be16 runs;
  __be16 hashes;
  __be16
      copies; /* servers that a hot key's write has to be on before it is answered: 0 or 1, or 2 */
  __be16 reserved;
} __attribute__((packed));
struct hotrack_slot_run {
  __be16 first;
  __be16 count;
  __u8 role;   /* enum hotrack_slot_role */
  __u8 backup; /* with HOTRACK_ROLE_HOME: the backup's number + 1; 0: there is none */
  __be16 reserved;
  __be64 loss_generation; /* the values of these slots were lost then; 0: never */
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_slots_body) == 8, "slots body length");
_Static_assert(sizeof(struct hotrack_slot_run) == 16, "slot run length");

/*
 * LEARN_ACK carries `runs` slot runs that the server is home of, then `keys` of its own keys that
 * may have been hot: key hash (8 bytes), length (2 bytes), the key.
 */
struct hotrack_learn_body {
  __be16 runs;
  __be16 keys;
  __be32 reserved;
  __be64 slots_generation; /* since when it is home of exactly these slots */
  __be64 loss_generation;  /* the newest loss that it knows of; 0: none */
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_learn_body) == 24, "learn body length");

/* What a SLOTS_MOVE asks for; docs/protocol.md has the order. */
enum hotrack_move_step {
  HOTRACK_MOVE_RECEIVE = 1, /* new home: drop what is left over, then take SLOT_COPY */
  HOTRACK_MOVE_SEND = 2,    /* old home: send on */
  HOTRACK_MOVE_FENCE = 3,   /* old home: refuse writes of before; send what is left, and sessions */
  HOTRACK_MOVE_TAKE = 4,    /* new home: the slots are yours */
  HOTRACK_MOVE_LEAVE = 5,   /* old home or backup: they are yours no more */
  HOTRACK_MOVE_CANCEL = 6,  /* both: as if nothing had been */
  HOTRACK_MOVE_ASSIGN = 7,  /* old home, and a backup that is replaced: what you are from now on */
};

/* SLOTS_MOVE carries `runs` of hotrack_slot_run, then `hashes` key hashes that have an entry. */
struct hotrack_move_body {
  __u8 step; /* enum hotrack_move_step */
  __u8 peer; /* the other server */
  __be16 runs;
  __be16 hashes;
  __be16 credit;          /* so many messages may be sent by this order */
  __be64 move;            /* the number of the move: the generation that it began with */
  __be64 resend_to;       /* what was last sent by an order up to this one is sent again */
  __be64 evicted_birth;   /* with TAKE: of clients whose session the old home has evicted */
  __be64 loss_generation; /* with TAKE: unseen writes first sent below it are ambiguous */
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_move_body) == 40, "move body length");

/* The value of a SLOTS_MOVE_ACK; then hotrack_slot_run of slots of which values were lost. */
struct hotrack_move_ack_body {
  __be64 move;
  __be64 sent;            /* messages that the new home has acknowledged */
  __be64 evicted_birth;   /* as above, from the old home */
  __be64 loss_generation; /* as above */
  __be32 waiting;         /* messages that wait, or are not acknowledged yet */
  __u8 scanned;           /* everything that is stored has been looked at */
  __u8 reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_move_ack_body) == 40, "move answer body length");

/* The value of a PROBE_ACK: totals since the server's start, and what it says of its storage. */
struct hotrack_probe_body {
  __be64 keys;
  __be64 reads;
  __be64 writes;
  __be64 copies_stored;
  __be64 refused;    /* requests answered with anything but ok and not found */
  __be64 recovered;  /* incarnation whose state it has recovered, until it is admitted; 0: none */
  __be64 conditions; /* 1: durable, 2: full, 4: records of what it has recovered are damaged */
} __attribute__((packed));
_Static_assert(sizeof(struct hotrack_probe_body) == 56, "probe body length");

#endif
