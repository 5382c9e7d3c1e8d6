/*
 * The state word of one hot entry, load by load (docs/protocol.md §5): {base index, version offset,
 * replica set}, changed by compare-and-swap, with the bases in a ring beside it. Two CPUs record
 * replies and steer reads while the controller moves the base up; a base place is used again only
 * after a grace period. bpf/directory.h (directory_record) and bpf/directory_control.h
 * (directory_rebase) are the code.
 *
 * Each version is written by one server; replies of it, and acknowledgements of copies of it by the
 * other, arrive at any moment and any number of times. Servers forget nothing here.
 */
#ifndef BASES
#define BASES 3
#endif
#ifndef WINDOW
#define WINDOW 3 /* offsets 0...WINDOW - 1 */
#endif
#ifndef VERSIONS
#define VERSIONS 4
#endif
#ifndef REBASES
#define REBASES 4
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 1 /* swaps tried for one reply; another attempt is like another duplicate of the reply */
#endif

#include "common.pml"

#ifdef ONE_BASE
#define NEXT_BASE(i) (i)
#else
#define NEXT_BASE(i) (((i) + 1) % BASES)
#endif

/* One load or swap sees all of it. */
#define WORD(index, offset, set) (((index) << 5) | ((offset) << 2) | (set))
#define INDEX(w) ((w) >> 5)
#define OFFSET(w) (((w) >> 2) & 7)
#define SET(w) ((w) & 3)
#define COMPLETED (base[INDEX(word)] + OFFSET(word))
byte word = WORD(0, 0, 1);
byte base[BASES];
byte stored[2];
byte returned; /* the newest version that a client was told */
byte rebases;

/* Grace: which CPUs handle a packet that they began before the base place was left. */
#define NOWHERE 255
byte cooling = NOWHERE; /* the place that was left */
byte waiting;
byte busy;

#define HOLDS(s) (!(SET(word) & BIT(s)) || stored[s] >= COMPLETED)
inline check_word() {
  if
  :: COMPLETED < returned -> VIOLATED("VIOLATED: completed version below what a client was told\n")
  :: !HOLDS(0) || !HOLDS(1) -> VIOLATED("VIOLATED: a member of the replica set stores less than the completed version\n")
  :: else
  fi
}

inline begin_packet() { busy = busy | BIT(c) }
inline end_packet() {
  busy = busy & ~BIT(c); waiting = waiting & ~BIT(c);
  if :: waiting == 0 -> cooling = NOWHERE :: else fi;
  server = 0; version = 0; old = 0; seen_base = 0; attempt = 0; demanded = 0; chosen = 0
}

/* A reply or COPY_ACK of server s with version v. */
#define REPORT(s, v)                                                                             \
  :: d_step { stored[s] >= (v) -> begin_packet(); server = s; version = v;                        \
       printf("cpu %d: takes a reply of server %d, version %d\n", c, s, v) } goto load

proctype CPU(byte c) {
  byte server, version, old, seen_base, attempt, demanded, chosen;
idle:
  do
  REPORT(0, 1) REPORT(0, 2) REPORT(0, 3) REPORT(0, 4)
  REPORT(1, 1) REPORT(1, 2) REPORT(1, 3) REPORT(1, 4)
#if VERSIONS > 4
  REPORT(0, 5) REPORT(1, 5)
#endif
  :: d_step { demanded == 0 -> begin_packet(); demanded = returned } goto read
  od;

load:
  atomic { old = word; printf("cpu %d: loads word {%d, %d, %d}\n", c, INDEX(old), OFFSET(old), SET(old)) };
  d_step { seen_base = base[INDEX(old)]; printf("cpu %d: reads base %d: %d\n", c, INDEX(old), seen_base) };
  if
  :: d_step { version < seen_base + OFFSET(old) || (version == seen_base + OFFSET(old) && (SET(old) & BIT(server))) ->
       seen_base = 0; old = 0; attempt = 0; server = 0;
       printf("cpu %d: nothing to record\n", c) } goto recorded
  :: d_step { version > seen_base + OFFSET(old) && version - seen_base >= WINDOW ->
       printf("cpu %d: outside the window, dropped\n", c); end_packet() } goto idle
  :: else
  fi;
  if
#ifdef PLAIN_STORE
  :: d_step { true ->
#else
  :: d_step { word == old ->
#endif
       word = (version == seen_base + OFFSET(old) -> old | BIT(server) : WORD(INDEX(old), version - seen_base, BIT(server)));
       printf("cpu %d: swaps to {%d, %d, %d}\n", c, INDEX(word), OFFSET(word), SET(word));
       seen_base = 0; old = 0; attempt = 0; server = 0;
       check_word() } goto recorded
#ifndef PLAIN_STORE
  :: d_step { word != old -> attempt++; seen_base = 0; old = 0; printf("cpu %d: the swap fails\n", c) }
#endif
  fi;
  if
  :: attempt < ATTEMPTS -> goto load
#ifdef UNRECORDED_PASSES
  :: attempt >= ATTEMPTS -> goto recorded
#else
  :: d_step { attempt >= ATTEMPTS -> printf("cpu %d: drops the reply\n", c); end_packet() } goto idle
#endif
  fi;
recorded:
  atomic { /* on to its client */
    returned = MAX(returned, version);
    printf("cpu %d: passes version %d on\n", c, version);
    end_packet(); check_word() };
  goto idle;

read: /* version and set come from one load; the servers answer with what they store */
  atomic { old = word; printf("cpu %d: a read loads word {%d, %d, %d}, version %d was returned before\n", c, INDEX(old), OFFSET(old), SET(old), demanded) };
#ifdef TWO_LOADS
  d_step { old = (word & ~3) | SET(old) };
#endif
  d_step {
    chosen = base[INDEX(old)] + OFFSET(old);
    printf("cpu %d: demands version %d of set %d\n", c, chosen, SET(old));
    if
    :: chosen < demanded -> VIOLATED("VIOLATED: a read demands an older version than was returned before it\n")
    :: ((SET(old) & 1) && stored[0] < chosen) || ((SET(old) & 2) && stored[1] < chosen) ->
       VIOLATED("VIOLATED: a read is steered to a server that stores less than it demands\n")
    :: else
    fi;
    end_packet() };
  goto idle
}

/* A write of the next version by one server, or a copy of the newest to the other. */
proctype Servers() {
  do
  :: d_step { MAX(stored[0], stored[1]) < VERSIONS -> stored[0] = MAX(stored[0], stored[1]) + 1;
       printf("server 0: stores version %d\n", stored[0]) }
  :: d_step { MAX(stored[0], stored[1]) < VERSIONS -> stored[1] = MAX(stored[0], stored[1]) + 1;
       printf("server 1: stores version %d\n", stored[1]) }
  :: d_step { stored[0] < stored[1] -> stored[0] = stored[1]; printf("server 0: stores a copy of version %d\n", stored[0]) }
  :: d_step { stored[1] < stored[0] -> stored[1] = stored[0]; printf("server 1: stores a copy of version %d\n", stored[1]) }
  od
}

#ifdef NO_GRACE
#define MAY_USE(place) true
#else
#define MAY_USE(place) (cooling == NOWHERE)
#endif
proctype Controller() {
  byte old, to;
  do
  :: d_step { rebases < REBASES && OFFSET(word) > 0 && MAY_USE(NEXT_BASE(INDEX(word))) ->
       rebases++; old = word; to = NEXT_BASE(INDEX(old));
       printf("controller: begins to move the base; loads word {%d, %d, %d}\n", INDEX(old), OFFSET(old), SET(old)) };
     do
     :: d_step { true -> base[to] = base[INDEX(old)] + OFFSET(old);
          printf("controller: stores base %d: %d\n", to, base[to]);
#ifdef ONE_BASE
          scratch = 0
#else
          check_word()
#endif
        };
        if
        :: d_step { word == old -> word = WORD(to, 0, SET(old));
             printf("controller: swaps to {%d, 0, %d}\n", to, SET(old));
             cooling = (busy != 0 -> INDEX(old) : NOWHERE); waiting = busy;
             old = 0; to = 0;
             check_word() }; break
        :: d_step { word != old -> old = word; printf("controller: the swap fails\n") }
        fi
     od
  od
}

init {
  atomic { run Servers(); run Controller(); run CPU(0); run CPU(1) }
}
