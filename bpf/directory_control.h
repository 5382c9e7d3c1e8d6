/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The controller's side of the directory's memory: each function is one change that is safe while
 * packets are handled on any CPU. What must come before what is the controller's business.
 * Host only.
 */
#ifndef HOTRACK_DIRECTORY_CONTROL_H
#define HOTRACK_DIRECTORY_CONTROL_H

#include "directory_maps_host.h"

/* One store: the moment before it may be the controller's last, and any packet's. */
#define DIRECTORY_STORE(x, value) \
  (DIRECTORY_STEP(), __atomic_store_n(&(x), (value), __ATOMIC_RELEASE))

/* Publishes an entry as *adding* in an empty place; the key hash last, so that it is seen whole. */
DIRECTORY_ACCESS void directory_insert(DIRECTORY *d, __u32 entry, __u64 key_hash) {
  struct directory_bucket *bucket = &d->buckets[entry / DIRECTORY_WAYS];
  struct directory_detail *detail = &d->details[entry];

  DIRECTORY_STORE(bucket->word[entry % DIRECTORY_WAYS], 0);
  DIRECTORY_STORE(detail->copies, 0);
  DIRECTORY_STORE(detail->mode, DIRECTORY_ADDING);
  DIRECTORY_STORE(bucket->key_hash[entry % DIRECTORY_WAYS], key_hash);
}

/* The base place after the one that a word uses. */
DIRECTORY_ACCESS __u32 directory_next_base(DIRECTORY *d, __u64 word) {
  if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_ONE_BASE))
    return directory_word_base(word);
  return (directory_word_base(word) + 1) % DIRECTORY_BASES;
}

/*
 * Makes an entry hot: the mode last, so that nothing of it counts before. But an entry that is
 * *removing* is read meanwhile, so that replies from before `since` have to count until the word
 * says what they could: one that passed uncounted would show its version to a client, and the next
 * read be steered to who has less. The window starts at the completed version.
 */
DIRECTORY_ACCESS void directory_make_hot(DIRECTORY *d, __u32 entry, __u64 completed, __u32 set,
                                         __u64 since, __u8 copies, __u8 targets) {
  struct directory_bucket *bucket = &d->buckets[entry / DIRECTORY_WAYS];
  struct directory_detail *detail = &d->details[entry];
  __u64 word = __atomic_load_n(&bucket->word[entry % DIRECTORY_WAYS], __ATOMIC_ACQUIRE);
  __u32 base = directory_next_base(d, word);

  if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_HOT_FIRST))
    DIRECTORY_STORE(detail->mode, DIRECTORY_HOT);
  DIRECTORY_STORE(detail->copies, copies);
  DIRECTORY_STORE(detail->targets, targets);
  if (DIRECTORY_FAULT(d, DIRECTORY_FAULT_SINCE_FIRST))
    DIRECTORY_STORE(detail->since, (__u32)since);
  DIRECTORY_STORE(detail->base[base], completed);
  DIRECTORY_STORE(bucket->word[entry % DIRECTORY_WAYS], directory_word(base, 0, set));
  DIRECTORY_STORE(detail->since, (__u32)since);
  DIRECTORY_STORE(detail->mode, DIRECTORY_HOT);
}

DIRECTORY_ACCESS void directory_set_mode(DIRECTORY *d, __u32 entry, __u32 mode) {
  DIRECTORY_STORE(d->details[entry].mode, mode);
}

/* Takes the entry out of its place. The place is free after a grace period, not before. */
DIRECTORY_ACCESS void directory_remove(DIRECTORY *d, __u32 entry) {
  DIRECTORY_STORE(d->buckets[entry / DIRECTORY_WAYS].key_hash[entry % DIRECTORY_WAYS], 0);
  DIRECTORY_STORE(d->details[entry].mode, DIRECTORY_EMPTY);
}

/* Takes a server out of one entry's replica set. */
DIRECTORY_ACCESS void directory_forget_server(DIRECTORY *d, __u32 entry, __u32 server) {
  __u64 *word = &d->buckets[entry / DIRECTORY_WAYS].word[entry % DIRECTORY_WAYS];
  __u64 old = __atomic_load_n(word, __ATOMIC_ACQUIRE);

  do {
    DIRECTORY_STEP();
  } while (!__atomic_compare_exchange_n(word, &old, old & ~(1ull << server), 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_ACQUIRE));
}

/*
 * Moves the window of an entry up to its completed version: the next base first, then the word.
 * The base place that comes into use must not have been left less than a grace period ago.
 */
DIRECTORY_ACCESS void directory_rebase(DIRECTORY *d, __u32 entry) {
  __u64 *word = &d->buckets[entry / DIRECTORY_WAYS].word[entry % DIRECTORY_WAYS];
  struct directory_detail *detail = &d->details[entry];
  __u64 old = __atomic_load_n(word, __ATOMIC_ACQUIRE), next;
  __u32 base = directory_next_base(d, old);

  do {
    DIRECTORY_STORE(detail->base[base], directory_word_version(detail, old));
    next = directory_word(base, 0, directory_word_set(old));
    DIRECTORY_STEP();
  } while (!__atomic_compare_exchange_n(word, &old, next, 0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
}

/* A server without a reply since the last call has its load halved: a stale load must not stick. */
DIRECTORY_ACCESS void directory_decay_loads(DIRECTORY *d) {
  __u32 server, load;

  for (server = 0; server < HOTRACK_SERVERS_MAX; server++) {
    if (__atomic_exchange_n(&d->loads[server].replied, 0, __ATOMIC_RELAXED))
      continue;
    load = __atomic_load_n(&d->loads[server].load, __ATOMIC_RELAXED);
    __atomic_store_n(&d->loads[server].load, load / 2, __ATOMIC_RELAXED);
  }
}

/* Gives slots a home. What stands still does so before it leaves, and until it has arrived. */
DIRECTORY_ACCESS void directory_set_slots(DIRECTORY *d, __u32 first, __u32 count, __u8 home,
                                          __u8 reader, __u8 moving) {
  __u32 slot;

  for (slot = first; slot < first + count; slot++) {
    if (moving)
      DIRECTORY_STORE(d->slots[slot].moving, 1);
    DIRECTORY_STORE(d->slots[slot].reader, reader);
    DIRECTORY_STORE(d->slots[slot].home, home);
    if (!moving)
      DIRECTORY_STORE(d->slots[slot].moving, 0);
  }
}

/* Says where a server is; the incarnation last, since nothing counts from another one. */
DIRECTORY_ACCESS void directory_set_server(DIRECTORY *d, __u32 number,
                                           const struct directory_server *place) {
  struct directory_server *server = &d->servers[number];
  __u32 i;

  DIRECTORY_STORE(server->interface, place->interface);
  DIRECTORY_STORE(server->port, place->port);
  for (i = 0; i < sizeof(server->mac); i++)
    DIRECTORY_STORE(server->mac[i], place->mac[i]);
  for (i = 0; i < sizeof(server->address); i++)
    DIRECTORY_STORE(server->address[i], place->address[i]);
  DIRECTORY_STORE(server->incarnation, place->incarnation);
}

/* Fills a table of write targets that no entry uses. */
DIRECTORY_ACCESS void directory_set_targets(DIRECTORY *d, __u32 table, const __u8 *servers) {
  __u32 i;

  for (i = 0; i < DIRECTORY_TARGETS; i++)
    DIRECTORY_STORE(d->targets[table * DIRECTORY_TARGETS + i], servers[i]);
}

/* Writes down what belongs to an entry: before it is inserted, or the same key again. */
DIRECTORY_ACCESS void directory_note_entry(DIRECTORY *d, __u32 entry,
                                           const struct directory_entry_note *note) {
  struct directory_entry_note *place = &d->entry_notes[entry];
  __u32 i;

  DIRECTORY_STORE(place->is_pinned, note->is_pinned);
  DIRECTORY_STORE(place->is_leaving, note->is_leaving);
  DIRECTORY_STORE(place->loss_generation, note->loss_generation);
  DIRECTORY_STORE(place->key_length, note->key_length);
  for (i = 0; i < note->key_length; i++)
    DIRECTORY_STORE(place->key[i], note->key[i]);
}

/* Writes down since when what slots held is lost. */
DIRECTORY_ACCESS void directory_note_slot_losses(DIRECTORY *d, __u32 first, __u32 count,
                                                 __u64 generation) {
  __u32 slot;

  for (slot = first; slot < first + count; slot++)
    DIRECTORY_STORE(d->slot_losses[slot], generation);
}

/* Writes a ban down; the hash last: half a ban is none. */
DIRECTORY_ACCESS void directory_note_ban(DIRECTORY *d, __u32 place, __u64 key_hash, __u64 until) {
  DIRECTORY_STORE(d->notes->bans[place].key_hash, 0);
  DIRECTORY_STORE(d->notes->bans[place].until, until);
  DIRECTORY_STORE(d->notes->bans[place].key_hash, key_hash);
}

/* A change that takes more than one store. */
enum directory_change_kind {
  DIRECTORY_CHANGE_SLOTS,
  DIRECTORY_CHANGE_SERVER,
  DIRECTORY_CHANGE_TARGETS,
  DIRECTORY_CHANGE_INSERT,
  DIRECTORY_CHANGE_MAKE_HOT,
  DIRECTORY_CHANGE_REMOVE,
  DIRECTORY_CHANGE_FORGET_SERVER,
  DIRECTORY_CHANGE_REBASE,
  DIRECTORY_CHANGE_NOTE_ENTRY,
  DIRECTORY_CHANGE_NOTE_SLOT_LOSSES,
  DIRECTORY_CHANGE_NOTE_BAN,
};

struct directory_change {
  enum directory_change_kind kind;
  __u32 place; /* the entry, server, table, first slot or ban */
  __u32 count; /* of slots */
  __u32 set;   /* the replica set, or the server to forget */
  __u64 value; /* key hash, completed version or loss generation */
  __u64 since; /* generation, or until when */
  __u8 home;
  __u8 reader;
  __u8 moving;
  __u8 copies;
  __u8 targets;
  union {
    struct directory_server server;
    struct directory_entry_note note;
    __u8 row[DIRECTORY_TARGETS];
  } body;
};

DIRECTORY_ACCESS void directory_apply(DIRECTORY *d, const struct directory_change *c) {
  switch (c->kind) {
  case DIRECTORY_CHANGE_SLOTS:
    directory_set_slots(d, c->place, c->count, c->home, c->reader, c->moving);
    break;
  case DIRECTORY_CHANGE_SERVER:
    directory_set_server(d, c->place, &c->body.server);
    break;
  case DIRECTORY_CHANGE_TARGETS:
    directory_set_targets(d, c->place, c->body.row);
    break;
  case DIRECTORY_CHANGE_INSERT:
    directory_insert(d, c->place, c->value);
    break;
  case DIRECTORY_CHANGE_MAKE_HOT:
    directory_make_hot(d, c->place, c->value, c->set, c->since, c->copies, c->targets);
    break;
  case DIRECTORY_CHANGE_REMOVE:
    directory_remove(d, c->place);
    break;
  case DIRECTORY_CHANGE_FORGET_SERVER:
    directory_forget_server(d, c->place, c->set);
    break;
  case DIRECTORY_CHANGE_REBASE:
    directory_rebase(d, c->place);
    break;
  case DIRECTORY_CHANGE_NOTE_ENTRY:
    directory_note_entry(d, c->place, &c->body.note);
    break;
  case DIRECTORY_CHANGE_NOTE_SLOT_LOSSES:
    directory_note_slot_losses(d, c->place, c->count, c->value);
    break;
  case DIRECTORY_CHANGE_NOTE_BAN:
    directory_note_ban(d, c->place, c->value, c->since);
    break;
  }
}

#endif
