/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the data plane's own text (bpf/packet.h and below) as it is built for the host.
 *
 * An input is a row of frames, each behind four bytes: the port that it comes in by (modulo their
 * number), how many of its bytes lie in the first buffer (0: all), its length (two bytes, little
 * endian; cut to what is there). They meet a directory of 13 entries in all modes, which begins
 * anew with every input, and which is the one of Tests/DataPlaneTests.
 *
 * Beside what the sanitizers find, an input fails if a frame breaks one of the rules in `check`.
 */
#include "../Sources/CHotrack/include/CHotrack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS    16
#define ENTRIES    (BUCKETS * DIRECTORY_WAYS)
#define SERVERS    6
#define PORTS      6  /* two of clients, then four of servers */
#define INTERFACE  11 /* of the first port */
#define FRAME_MAX  2048
#define FRAMES_MAX 32
#define GENERATION 20
#define SINCE      10
#define VERSION    (1ull << HOTRACK_VERSION_EPOCH_SHIFT | 1)
#define COMPLETED  (VERSION + 1000)

static struct directory_control control;
static struct directory_bucket buckets[BUCKETS];
static struct directory_detail details[ENTRIES];
static struct directory_slot slots[HOTRACK_SLOTS];
static struct directory_server servers[HOTRACK_SERVERS_MAX];
static struct directory_load loads[HOTRACK_SERVERS_MAX];
static __u8 targets[DIRECTORY_TARGET_TABLES * DIRECTORY_TARGETS];
static __u32 random_state;
static struct directory directory = {
    .control = &control,
    .buckets = buckets,
    .details = details,
    .slots = slots,
    .servers = servers,
    .loads = loads,
    .targets = targets,
    .random = &random_state,
};
static struct plane_ports ports;
static struct plane_cpu cpu;
static struct plane_entry_counts entry_counts[ENTRIES];
static struct host_plane plane = {
    .directory = &directory,
    .ports = &ports,
    .cpu = &cpu,
    .entry_counts = entry_counts,
};

/* What frames change, as it is when an input begins. */
static struct {
  struct directory_control control;
  struct directory_bucket buckets[BUCKETS];
  struct directory_detail details[ENTRIES];
} beginning;

#define FAIL(what)                           \
  do {                                       \
    fprintf(stderr, "broken: %s\n", (what)); \
    abort();                                 \
  } while (0)
#define REQUIRE(rule) \
  do {                \
    if (!(rule))      \
      FAIL(#rule);    \
  } while (0)

static void take_sample(void *context, const struct plane_sample *sample) {
  static volatile __u64 sink;

  (void)context;
  REQUIRE(sample->key_length <= HOTRACK_KEY_LENGTH_MAX);
  sink += sample->key_hash + (sample->key_length ? sample->key[sample->key_length - 1] : 0);
}

static void set_address(union plane_address *address, __u8 net, __u8 host) {
  address->bytes[10] = address->bytes[11] = 0xff;
  address->bytes[12] = 10;
  address->bytes[14] = net;
  address->bytes[15] = host;
}

static void set_key(__u32 number, __u64 home, enum directory_mode mode, __u32 set, __u8 copies,
                    __u8 table) {
  __u64 hash = (home * 2048 + number) << HOTRACK_SLOT_SHIFT | number;
  __u32 entry = number * DIRECTORY_WAYS;

  directory_insert(&directory, entry, hash);
  if (mode == DIRECTORY_ADDING)
    return;
  directory_make_hot(&directory, entry, COMPLETED, set, SINCE, copies, table);
  directory_set_mode(&directory, entry, mode);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  struct plane_configuration *rack = &plane.configuration;
  int index;

  (void)argc;
  (void)argv;
  set_address(&rack->address, 0, 1);
  set_address(&rack->neighbour, 7, 1);
  set_address(&rack->next, 8, 1);
  rack->port = rack->neighbour_port = rack->next_port = RACK_SWAP16(HOTRACK_PORT);
  rack->control_port = RACK_SWAP16(HOTRACK_CONTROL_PORT);
  rack->next_interface = INTERFACE + 1;
  memcpy(rack->next_mac, "\x02\0\0\0\x08\x01", 6);
  rack->bucket_mask = BUCKETS - 1;
  plane.sample = take_sample;
  cpu.entries = ENTRIES;
  for (index = 0; index < PORTS; index++) {
    struct plane_port *port = &ports.port[(INTERFACE + index) % PLANE_PORTS];

    port->interface = INTERFACE + (__u32)index;
    memcpy(port->mac, "\x02\0\0\0\x01", 5);
    port->mac[5] = (__u8)index;
  }
  control.epoch = 1;
  control.generation = GENERATION;
  control.server_count = SERVERS;
  control.next_version = VERSION + 1500;
  control.window = 1 << 10;
  control.bucket_mask = BUCKETS - 1;
  control.alive = 0x2f; /* 4 is dead */
  control.serving = 1;
  control.sample_interval = 1;
  for (index = 0; index < SERVERS; index++) {
    struct directory_server *server = &servers[index];
    union plane_address address = {0};

    set_address(&address, 2, (__u8)index);
    memcpy(server->address, address.bytes, sizeof(server->address));
    memcpy(server->mac, "\x02\0\0\0\x02", 5);
    server->mac[5] = (__u8)index;
    server->incarnation = 1000 + (__u64)index;
    server->port = RACK_SWAP16(HOTRACK_PORT + index);
    /* 5 lives behind the first port of clients, 4 behind that of 3. */
    server->interface = index == 5 ? INTERFACE : INTERFACE + 2 + (index > 3 ? 3 : (__u32)index);
  }
  for (index = 0; index < HOTRACK_SLOTS; index++) {
    slots[index].home = index < SERVERS * 2048 ? (__u8)(index / 2048) : 1;
    slots[index].reader = slots[index].home;
    slots[index].moving = index >= SERVERS * 2048;
  }
  for (index = 0; index < DIRECTORY_TARGETS; index++) {
    targets[index] = index % 4;
    targets[DIRECTORY_TARGETS + index] = 4;
  }
  set_key(3, 0, DIRECTORY_ADDING, 0, 0, 0);
  set_key(4, 0, DIRECTORY_HOT, 1 << 2, 0, 0);
  set_key(5, 0, DIRECTORY_REMOVING, 1 << 3, 0, 0);
  set_key(6, 0, DIRECTORY_HOT, 0x2f, 0, 0);
  set_key(7, 0, DIRECTORY_HOT, 0, 0, 0);
  set_key(8, 0, DIRECTORY_HOT, 1 << 4, 0, 0);
  set_key(9, 0, DIRECTORY_HOT, 1, 0, 1);
  set_key(10, 0, DIRECTORY_HOT, 1, 3, 0);
  set_key(11, 6, DIRECTORY_HOT, 1 << 1, 0, 0);
  set_key(12, 0, DIRECTORY_HOT, 1 << 2, 4, 0);
  beginning.control = control;
  memcpy(beginning.buckets, buckets, sizeof(buckets));
  memcpy(beginning.details, details, sizeof(details));
  return 0;
}

static void begin(void) {
  control = beginning.control;
  memcpy(buckets, beginning.buckets, sizeof(buckets));
  memcpy(details, beginning.details, sizeof(details));
  memset(loads, 0, sizeof(loads));
  memset(cpu.counters, 0, sizeof(cpu.counters));
  cpu.random = cpu.skipped = random_state = 0;
}

/* The one's complement sum of a row of bytes (RFC 1071), in network byte order. */
static __u32 sum_of(const __u8 *bytes, __u32 length, __u32 sum) {
  __u32 index;

  for (index = 0; index < length; index++)
    sum += index & 1 ? bytes[index] : (__u32)bytes[index] << 8;
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/* Where the IPv4 header begins of a frame whose datagram is there to the end; 0: nowhere. */
static __u32 find_network(const __u8 *frame, __u32 length) {
  __u32 network = 14, datagram;
  int tag;

  for (tag = 0; tag < 2 && length >= network + 4; tag++) {
    __u32 type = (__u32)frame[network - 2] << 8 | frame[network - 1];

    if (type != 0x8100 && type != 0x88a8)
      break;
    network += 4;
  }
  if (length < network + 28 || frame[network - 2] != 8 || frame[network - 1] ||
      frame[network] != 0x45)
    return 0;
  datagram = (__u32)frame[network + 24] << 8 | frame[network + 25];
  return datagram >= 8 && network + 20 + datagram <= length ? network : 0;
}

/* Bit 0: the IPv4 checksum is right; bit 1: that of UDP is right, or not computed. */
static int right_sums(const __u8 *frame, __u32 network) {
  const __u8 *ip = frame + network, *udp = ip + 20;
  __u32 length = (__u32)udp[4] << 8 | udp[5];
  int right = sum_of(ip, 20, 0) == 0xffff;

  if (!udp[6] && !udp[7])
    return right | 2;
  return right | (sum_of(udp, length, sum_of(ip + 12, 8, 17 + length)) == 0xffff) << 1;
}

static __u64 total_counted(void) {
  __u64 total = 0;
  int index;

  for (index = 0; index < COUNTERS; index++)
    total += cpu.counters[index];
  return total;
}

/* The part of the directory that only reports may change. */
struct directory_image {
  __u64 completed[ENTRIES];
  struct directory_bucket buckets[BUCKETS];
};

static void take_image(struct directory_image *image) {
  int entry;

  for (entry = 0; entry < ENTRIES; entry++)
    image->completed[entry] = directory_word_version(
        &details[entry], buckets[entry / DIRECTORY_WAYS].word[entry % DIRECTORY_WAYS]);
  memcpy(image->buckets, buckets, sizeof(buckets));
}

/* What must hold of the directory after a frame, whatever it was. */
static void check_directory(const struct directory_image *before, int from_server_port) {
  static struct directory_image after;
  int entry;

  take_image(&after);
  REQUIRE(control.generation == beginning.control.generation);
  REQUIRE(control.next_version - beginning.control.next_version <= FRAMES_MAX);
  if (!from_server_port)
    REQUIRE(!memcmp(before->buckets, after.buckets, sizeof(after.buckets)));
  for (entry = 0; entry < ENTRIES; entry++) {
    const struct directory_bucket *old = &before->buckets[entry / DIRECTORY_WAYS];
    const struct directory_bucket *new = &after.buckets[entry / DIRECTORY_WAYS];
    __u32 set = directory_word_set(old->word[entry % DIRECTORY_WAYS]);
    __u32 grown = directory_word_set(new->word[entry % DIRECTORY_WAYS]);

    REQUIRE(old->key_hash[entry % DIRECTORY_WAYS] == new->key_hash[entry % DIRECTORY_WAYS]);
    REQUIRE(after.completed[entry] >= before->completed[entry]);
    if (after.completed[entry] == before->completed[entry])
      REQUIRE((set & ~grown) == 0);
    else
      REQUIRE(__builtin_popcount(grown) == 1);
    if (set != grown)
      REQUIRE((grown & ~set & ~control.alive) == 0);
  }
}

/* What must hold of a frame that goes on. */
static void check_frame(const __u8 *old, __u32 old_length, const struct host_frame *frame,
                        enum packet_action action, __u32 place, __u64 forwarded) {
  __u32 network = find_network(old, old_length), now;
  int sums;

  REQUIRE(frame->length <= old_length);
  if (action == PACKET_SEND)
    REQUIRE(place < PLANE_PORTS && ports.port[place].interface);
  if (action == PACKET_PASS) {
    REQUIRE(frame->length == old_length && !memcmp(old, frame->bytes, old_length));
    return;
  }
  REQUIRE(network);
  now = find_network(frame->bytes, frame->length);
  REQUIRE(now == network);
  sums = right_sums(old, network);
  REQUIRE((sums & ~right_sums(frame->bytes, now)) == 0);
  if (action == PACKET_SEND && forwarded) {
    struct hotrack_header *h = (void *)(frame->bytes + network + 28);

    /* A client learns neither an incarnation nor the way that its packets take. */
    REQUIRE(!h->incarnation && !RACK_RETURN(h) && !h->copy_targets);
  }
}

static void handle(const __u8 *bytes, __u32 length, __u32 port, __u32 linear) {
  static struct directory_image before;
  struct host_frame frame = {.length = length, .interface = INTERFACE + port};
  __u64 counted = total_counted();
  __u64 forwarded = cpu.counters[COUNTER_READ_REPLY] + cpu.counters[COUNTER_WRITE_REPLY];
  enum packet_action action;
  __u32 place = PLANE_PORTS;

  /* Of its own, and of exactly its length, so that every byte read beside it is seen. */
  frame.bytes = malloc(length ? length : 1);
  if (!frame.bytes)
    return;
  memcpy(frame.bytes, bytes, length);
  frame.linear = linear && linear < length ? linear : length;
  take_image(&before);
  action = packet_handle(&plane, &frame, &place);
  REQUIRE(total_counted() == counted + 1);
  /* Server 5 lives behind the first port. */
  check_directory(&before, port != 1);
  forwarded = cpu.counters[COUNTER_READ_REPLY] + cpu.counters[COUNTER_WRITE_REPLY] - forwarded;
  if (action != PACKET_DROP)
    check_frame(bytes, length, &frame, action, place, forwarded);
  free(frame.bytes);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size) {
  int frames;

  begin();
  for (frames = 0; frames < FRAMES_MAX && size > 4; frames++) {
    size_t length = data[2] | (size_t)data[3] << 8;

    if (length > size - 4)
      length = size - 4;
    if (length > FRAME_MAX)
      length = FRAME_MAX;
    handle(data + 4, (__u32)length, data[0] % PORTS, data[1]);
    data += 4 + length;
    size -= 4 + length;
  }
  return 0;
}
