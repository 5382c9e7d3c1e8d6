/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Frames: which are the rack's (docs/packets.md), who sent them, and how they are rewritten on the
 * way to where rack.h sends them. One text for the XDP program and the host build; what differs,
 * access to the frame and to what the plane keeps, is in plane_bpf.h and plane_host.h, one of which
 * must be included first.
 *
 * A rack speaks IPv4 or IPv6, as its address says, and so do its clients and servers. Each program
 * is compiled for one of them (PLANE_IS_IPV6); the host build has both.
 */
#ifndef HOTRACK_PACKET_H
#define HOTRACK_PACKET_H

#include "limit.h"
#include "plane_tag.h"
#include "rack.h"
#include "temperature.h"

struct packet_ethernet {
  __u8 destination[6];
  __u8 source[6];
  __be16 type;
} HOTRACK_LAYOUT(2);

struct packet_vlan {
  __be16 tag;
  __be16 type;
} HOTRACK_LAYOUT(2);

struct packet_ipv4 {
  __u8 version_and_length; /* 0x45: no options */
  __u8 service;
  __be16 length;
  __be16 identification;
  __be16 fragment;
  __u8 hops; /* time to live */
  __u8 protocol;
  __be16 check;
  __be32 source;
  __be32 destination;
} HOTRACK_LAYOUT(4);

struct packet_ipv6 {
  __be32 version_class_flow;
  __be16 length; /* of what follows */
  __u8 protocol; /* or the first extension header */
  __u8 hops;
  __be32 source[4];
  __be32 destination[4];
} HOTRACK_LAYOUT(4);

struct packet_ipv6_extension {
  __u8 next;
  __u8 length;     /* in units of 8 bytes, the first not counted; 0 in a fragment header */
  __be16 fragment; /* in a fragment header: offset in units of 8 bytes << 3, and flags */
  __be32 rest;
} HOTRACK_LAYOUT(4);

struct packet_udp {
  __be16 source;
  __be16 destination;
  __be16 length;
  __be16 check;
} HOTRACK_LAYOUT(4);

#define PACKET_TYPE_IPV4     RACK_SWAP16(0x0800)
#define PACKET_TYPE_IPV6     RACK_SWAP16(0x86dd)
#define PACKET_TYPE_VLAN     RACK_SWAP16(0x8100)
#define PACKET_TYPE_VLAN_TAG RACK_SWAP16(0x88a8) /* the outer of two tags */
#define PACKET_PROTOCOL_UDP  17
#define PACKET_FRAGMENT_MASK RACK_SWAP16(0x3fff) /* offset, and "more fragments" */
#define PACKET_OFFSET_MASK   RACK_SWAP16(0x1fff)
#define PACKET_HOPS          64 /* of an answer that the directory makes */

/* Extension headers of IPv6 (RFC 8200) that a datagram may be behind. */
#define PACKET_EXTENSION_HOPS        0
#define PACKET_EXTENSION_ROUTING     43
#define PACKET_EXTENSION_FRAGMENT    44
#define PACKET_EXTENSION_DESTINATION 60
#define PACKET_EXTENSIONS            4 /* looked behind */
#define PACKET_FRAGMENT_OFFSET_MASK  RACK_SWAP16(0xfff8)

/* What becomes of a frame. */
enum packet_action {
  PACKET_PASS, /* to the kernel, untouched */
  PACKET_DROP,
  PACKET_RETURN, /* out of the port it came in by */
  PACKET_SEND,   /* out of the port at `place` */
};

/* Results of looking at a frame, beside the counters it may be dropped under. */
#define PACKET_FOREIGN COUNTER_PASS
#define PACKET_OURS    COUNTERS

/* A datagram of the rack in its frame. */
struct packet {
  struct packet_ethernet *ethernet;
  union {
    struct packet_ipv4 *ipv4;
    struct packet_ipv6 *ipv6;
  };
  struct packet_udp *udp;
  struct hotrack_header *header;
  __u32 body;   /* where the key begins, from the start of the frame */
  __u32 length; /* of the datagram */
  __u32 sender; /* enum rack_sender */
  __u8 server;  /* with RACK_SERVER */
};

/* Where a datagram is addressed to. */
enum packet_destination { PACKET_TO_RACK, PACKET_TO_CONTROL, PACKET_ELSEWHERE };

/* Addresses in a frame: four bytes of IPv4, 16 of IPv6. */
DIRECTORY_INLINE const PACKET_U32 *packet_source(PLANE *plane, const struct packet *p) {
  return PLANE_IS_IPV6(plane) ? (const PACKET_U32 *)p->ipv6->source
                              : (const PACKET_U32 *)&p->ipv4->source;
}
DIRECTORY_INLINE const PACKET_U32 *packet_target(PLANE *plane, const struct packet *p) {
  return PLANE_IS_IPV6(plane) ? (const PACKET_U32 *)p->ipv6->destination
                              : (const PACKET_U32 *)&p->ipv4->destination;
}

/* One of the addresses that the plane keeps: 16 bytes, in IPv4 the last four count. */
typedef const volatile PACKET_U32 PACKET_KEPT;

/* Is the address in a frame this one? */
DIRECTORY_INLINE int packet_is_address(PLANE *plane, const PACKET_U32 *address, PACKET_KEPT *kept) {
  if (!PLANE_IS_IPV6(plane))
    return address[0] == kept[3];
  return address[0] == kept[0] && address[1] == kept[1] && address[2] == kept[2] &&
         address[3] == kept[3];
}

/* Copies an address out of a frame, and one that the plane keeps; of IPv4, words[3] alone. */
DIRECTORY_INLINE void packet_take_address(PLANE *plane, union plane_address *to,
                                          const PACKET_U32 *address) {
  if (PLANE_IS_IPV6(plane)) {
    to->words[0] = address[0];
    to->words[1] = address[1];
    to->words[2] = address[2];
    to->words[3] = address[3];
  } else {
    to->words[3] = address[0];
  }
}
DIRECTORY_INLINE void packet_copy_address(PLANE *plane, union plane_address *to,
                                          PACKET_KEPT *kept) {
  if (PLANE_IS_IPV6(plane)) {
    to->words[0] = kept[0];
    to->words[1] = kept[1];
    to->words[2] = kept[2];
  }
  to->words[3] = kept[3];
}

#define PACKET_RACK(plane)      ((PACKET_KEPT *)PLANE_CONFIGURATION(plane)->address.words)
#define PACKET_NEIGHBOUR(plane) ((PACKET_KEPT *)PLANE_CONFIGURATION(plane)->neighbour.words)
#define PACKET_NEXT(plane)      ((PACKET_KEPT *)PLANE_CONFIGURATION(plane)->next.words)
#define PACKET_SERVER(server)   ((PACKET_KEPT *)(server)->address)

DIRECTORY_INLINE enum packet_destination packet_destination(PLANE *plane, const PACKET_U32 *address,
                                                            __be16 port) {
  if (!packet_is_address(plane, address, PACKET_RACK(plane)))
    return PACKET_ELSEWHERE;
  if (port == PLANE_CONFIGURATION(plane)->port)
    return PACKET_TO_RACK;
  return port == PLANE_CONFIGURATION(plane)->control_port ? PACKET_TO_CONTROL : PACKET_ELSEWHERE;
}

/*
 * Is this a registered server's own address (its words in pairs; of IPv4 there is one) and port?
 * Slow: not for packets on their usual way.
 */
PACKET_SLOW int packet_is_server_at(PLANE *plane, __u64 first, __u64 last, __be16 port) {
  struct directory_server *server;
  PACKET_KEPT *kept;
  int number;

  if (!plane)
    return 0;
  for (number = 0; number < HOTRACK_SERVERS_MAX; number++) {
    server = directory_server_at(PLANE_DIRECTORY(plane), number);
    if (!server || !port || server->port != port)
      continue;
    kept = PACKET_SERVER(server);
    /* Of IPv4 the first is zero; an argument that nothing uses would not reach the verifier. */
    if (PLANE_IS_IPV6(plane)
            ? first == ((__u64)kept[0] << 32 | kept[1]) && last == ((__u64)kept[2] << 32 | kept[3])
            : (__u32)(first | last) == kept[3])
      return 1;
  }
  return 0;
}

DIRECTORY_INLINE int packet_is_server(PLANE *plane, const PACKET_U32 *address, __be16 port) {
  if (!PLANE_IS_IPV6(plane))
    return packet_is_server_at(plane, 0, address[0], port);
  return packet_is_server_at(plane, (__u64)address[0] << 32 | address[1],
                             (__u64)address[2] << 32 | address[3], port);
}

/* Is a datagram between these two the rack's, whatever it says? Slow, as above. */
DIRECTORY_INLINE int packet_is_guarded(PLANE *plane, const struct packet *p,
                                       const struct packet_udp *udp) {
  const PACKET_U32 *source = packet_source(plane, p), *target = packet_target(plane, p);

  return packet_destination(plane, target, udp->destination) != PACKET_ELSEWHERE ||
         packet_destination(plane, source, udp->source) != PACKET_ELSEWHERE ||
         packet_is_server(plane, target, udp->destination) ||
         packet_is_server(plane, source, udp->source);
}

/*
 * IP options and fragments: nothing of the rack has them, and what cannot be checked must not get
 * past it. A later fragment names no port and passes: without its first it is never put together.
 */
DIRECTORY_INLINE __u32 packet_find_odd(PLANE *plane, const struct packet *p, void *end) {
  struct packet_ipv4 *ipv4 = p->ipv4;
  __u32 length = (ipv4->version_and_length & 15) * 4;
  struct packet_udp *udp = (void *)ipv4 + length;

  if (length < sizeof(*ipv4) || (ipv4->fragment & PACKET_OFFSET_MASK) || (void *)(udp + 1) > end)
    return PACKET_FOREIGN;
  if (!packet_is_guarded(plane, p, udp))
    return PACKET_FOREIGN;
  return ipv4->fragment & PACKET_FRAGMENT_MASK ? COUNTER_DROP_FRAGMENT : COUNTER_DROP_IP_OPTIONS;
}

/* Likewise datagrams behind extension headers of IPv6. */
DIRECTORY_INLINE __u32 packet_find_extended(PLANE *plane, const struct packet *p, void *end) {
  struct packet_ipv6_extension *extension = (void *)(p->ipv6 + 1);
  __u32 found = COUNTER_DROP_IP_OPTIONS;
  __u8 next = p->ipv6->protocol;
  int number;

#pragma clang loop unroll(disable)
  for (number = 0; number < PACKET_EXTENSIONS; number++) {
    if (next == PACKET_PROTOCOL_UDP || (void *)(extension + 1) > end)
      break;
    if (next == PACKET_EXTENSION_FRAGMENT) {
      if (extension->fragment & PACKET_FRAGMENT_OFFSET_MASK)
        return PACKET_FOREIGN;
      found = COUNTER_DROP_FRAGMENT;
      next = extension->next;
      extension++;
    } else if (next == PACKET_EXTENSION_HOPS || next == PACKET_EXTENSION_ROUTING ||
               next == PACKET_EXTENSION_DESTINATION) {
      next = extension->next;
      extension = (void *)extension + 8 + extension->length * 8;
    } else {
      return PACKET_FOREIGN;
    }
  }
  if (next != PACKET_PROTOCOL_UDP || (void *)(extension + 1) > end ||
      !packet_is_guarded(plane, p, (struct packet_udp *)extension))
    return PACKET_FOREIGN;
  return found;
}

/* The IP header of what may be ours. `network`: where it begins, and then where UDP does. */
DIRECTORY_INLINE __u32 packet_find_ipv4(PLANE *plane, struct packet *p, void *end, __be16 type,
                                        __u32 *network) {
  p->udp = (void *)(p->ipv4 + 1);
  if (type != PACKET_TYPE_IPV4 || (void *)p->udp > end ||
      p->ipv4->protocol != PACKET_PROTOCOL_UDP || (p->ipv4->version_and_length & 0xf0) != 0x40)
    return PACKET_FOREIGN;
  if (p->ipv4->version_and_length != 0x45 || (p->ipv4->fragment & PACKET_FRAGMENT_MASK))
    return packet_find_odd(plane, p, end);
  *network += sizeof(*p->ipv4);
  return PACKET_OURS;
}

DIRECTORY_INLINE __u32 packet_find_ipv6(PLANE *plane, struct packet *p, void *end, __be16 type,
                                        __u32 *network) {
  p->udp = (void *)(p->ipv6 + 1);
  if (type != PACKET_TYPE_IPV6 || (void *)p->udp > end ||
      (p->ipv6->version_class_flow & RACK_SWAP32(0xf0000000)) != RACK_SWAP32(0x60000000))
    return PACKET_FOREIGN;
  if (p->ipv6->protocol != PACKET_PROTOCOL_UDP)
    return packet_find_extended(plane, p, end);
  *network += sizeof(*p->ipv6);
  return PACKET_OURS;
}

/* Finds a datagram with our magic. What is not ours leaves early, after a few comparisons. */
DIRECTORY_INLINE __u32 packet_find(PLANE *plane, FRAME *frame, struct packet *p) {
  void *start = frame_start(frame), *end = frame_end(frame), *cursor;
  struct packet_vlan *vlan;
  __u32 length, network, found;
  __be16 type;
  int tag;

  p->ethernet = start;
  cursor = p->ethernet + 1;
  if (cursor > end)
    return PACKET_FOREIGN;
  type = p->ethernet->type;
  network = sizeof(*p->ethernet);
#pragma clang loop unroll(full)
  for (tag = 0; tag < 2; tag++) {
    if (type != PACKET_TYPE_VLAN && type != PACKET_TYPE_VLAN_TAG)
      break;
    vlan = cursor;
    cursor = vlan + 1;
    if (cursor > end)
      return PACKET_FOREIGN;
    type = vlan->type;
    network += sizeof(*vlan);
  }
  p->ipv4 = cursor;
  found = PLANE_IS_IPV6(plane) ? packet_find_ipv6(plane, p, end, type, &network)
                               : packet_find_ipv4(plane, p, end, type, &network);
  if (found != PACKET_OURS)
    return found;
  p->header = (void *)(p->udp + 1);
  if ((void *)(&p->header->magic + 1) > end || p->header->magic != RACK_SWAP16(HOTRACK_MAGIC))
    return PACKET_FOREIGN;
  length = RACK_SWAP16(p->udp->length);
  if (length < sizeof(*p->udp) + sizeof(p->header->magic))
    return PACKET_FOREIGN; /* what looks like the magic is padding */
  /* Frames may be padded, so lengths are what the headers say, if that much is there. */
  if (length < sizeof(*p->udp) + HOTRACK_HEADER_LENGTH || (void *)(p->header + 1) > end ||
      (length > end - (void *)p->udp && network + length > frame_length(frame)))
    return packet_is_guarded(plane, p, p->udp) ? COUNTER_DROP_TRUNCATED : PACKET_FOREIGN;
  p->length = length - sizeof(*p->udp);
  p->body = network + sizeof(*p->udp) + HOTRACK_HEADER_LENGTH;
  return PACKET_OURS;
}

DIRECTORY_INLINE int packet_same_mac(const __u8 *a, const __u8 *b) {
  return *(const PACKET_U32 *)a == *(const PACKET_U32 *)b &&
         *(const PACKET_U16 *)(a + 4) == *(const PACKET_U16 *)(b + 4);
}

DIRECTORY_INLINE void packet_copy_mac(__u8 *to, const __u8 *from) {
  *(PACKET_U32 *)to = *(const PACKET_U32 *)from;
  *(PACKET_U16 *)(to + 4) = *(const PACKET_U16 *)(from + 4);
}

/* Only servers send these. */
DIRECTORY_INLINE int packet_is_servers_speech(const struct hotrack_header *h) {
  return (h->flags & RACK_SWAP16(HOTRACK_FLAG_REPLY)) || rack_is_between_servers(h->operation) ||
         rack_is_to_controller(h->operation);
}

/*
 * A server's replies go to clients (in one-arm mode by way of the rack), its copies and
 * forwards to the rack, the rest to us.
 */
DIRECTORY_INLINE int packet_may_go(PLANE *plane, const struct hotrack_header *h,
                                   enum packet_destination to) {
  int is_reply =
      !PLANE_CONFIGURATION(plane)->one_arm && (h->flags & RACK_SWAP16(HOTRACK_FLAG_REPLY));

  if (rack_is_to_controller(h->operation))
    return to == PACKET_TO_CONTROL;
  return to ==
         (is_reply && !rack_is_between_servers(h->operation) ? PACKET_ELSEWHERE : PACKET_TO_RACK);
}

/* Who sent it: decided by where it came from, never by what it says of itself. */
DIRECTORY_INLINE __u32 packet_find_sender(PLANE *plane, FRAME *frame, struct packet *p) {
  const PACKET_U32 *source = packet_source(plane, p), *target = packet_target(plane, p);
  enum packet_destination to = packet_destination(plane, target, p->udp->destination);
  struct directory_server *server = 0;
  int same_mac, same_address;

  p->server = p->header->server;
  p->sender = RACK_CLIENT;
  if (p->server < HOTRACK_SERVERS_MAX)
    server = directory_server_at(PLANE_DIRECTORY(plane), p->server);
  if (server && server->port) {
    same_mac = packet_same_mac(p->ethernet->source, server->mac);
    same_address = packet_is_address(plane, source, PACKET_SERVER(server));
    if (same_mac && same_address && p->udp->source == server->port &&
        frame_interface(frame) == server->interface) {
      p->sender = RACK_SERVER;
      return packet_may_go(plane, p->header, to) ? PACKET_OURS : COUNTER_DROP_OPERATION;
    }
    if ((same_mac || same_address) && packet_is_servers_speech(p->header))
      return COUNTER_DROP_NOT_A_SERVER;
  }
  if (to == PACKET_TO_RACK) {
    if (PLANE_CONFIGURATION(plane)->neighbour_port == p->udp->source &&
        packet_is_address(plane, source, PACKET_NEIGHBOUR(plane)))
      p->sender = RACK_NEIGHBOUR;
    else if (packet_is_servers_speech(p->header))
      return COUNTER_DROP_NOT_A_SERVER;
    return PACKET_OURS;
  }
  if (packet_is_servers_speech(p->header) &&
      (to == PACKET_TO_CONTROL ||
       packet_destination(plane, source, p->udp->source) != PACKET_ELSEWHERE))
    return COUNTER_DROP_NOT_A_SERVER;
  if (to == PACKET_TO_CONTROL || packet_is_server(plane, target, p->udp->destination))
    return COUNTER_DROP_BYPASS;
  return PACKET_FOREIGN;
}

/* The port of an interface, with its place; or null. */
DIRECTORY_INLINE struct plane_port *packet_port(PLANE *plane, __u32 interface, __u32 *place) {
  struct plane_ports *ports = plane_ports_of(plane);
  __u32 probe;

  if (!ports)
    return 0;
#pragma clang loop unroll(disable)
  for (probe = 0; probe < PLANE_PORT_PROBES; probe++) {
    *place = (interface + probe) & (PLANE_PORTS - 1);
    if (ports->port[*place].interface == interface)
      return &ports->port[*place];
  }
  return 0;
}

/* The port at a place that something from outside names; or null. */
DIRECTORY_INLINE struct plane_port *packet_port_at(PLANE *plane, __u32 place) {
  struct plane_ports *ports = plane_ports_of(plane);

  return ports && place < PLANE_PORTS ? &ports->port[place] : 0;
}

/* Sums and checks (RFC 1071) in network byte order, and their mending (RFC 1624, equation 3). */
DIRECTORY_INLINE __u16 packet_fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)((sum & 0xffff) + (sum >> 16));
}

/* A multiple of 0xffff, which is zero in one's complement, above every sum that is taken away. */
#define PACKET_ZERO (0xffffull << 24)

DIRECTORY_INLINE __u16 packet_mend(__u16 check, __u64 removed, __u64 added) {
  return ~packet_fold((__u16)~check + (PACKET_ZERO - removed) + added);
}

DIRECTORY_INLINE __u64 packet_sum(const void *bytes, int words) {
  const PACKET_U32 *word = bytes;
  __u64 sum = 0;
  int index;

#pragma clang loop unroll(full)
  for (index = 0; index < words; index++)
    sum += word[index];
  return sum;
}

/* Of the IP header, what an answer changes: length, hops and protocol, and both addresses. */
DIRECTORY_INLINE __u64 packet_ipv4_sum(const struct packet_ipv4 *ipv4) {
  return (__u64)ipv4->length + *(const PACKET_U16 *)&ipv4->hops + ipv4->source + ipv4->destination;
}

DIRECTORY_INLINE __u64 packet_addresses_sum(PLANE *plane, const struct packet *p) {
  if (PLANE_IS_IPV6(plane))
    return packet_sum(p->ipv6->source, 4) + packet_sum(p->ipv6->destination, 4);
  return (__u64)p->ipv4->source + p->ipv4->destination;
}

DIRECTORY_INLINE __u64 packet_pseudo_sum(PLANE *plane, const struct packet *p) {
  return packet_addresses_sum(plane, p) + p->udp->length + RACK_SWAP16(PACKET_PROTOCOL_UDP);
}

/*
 * The sender's kernel left the rest to a device: the field holds the pseudo-header's sum alone. A
 * complete checksum can look the same, once in 65,536.
 */
DIRECTORY_INLINE int packet_is_left_to_hardware(PLANE *plane, const struct packet *p) {
  return p->udp->check == packet_fold(packet_pseudo_sum(plane, p));
}

DIRECTORY_INLINE void packet_put_address(PACKET_U32 *to, const union plane_address *address) {
  to[0] = address->words[0];
  to[1] = address->words[1];
  to[2] = address->words[2];
  to[3] = address->words[3];
}

/* Where a datagram comes from and goes to, as the next one on its way is to see it. */
struct packet_ends {
  union plane_address source;
  union plane_address destination;
  __be16 source_port;
  __be16 destination_port;
};

/*
 * Gives a datagram its ends, counts the hop and makes its checksums right again; `header` is what
 * was changed of ours. Not zero: it could not. The last that happens to a frame: pointers into it
 * may be void from here on.
 */
DIRECTORY_INLINE int packet_readdress(PLANE *plane, FRAME *frame, struct packet *p,
                                      const struct packet_ends *to,
                                      const struct rack_sums *header) {
  __u64 removed = packet_addresses_sum(plane, p), added;
  __u32 ports = (__u32)p->udp->source + p->udp->destination;
  __u32 ports_after = (__u32)to->source_port + to->destination_port;
  __u16 check = p->udp->check;
#ifndef FRAME_MENDS_CHECKSUMS
  int left_to_hardware = packet_is_left_to_hardware(plane, p);
  __u64 sum;
#endif

  if (PLANE_IS_IPV6(plane)) {
    p->ipv6->hops--;
    packet_put_address((PACKET_U32 *)p->ipv6->source, &to->source);
    packet_put_address((PACKET_U32 *)p->ipv6->destination, &to->destination);
    added = packet_sum(&to->source, 4) + packet_sum(&to->destination, 4);
  } else {
    added = (__u64)to->source.words[3] + to->destination.words[3];
    p->ipv4->hops--;
    p->ipv4->source = to->source.words[3];
    p->ipv4->destination = to->destination.words[3];
    p->ipv4->check = packet_mend(p->ipv4->check, removed + RACK_SWAP16(0x0100), added);
  }
  p->udp->source = to->source_port;
  p->udp->destination = to->destination_port;
#ifdef FRAME_MENDS_CHECKSUMS
  return frame_mend(
      frame, PLANE_IS_IPV6(plane), p->body - HOTRACK_HEADER_LENGTH - sizeof(p->udp->check), check,
      packet_fold(PACKET_ZERO - removed + added),
      packet_fold(PACKET_ZERO - header->removed - ports + header->added + ports_after));
#else
  if (!check)
    return 0;
  if (left_to_hardware) {
    p->udp->check = 0;
    sum = packet_pseudo_sum(plane, p);
    if (frame_sum(frame, p->body - HOTRACK_HEADER_LENGTH - sizeof(*p->udp),
                  p->length + sizeof(*p->udp), &sum))
      return 1;
    check = ~packet_fold(sum);
  } else {
    check =
        packet_mend(check, header->removed + removed + ports, header->added + added + ports_after);
  }
  p->udp->check = check ? check : 0xffff;
  return 0;
#endif
}

/* Turns the IP header round, and makes it one of a datagram without a body. */
DIRECTORY_INLINE void packet_turn_ipv4(struct packet_ipv4 *ipv4) {
  __u64 before = packet_ipv4_sum(ipv4);
  __be32 address = ipv4->source;

  ipv4->source = ipv4->destination;
  ipv4->destination = address;
  ipv4->hops = PACKET_HOPS;
  ipv4->length = RACK_SWAP16(sizeof(*ipv4) + sizeof(struct packet_udp) + HOTRACK_HEADER_LENGTH);
  ipv4->check = packet_mend(ipv4->check, before, packet_ipv4_sum(ipv4));
}

DIRECTORY_INLINE void packet_turn_ipv6(struct packet_ipv6 *ipv6) {
  PACKET_U32 *source = (PACKET_U32 *)ipv6->source, *destination = (PACKET_U32 *)ipv6->destination;
  __be32 word;
  int index;

#pragma clang loop unroll(full)
  for (index = 0; index < 4; index++) {
    word = source[index];
    source[index] = destination[index];
    destination[index] = word;
  }
  ipv6->hops = PACKET_HOPS;
  ipv6->length = RACK_SWAP16(sizeof(struct packet_udp) + HOTRACK_HEADER_LENGTH);
}

/* Turns the frame round. The directory has already made an answer of the header. */
DIRECTORY_INLINE __u32 packet_answer(PLANE *plane, FRAME *frame, struct packet *p, __u32 counter) {
  __u8 mac[6];
  __be16 port = p->udp->source;
  __u64 sum;
#ifdef FRAME_MENDS_CHECKSUMS
  int left_to_hardware = packet_is_left_to_hardware(plane, p);
#else
  int left_to_hardware = 0; /* the device that would complete it does not know what is left of it */
#endif

  packet_copy_mac(mac, p->ethernet->source);
  packet_copy_mac(p->ethernet->source, p->ethernet->destination);
  packet_copy_mac(p->ethernet->destination, mac);
  if (PLANE_IS_IPV6(plane))
    packet_turn_ipv6(p->ipv6);
  else
    packet_turn_ipv4(p->ipv4);
  p->udp->source = p->udp->destination;
  p->udp->destination = port;
  p->udp->length = RACK_SWAP16(sizeof(*p->udp) + HOTRACK_HEADER_LENGTH);
  if (p->udp->check) {
    p->udp->check = 0;
    sum = packet_pseudo_sum(plane, p);
    if (!left_to_hardware)
      sum += packet_sum(p->udp, (sizeof(*p->udp) + HOTRACK_HEADER_LENGTH) / 4);
    p->udp->check = left_to_hardware ? packet_fold(sum) : (__u16)~packet_fold(sum);
    if (!p->udp->check)
      p->udp->check = 0xffff;
  }
  /* The body goes, and any padding. Pointers into the frame are void from here on. */
  return frame_cut(frame, p->body) ? COUNTER_DROP_REWRITE : counter;
}

/* The way back to the sender of a frame, as it stands in our header. */
DIRECTORY_INLINE __be64 packet_return_path(const struct packet *p, __u32 place) {
  const __u8 *mac = p->ethernet->source;

  return RACK_SWAP64((__u64)RACK_SWAP32(*(const PACKET_U32 *)mac) << 32 |
                     (__u32)RACK_SWAP16(*(const PACKET_U16 *)(mac + 4)) << 16 | (__u16)(place + 1));
}

/*
 * In one-arm mode the next to see a datagram is to answer to the rack; who the client is stands in
 * our header, where it was zero, or the request would have been refused.
 */
DIRECTORY_INLINE void packet_remember_client(PLANE *plane, struct packet *p,
                                             struct rack_sums *sums) {
  const PACKET_U32 *source = packet_source(plane, p);
  RACK_U32 *address = (RACK_U32 *)&p->header->return_address;

  if (PLANE_IS_IPV6(plane)) {
    address[0] = source[0];
    address[1] = source[1];
    address[2] = source[2];
    address[3] = source[3];
    sums->added += packet_sum(source, 4);
  } else {
    address[2] = RACK_SWAP32(0xffff);
    address[3] = source[0];
    sums->added += (__u64)address[2] + address[3];
  }
  p->header->return_port = p->udp->source;
  sums->added += p->udp->source;
}

/* The server echoes it. Not zero: it names nobody. */
DIRECTORY_INLINE int packet_recall_client(PLANE *plane, struct packet *p, struct packet_ends *to,
                                          struct rack_sums *sums) {
  __u64 first = RACK_RETURN_ADDRESS(p->header, 0), last = RACK_RETURN_ADDRESS(p->header, 1);
  int is_named;

  packet_copy_address(plane, &to->destination, (PACKET_KEPT *)&p->header->return_address);
  to->destination_port = p->header->return_port;
  is_named = PLANE_IS_IPV6(plane) ? (first | last) != 0 : to->destination.words[3] != 0;
  if (!is_named || !to->destination_port)
    return 1;
  sums->removed += rack_sum(first) + rack_sum(last) + to->destination_port;
  RACK_RETURN_ADDRESS(p->header, 0) = 0;
  RACK_RETURN_ADDRESS(p->header, 1) = 0;
  p->header->return_port = 0;
  return 0;
}

/* Counts a request or copy that is steered. */
DIRECTORY_INLINE void packet_count_steered(PLANE *plane, const struct packet *p,
                                           const struct directory_decision *decision) {
  struct plane_server_counts *server =
      &PLANE_CPU(plane)->servers[decision->server & (HOTRACK_SERVERS_MAX - 1)];
  int is_read = directory_is_read(p->header->operation);
  struct plane_entry_counts *entry;

  if (p->sender == RACK_SERVER) {
    server->copies++;
    return;
  }
  if (is_read)
    server->reads++;
  else
    server->writes++;
  if (decision->entry == DIRECTORY_NO_ENTRY)
    return;
  entry = plane_entry_counts_at(plane, decision->entry);
  if (!entry)
    return;
  if (is_read)
    entry->reads++;
  else
    entry->writes++;
}

DIRECTORY_INLINE __u8 packet_hops(PLANE *plane, const struct packet *p) {
  return PLANE_IS_IPV6(plane) ? p->ipv6->hops : p->ipv4->hops;
}

/* The way to the server that was decided on. COUNTER_PASS: there is one. */
DIRECTORY_INLINE __u32 packet_way(PLANE *plane, const struct packet *p,
                                  const struct directory_decision *decision,
                                  struct directory_server **server, struct plane_port **port,
                                  __u32 *place) {
  *server =
      directory_server_at(PLANE_DIRECTORY(plane), decision->server & (HOTRACK_SERVERS_MAX - 1));
  if (!*server)
    return COUNTER_DROP_NO_RETURN_PATH;
  *port = packet_port(plane, (*server)->interface, place);
  if (!*port)
    return COUNTER_DROP_NO_RETURN_PATH;
  return packet_hops(plane, p) <= 1 ? COUNTER_DROP_HOPS : COUNTER_PASS;
}

/* To a server: the client's address stays, so that the server's reply can go to it. */
DIRECTORY_INLINE __u32 packet_steer(PLANE *plane, FRAME *frame, struct packet *p,
                                    struct rack_verdict *verdict, __u32 *place) {
  struct packet_ends to;
  struct directory_server *server;
  struct plane_port *port;
  __be64 path;
  __u32 from, refused = packet_way(plane, p, &verdict->decision, &server, &port, place);

  if (refused != COUNTER_PASS)
    return refused;
  if (p->sender != RACK_SERVER) {
    if (!packet_port(plane, frame_interface(frame), &from))
      return COUNTER_DROP_NO_RETURN_PATH;
    /* It was zero, or the request would have been refused. */
    path = packet_return_path(p, from);
    RACK_RETURN(p->header) = path;
    verdict->sums.added += rack_sum(path);
    if (PLANE_CONFIGURATION(plane)->one_arm)
      packet_remember_client(plane, p, &verdict->sums);
  }
  if (PLANE_CONFIGURATION(plane)->one_arm) {
    packet_copy_address(plane, &to.source, PACKET_RACK(plane));
    to.source_port = PLANE_CONFIGURATION(plane)->port;
  } else {
    packet_take_address(plane, &to.source, packet_source(plane, p));
    to.source_port = p->udp->source;
  }
  packet_count_steered(plane, p, &verdict->decision);
  if (p->sender != RACK_SERVER)
    temperature_on_request(plane, frame, p->header, p->body);
  packet_copy_mac(p->ethernet->destination, server->mac);
  packet_copy_mac(p->ethernet->source, port->mac);
  packet_copy_address(plane, &to.destination, PACKET_SERVER(server));
  to.destination_port = server->port;
  plane_put_tag(plane, p->header, &verdict->sums);
  return packet_readdress(plane, frame, p, &to, &verdict->sums) ? COUNTER_DROP_REWRITE
                                                                : verdict->decision.counter;
}

/* On to the client, as from the rack; or down the chain. */
DIRECTORY_INLINE __u32 packet_forward(PLANE *plane, FRAME *frame, struct packet *p,
                                      struct rack_verdict *verdict, __u32 *place) {
  int is_reply = !!(p->header->flags & RACK_SWAP16(HOTRACK_FLAG_REPLY));
  __u64 path = RACK_SWAP64(verdict->return_path);
  struct packet_ends to;
  struct plane_port *port;

  packet_copy_address(plane, &to.source, PACKET_RACK(plane));
  to.source_port = PLANE_CONFIGURATION(plane)->port;
  packet_take_address(plane, &to.destination, packet_target(plane, p));
  to.destination_port = p->udp->destination;
  if (is_reply) {
    /* The server echoes it; what it makes of it is checked like anything from outside. */
    *place = (__u32)(__u16)path - 1;
    port = packet_port_at(plane, *place);
    if (PLANE_CONFIGURATION(plane)->one_arm && packet_recall_client(plane, p, &to, &verdict->sums))
      return COUNTER_DROP_NO_RETURN_PATH;
  } else {
    port = PLANE_CONFIGURATION(plane)->next_port
               ? packet_port(plane, PLANE_CONFIGURATION(plane)->next_interface, place)
               : 0;
  }
  if (!port || !port->interface)
    return COUNTER_DROP_NO_RETURN_PATH;
  if (packet_hops(plane, p) <= 1)
    return COUNTER_DROP_HOPS;
  if (is_reply) {
    *(PACKET_U32 *)p->ethernet->destination = RACK_SWAP32((__u32)(path >> 32));
    *(PACKET_U16 *)(p->ethernet->destination + 4) = RACK_SWAP16((__u16)(path >> 16));
  } else {
    plane_next_mac(plane, p->ethernet->destination);
    packet_copy_address(plane, &to.destination, PACKET_NEXT(plane));
    to.destination_port = PLANE_CONFIGURATION(plane)->next_port;
  }
  packet_copy_mac(p->ethernet->source, port->mac);
  if (is_reply)
    PLANE_CPU(plane)->servers[p->server & (HOTRACK_SERVERS_MAX - 1)].replies++;
  plane_clear_tag(plane, p->header, &verdict->sums);
  if (p->header->status == HOTRACK_OTHER_KEY)
    temperature_on_collision(plane, frame, p->header, p->body);
  return packet_readdress(plane, frame, p, &to, &verdict->sums) ? COUNTER_DROP_REWRITE
                                                                : verdict->decision.counter;
}

DIRECTORY_INLINE enum packet_action packet_finish(PLANE *plane, __u32 counter,
                                                  enum packet_action action) {
  PLANE_CPU(plane)->counters[counter & (PLANE_COUNTERS - 1)]++;
  return action;
}

/* Do the headers around ours agree? A datagram on IPv6 needs a checksum (RFC 8200, 8.1). */
DIRECTORY_INLINE int packet_is_consistent(PLANE *plane, const struct packet *p) {
  if (PLANE_IS_IPV6(plane))
    return RACK_SWAP16(p->ipv6->length) == sizeof(*p->udp) + p->length && p->udp->check;
  return RACK_SWAP16(p->ipv4->length) == sizeof(*p->ipv4) + sizeof(*p->udp) + p->length;
}

/* Does a client ask for more than it may? */
DIRECTORY_INLINE int packet_is_beyond_limit(PLANE *plane, const struct packet *p) {
  const PACKET_U32 *source = packet_source(plane, p);

  if (PLANE_IS_IPV6(plane))
    return limit_refuses(plane, LIMIT_HALF(source[0], source[1]), LIMIT_HALF(source[2], source[3]));
  return limit_refuses(plane, 0, LIMIT_HALF(RACK_SWAP32(0xffff), source[0]));
}

/* Finds out what a frame is, as far as its place in the network and its lengths tell. */
DIRECTORY_INLINE __u32 packet_look(PLANE *plane, FRAME *frame, struct packet *p) {
  __u32 refused, counter = packet_find(plane, frame, p);

  if (counter == PACKET_OURS) {
    directory_touch(PLANE_DIRECTORY(plane), RACK_SWAP64(p->header->key_hash));
    counter = packet_find_sender(plane, frame, p);
  }
  if (counter == PACKET_OURS && !packet_is_consistent(plane, p))
    counter = COUNTER_DROP_MALFORMED;
  if (counter == PACKET_OURS) {
    refused = plane_check_tag(plane, p->header, p->sender);
    if (refused != COUNTER_PASS)
      return refused;
    if (PLANE_CONFIGURATION(plane)->limit_interval && p->sender == RACK_CLIENT &&
        packet_is_beyond_limit(plane, p))
      return COUNTER_DROP_RATE_LIMIT;
  }
  return counter;
}

/*
 * A dry run: counts what would become of a frame, and leaves it to the kernel as it is. The
 * directory decides on a copy of the header.
 */
DIRECTORY_INLINE enum packet_action packet_watch(PLANE *plane, FRAME *frame) {
  struct directory_server *server;
  struct rack_verdict verdict;
  struct plane_port *port;
  struct packet p;
  __u32 place, refused, counter = packet_look(plane, frame, &p);

  if (counter != PACKET_OURS)
    return packet_finish(plane, counter, PACKET_PASS);
  p.header = plane_header_copy(plane, p.header);
  if (!p.header)
    return packet_finish(plane, COUNTER_DROP_REWRITE, PACKET_PASS);
  rack_on_datagram(PLANE_DIRECTORY(plane), p.header, p.length, p.sender, p.server, &verdict);
  counter = verdict.decision.counter;
  if (verdict.decision.action == DIRECTORY_STEER) {
    refused = packet_way(plane, &p, &verdict.decision, &server, &port, &place);
    if (refused != COUNTER_PASS)
      return packet_finish(plane, refused, PACKET_PASS);
    packet_count_steered(plane, &p, &verdict.decision);
    if (p.sender != RACK_SERVER)
      temperature_on_request(plane, frame, p.header, p.body);
  }
  return packet_finish(plane, counter, PACKET_PASS);
}

/*
 * Handles one frame: the directory decides, the frame is rewritten and counted. With PACKET_SEND,
 * `place` is the place of the port to send it out of. After PACKET_DROP the frame may be anything.
 */
DIRECTORY_INLINE enum packet_action packet_handle(PLANE *plane, FRAME *frame, __u32 *place) {
  struct rack_verdict verdict;
  __u32 counter, want;
  struct packet p;

  if (PLANE_CONFIGURATION(plane)->dry_run)
    return packet_watch(plane, frame);
  counter = packet_look(plane, frame, &p);
  if (counter != PACKET_OURS)
    return packet_finish(plane, counter, counter == PACKET_FOREIGN ? PACKET_PASS : PACKET_DROP);

  rack_on_datagram(PLANE_DIRECTORY(plane), p.header, p.length, p.sender, p.server, &verdict);
  want = verdict.decision.counter;
  switch (verdict.decision.action) {
  case DIRECTORY_STEER:
    counter = packet_steer(plane, frame, &p, &verdict, place);
    return packet_finish(plane, counter, counter == want ? PACKET_SEND : PACKET_DROP);
  case DIRECTORY_FORWARD:
    counter = packet_forward(plane, frame, &p, &verdict, place);
    return packet_finish(plane, counter, counter == want ? PACKET_SEND : PACKET_DROP);
  case DIRECTORY_ANSWER:
    counter = packet_answer(plane, frame, &p, want);
    return packet_finish(plane, counter, counter == want ? PACKET_RETURN : PACKET_DROP);
  case DIRECTORY_CONSUME:
    return packet_finish(plane, want, verdict.to_controller ? PACKET_PASS : PACKET_DROP);
  default:
    return packet_finish(plane, want, PACKET_DROP);
  }
}

#endif
