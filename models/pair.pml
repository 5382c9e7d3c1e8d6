/*
 * Two copies of a cold key (docs/protocol.md §11): the home executes a write and hands it on to the
 * backup, which answers the client and serves the reads. Either may die, at any moment at which both
 * have everything; then the slot is given to who is left, and another server is filled while the slot is
 * used: copied, frozen, fenced, the rest sent, taken, the home told, thawed. A living backup may be
 * replaced in the same way. Servers forget deletes (FLOOR).
 */
#ifndef STAMPS
#define STAMPS 3
#endif
#ifndef MOVES
#define MOVES 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef FLOORS
#define FLOORS 1
#endif
#define REQUESTS 2
#define SERVERS 3
#define NOBODY 3

#include "common.pml"

/* Version 2 is a delete, all others are values. */
#define IS_DELETE(v) ((v) == 2)

/* The directory. */
byte home = 0, reader = 1;
bit moving;
byte generation = 1, next = 1;
byte dead; /* bit per server */
#define LIVES(s) (!(dead & BIT(s)))

/* The servers. */
#define NOTHING 0
#define HOME 1
#define BACKUP 2
byte role[SERVERS], mate[SERVERS]; /* of a home: its backup */
byte since[SERVERS];               /* of a backup */
byte stored[SERVERS], fence[SERVERS], floor[SERVERS];
byte session[6];
#define SESSION(s, r) session[(s) * REQUESTS + (r)]
byte acknowledged; /* bit per version: the backup has the delete */

/* Facts: once sent they may arrive at any time and any number of times. */
#define PER_VERSION (STAMPS + 1)
byte w_request[PER_VERSION], w_generation[PER_VERSION], w_known[PER_VERSION], w_server[PER_VERSION];
/* MIRRORs of a version by kind: receiver and generation of the newest one. */
#define PLAIN 0
#define SUPERSEDED 1 /* its sender stores a newer version */
#define QUIET 2      /* nobody waits for the answer */
byte m_to[12], m_generation[12], m_from[12];
#define M(v, kind) ((v - 1) * 3 + (kind))
byte read_server = NOBODY, read_seen, read_generation, floors;

bit finished[REQUESTS];
byte last_known[REQUESTS], answered[REQUESTS];
byte returned;
bit wasDeleted;

/* The move of the backup. */
#define IDLE 0
#define COPYING 1
#define FENCING 2
#define SENDING 3
#define TAKING 4
#define ASSIGNING 5
#define THAWING 6
byte step = IDLE;
byte new, moves, deaths, copied, fence_generation, left_over[REQUESTS];
#define IS_MOVING_TO(s) (step != IDLE && new == s)

#define RQ(v) w_request[v]
#define KNOWN(r) (finished[r] -> last_known[r] : generation)

#define REPLY(s, r, v)                                                                           \
  printf("server %d: answers write %d, version %d\n", s, r, v);                                  \
  if :: answered[r] != 0 && answered[r] != v -> VIOLATED("VIOLATED: a write took effect twice\n") :: else fi; \
  answered[r] = v; returned = MAX(returned, v);                                                  \
  if :: !finished[r] -> finished[r] = 1; last_known[r] = generation :: else fi

#define HAND_ON(s, v, kind)                                                                      \
  m_to[M(v, kind)] = mate[s]; m_generation[M(v, kind)] = MAX(m_generation[M(v, kind)], stamp); m_from[M(v, kind)] = s

#ifdef READS_AT_HOME
#define READER home
#else
#define READER reader
#endif

proctype Directory() {
  byte r;
  do
  :: d_step { next <= STAMPS && !moving && LIVES(home) ->
       r = 0;
       w_request[next] = r; w_known[next] = KNOWN(r); w_generation[next] = generation; w_server[next] = home;
       printf("directory: stamps write %d as version %d, generation %d, to server %d\n", r, next, generation, home);
       next++ }
  :: d_step { next <= STAMPS && !moving && LIVES(home) ->
       r = 1;
       w_request[next] = r; w_known[next] = KNOWN(r); w_generation[next] = generation; w_server[next] = home;
       printf("directory: stamps write %d as version %d, generation %d, to server %d\n", r, next, generation, home);
       next++; r = 0 }
  :: d_step { read_server == NOBODY && returned > 0 -> read_server = READER; read_seen = returned; read_generation = generation;
       printf("directory: a read to server %d; version %d was returned before\n", reader, returned) }
  od
}

#ifdef MIRROR_FORGETS_SESSION
#define REMEMBER(s, r, v)
#else
#define REMEMBER(s, r, v) SESSION(s, r) = v
#endif
#ifdef SINCE_IGNORED
#define TAKES_MIRROR(s, m) (role[s] == BACKUP)
#else
#define TAKES_MIRROR(s, m) (role[s] == BACKUP && m_generation[m] >= since[s])
#endif

#define EXECUTE(v)                                                                               \
  :: d_step { v < next && w_server[v] == s && LIVES(s) && role[s] == HOME && SESSION(s, RQ(v)) == 0 && \
       w_generation[v] >= fence[s] && w_generation[v] >= floor[s] && w_known[v] >= floor[s] &&   \
       (fence[s] == 0 || w_known[v] > fence[s]) ->                                               \
       stamp = w_generation[v]; SESSION(s, RQ(v)) = v;                                           \
       printf("server %d: executes write %d as version %d (stored %d)\n", s, RQ(v), v, stored[s]); \
       isApplied = v > stored[s]; stored[s] = MAX(stored[s], v); wasDeleted = wasDeleted || IS_DELETE(v); \
       if                                                                                        \
       :: mate[s] == NOBODY || ANSWERS_EARLY -> REPLY(s, RQ(v), v)                               \
       :: else                                                                                   \
       fi;                                                                                       \
       if                                                                                        \
       :: mate[s] != NOBODY && isApplied -> HAND_ON(s, v, PLAIN)                                 \
       :: mate[s] != NOBODY && !isApplied -> HAND_ON(s, v, SUPERSEDED)                           \
       :: else                                                                                   \
       fi;                                                                                       \
       stamp = 0; isApplied = 0 }                                                                \
  /* A retry, or a duplicate: stamped as version v. */                                           \
  :: d_step { v < next && w_server[v] == s && LIVES(s) && role[s] == HOME && SESSION(s, RQ(v)) != 0 && \
       w_generation[v] >= floor[s] && !finished[RQ(v)] ->                                        \
       stamp = w_generation[v]; first = SESSION(s, RQ(v));                                       \
       if                                                                                        \
       :: mate[s] == NOBODY || stored[s] < first -> REPLY(s, RQ(v), first)                       \
       :: mate[s] != NOBODY && stored[s] == first -> HAND_ON(s, first, PLAIN)                    \
       :: mate[s] != NOBODY && stored[s] > first -> HAND_ON(s, first, RETRIED);                  \
          HAND_ON(s, stored[s], QUIET)                                                           \
       fi;                                                                                       \
       printf("server %d: hands write %d on again, version %d\n", s, RQ(v), first);              \
       stamp = 0; first = 0 }

#ifdef ANSWERED_EARLY
#define ANSWERS_EARLY true
#else
#define ANSWERS_EARLY false
#endif
#ifdef SUPERSEDED_STORED
#define RETRIED PLAIN
#else
#define RETRIED SUPERSEDED
#endif

#define TOLD(s, v) MAX(SESSION(s, RQ(v)), v)

#define STORE(v, kind)                                                                           \
  :: d_step { v < next && LIVES(s) && m_generation[M(v, kind)] != 0 && m_to[M(v, kind)] == s &&  \
       TAKES_MIRROR(s, M(v, kind)) && m_generation[M(v, kind)] >= floor[s] &&                    \
       m_generation[M(v, kind)] >= fence[s] &&                                                   \
       (kind != SUPERSEDED || stored[s] >= v) &&                                                    \
       (SESSION(s, RQ(v)) != v || stored[s] < v || !finished[RQ(v)]) ->                          \
       printf("server %d: is told of version %d (stored %d)\n", s, v, stored[s]);                \
       stored[s] = MAX(stored[s], v); REMEMBER(s, RQ(v), TOLD(s, v));                            \
       if :: IS_DELETE(v) -> acknowledged = acknowledged | BIT(v) :: else fi;                    \
       if :: kind != QUIET -> REPLY(s, RQ(v), TOLD(s, v)) :: else fi }

#ifdef READS_AT_HOME
#define SERVES(s) (role[s] != NOTHING)
#else
#ifdef LATE_READS_SERVED
#define IS_LATE(s) false
#else
#define IS_LATE(s) (read_generation < since[s])
#endif
#define SERVES(s) (role[s] == BACKUP && !IS_LATE(s) || role[s] == HOME && mate[s] == NOBODY)
#endif

#ifdef TOMBSTONE_FORGOTTEN
#define MAY_FORGET(s) true
#else
#define MAY_FORGET(s) (role[s] != HOME || mate[s] == NOBODY || (acknowledged & BIT(stored[s])))
#endif

proctype Server(byte s) {
  byte stamp, first;
  bit isApplied;
  do
  EXECUTE(1) EXECUTE(2)
#if STAMPS > 2
  EXECUTE(3)
#endif
  STORE(1, PLAIN) STORE(2, PLAIN) STORE(1, SUPERSEDED) STORE(2, SUPERSEDED) STORE(2, QUIET)
#if STAMPS > 2
  STORE(3, PLAIN) STORE(3, QUIET)
#endif
  :: d_step { read_server == s && LIVES(s) && SERVES(s) ->
       printf("server %d: answers the read with version %d\n", s, stored[s]);
       if
       :: stored[s] < read_seen && !(stored[s] == 0 && wasDeleted && read_seen <= 2) ->
          VIOLATED("VIOLATED: a read returned an older version than was returned before it\n")
       :: else
       fi;
       returned = MAX(returned, (stored[s] == 0 && wasDeleted -> 2 : stored[s]));
       read_server = NOBODY; read_seen = 0; read_generation = 0 }
  :: d_step { read_server == s -> read_server = NOBODY; read_seen = 0; read_generation = 0; printf("network: the read is lost\n") }
  /* FLOOR: what is dropped is no newer than the floor, and what moves stays. */
  :: d_step { floors < FLOORS && !moving && LIVES(s) -> floors++; generation++; floor[s] = generation;
       if
       :: IS_DELETE(stored[s]) && step == IDLE && MAY_FORGET(s) -> stored[s] = 0;
          printf("server %d: forgets the delete, floor %d\n", s, floor[s])
       :: else -> printf("server %d: floor %d\n", s, floor[s])
       fi }
  od
}

#define END_MOVE step = IDLE; new = 0; copied = 0; fence_generation = 0; left_over[0] = 0; left_over[1] = 0

/* Both have everything that was answered: whoever dies, the other goes on. */
#define IS_ON_TWO (reader != home && LIVES(home) && LIVES(reader))

#define BEGIN(n)                                                                                 \
  :: d_step { step == IDLE && moves < MOVES && !moving && LIVES(home) && LIVES(reader) && LIVES(n) && \
       n != home && n != reader ->                                                               \
       new = n; moves++; generation++; copied = 0; stored[n] = 0;                \
       step = COPYING; printf("controller: server %d is to be backup, generation %d\n", n, generation) }

#define DIE(s)                                                                                   \
  :: d_step { deaths < DEATHS && IS_ON_TWO && (s == home || s == reader) && LIVES(s) ->          \
       deaths++; dead = dead | BIT(s); printf("server %d dies\n", s) }

proctype Controller() {
  do
  BEGIN(1) BEGIN(2)
  :: d_step { step == COPYING && copied != stored[home] -> copied = stored[home];
       stored[new] = MAX(stored[new], copied); printf("server %d: has sent version %d\n", home, copied) }
  :: d_step { step == COPYING ->
#ifdef BELIEVED_EMPTY
       generation++; fence_generation = generation; step = TAKING;
#else
#ifndef NOT_FROZEN
       moving = 1;
#endif
       generation++; fence_generation = generation; step = FENCING;
#endif
       printf("controller: freezes the slot, generation %d\n", fence_generation) }
  :: d_step { step == FENCING -> fence[home] = fence_generation;
       left_over[0] = (finished[0] -> 0 : SESSION(home, 0)); left_over[1] = (finished[1] -> 0 : SESSION(home, 1));
#ifndef CHANGES_MISSED
       copied = stored[home];
#endif
       step = SENDING; printf("server %d: is fenced, sends version %d\n", home, copied) }
  :: d_step { step == SENDING -> stored[new] = MAX(stored[new], copied);
       /* Of two results of one request the later one counts. */
       SESSION(new, 0) = MAX(SESSION(new, 0), left_over[0]);
       SESSION(new, 1) = MAX(SESSION(new, 1), left_over[1]);
       step = TAKING; printf("server %d: has everything, version %d\n", new, stored[new]) }
  :: d_step { step == TAKING -> role[new] = BACKUP; since[new] = fence_generation; fence[new] = fence_generation;
#ifdef HOME_NOT_TOLD
       step = THAWING;
#else
       step = ASSIGNING;
#endif
       printf("server %d: is backup\n", new) }
#ifdef THAWED_EARLY
  :: d_step { step == ASSIGNING && moving -> generation++; reader = new; moving = 0;
       printf("directory: server %d is home, server %d serves reads\n", home, reader) }
#endif
  :: d_step { step == ASSIGNING -> mate[home] = new;
       if :: reader != home -> role[reader] = NOTHING; printf("server %d: leaves\n", reader) :: else fi;
       step = THAWING; printf("server %d: has backup %d\n", home, new) }
  :: d_step { step == THAWING -> generation++; reader = new; moving = 0; END_MOVE;
       REACHED_IF(deaths == 2 || deaths == 1 && returned > 0, "VIOLATED: reached: filled again after a death\n")
       printf("directory: server %d is home, server %d serves reads, generation %d\n", home, reader, generation) }
  /* Given up before anyone believes in it. */
  :: d_step { (step == FENCING || step == SENDING) && LIVES(home) && LIVES(reader) -> generation++; moving = 0; END_MOVE;
       printf("controller: gives the move up, generation %d\n", generation) }
  DIE(0) DIE(1) DIE(2)
  /* Frozen until whoever is left knows; so it was if a move was under way. */
  :: d_step { dead != 0 && (!LIVES(home) || !LIVES(reader)) && !moving -> moving = 1;
       printf("directory: the slot is frozen\n") }
  :: d_step { dead != 0 && (!LIVES(home) || !LIVES(reader)) && moving -> generation++;
       if
       :: step != IDLE -> role[new] = NOTHING
       :: else
       fi;
       if :: !LIVES(home) -> home = reader :: else fi;
       reader = home; role[home] = HOME; mate[home] = NOBODY; moving = 0; END_MOVE;
       printf("directory: server %d goes on alone, generation %d\n", home, generation) }
  od
}

init {
  atomic {
    role[0] = HOME; role[1] = BACKUP; mate[0] = 1; mate[1] = NOBODY; mate[2] = NOBODY;
    run Server(0); run Server(1); run Server(2); run Controller(); run Directory()
  }
}
