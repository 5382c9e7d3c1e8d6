/*
 * The fenced transitions of one key (docs/protocol.md §5 to §8): promotion, demotion and change of
 * write targets, with sessions, re-sent results, copies, FLOOR, and the loss and return of a server.
 *
 * The network loses, delays, reorders and duplicates without bound: a message that was sent once can
 * arrive at any later time, any number of times. So a message is kept as a fact, and of messages that
 * differ in a generation only, those that decide anything: a request or a copy with the greatest
 * (it passes every check that a smaller one passes), of replies the smallest and the greatest.
 *
 * docs/testing.md says what else is left out. models/check has the bounds of each run.
 */
#ifndef SERVERS
#define SERVERS 3
#endif
#ifndef REQUESTS
#define REQUESTS 2 /* different writes; every further stamp is a retry or duplicate of one of them */
#endif
#ifndef STAMPS
#define STAMPS 3
#endif
#ifndef TRANSITIONS
#define TRANSITIONS 2
#endif
#ifndef READS
#define READS 1 /* one at a time in the network; it can be answered often */
#endif
#ifndef FLOORS
#define FLOORS 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef RETURNS
#define RETURNS 0
#endif

#include "common.pml"

#define ALL ((1 << SERVERS) - 1)

/* ------------------------------------ the directory ------------------------------------ */
#define COLD 0
#define ADDING 1
#define HOT 2
#define REMOVING 3
byte mode = COLD;
#define TRACKED (mode == HOT || mode == REMOVING)
byte home = 0;
bit moving = 0; /* the slot */
byte generation = 1;
byte era = 1; /* the newest generation that can be a fence, a floor or a loss; stamps are compared with
                 those only, so that an era stands for all of its generations */
byte next = 1; /* version */
byte set = 0, completed = 0, since = 0;
byte alive = ALL;
byte target[REQUESTS]; /* write targets by the request's hash */

/* ----------------------------------- the controller ------------------------------------ */
#define IDLE 0
#define PUBLISHED 1 /* the entry says so, the generation not yet */
#define FENCING 2
#define SYNCING 3
#define CLOSING 4 /* the second generation is out, the entry unchanged yet */
#define GIVING_UP 5
byte step = IDLE;
#define PROMOTE 0
#define DEMOTE 1
#define RETARGET 2
byte kind, fence_generation, fenced, synced, base;
byte merged[REQUESTS];   /* session entries of all */
bit lost_value;          /* no living server has the newest value */
byte transitions, floors, losses, returns;
byte floor_generation;   /* the newest FLOOR ... */
bit floor_named;         /* ... and whether the key had an entry then */
#define NOBODY 255
byte gone = NOBODY;      /* the server that is lost, until the rack has recovered from it */
byte loss_generation;
bit loss_told = 1;       /* the entry's servers have heard of the newest loss */
byte away = NOBODY;      /* lost, and not back */

/* ------------------------------------- the servers ------------------------------------- */
byte stored[SERVERS];            /* version */
byte stored_under[SERVERS];      /* generation */
bit lost_here[SERVERS];          /* reads answer `lost` */
byte fence[SERVERS], floor[SERVERS];
byte loss[SERVERS];              /* loss generation of the key or the slot */
byte slot_loss[SERVERS];
byte session[SERVERS * REQUESTS]; /* version of the first execution, or 0 */
#define SESSION(s, r) session[(s) * REQUESTS + (r)]

/* ------------------------------------- the network ------------------------------------- */
#define PER_VERSION (STAMPS + 1)
byte w_request[PER_VERSION], w_generation[PER_VERSION], w_known[PER_VERSION], w_server[PER_VERSION];
bit w_hot[PER_VERSION];
byte copy[PER_VERSION];          /* a COPY of this version under this generation */
#define AT(s, v) ((s) * PER_VERSION + (v))
byte reply_least[SERVERS * PER_VERSION], reply_most[SERVERS * PER_VERSION];
bit reply_flagged[SERVERS * PER_VERSION]; /* NOT_HOLDER */
bit reply_to_write[SERVERS * PER_VERSION];
byte copy_ack[SERVERS * PER_VERSION];
byte reads, read_server = NOBODY, read_generation, read_seen;

/* ------------------------------------- the clients ------------------------------------- */
bit finished[REQUESTS];
byte last_known[REQUESTS];  /* newest known generation in a datagram of a finished request */
byte first_known[REQUESTS];
byte returned;              /* newest version that any client was told */
byte executed[REQUESTS];

/* A request that is not finished can be sent with the present generation as known. */
#define KNOWN(r) (finished[r] -> last_known[r] : generation)
#ifdef DIRECT_REQUESTS /* requests reach the directory at once and once */
#define MAY_BE_STAMPED(r) (!finished[r])
#else
#define MAY_BE_STAMPED(r) true
#endif

#define HOLDS(s) (!(set & BIT(s)) || !(alive & BIT(s)) || stored[s] >= completed)
inline check_sets() {
#ifndef CLIENTS_ONLY /* else only what clients can see is judged */
  if
  :: (mode == HOT || mode == REMOVING) && !(HOLDS(0) && HOLDS(1) && (SERVERS < 3 || HOLDS(SERVERS - 1))) ->
     VIOLATED("VIOLATED: a member of the replica set stores less than the completed version\n")
  :: (mode == HOT || mode == REMOVING) && gone == NOBODY && loss_told && completed < returned ->
     VIOLATED("VIOLATED: completed version below what a client was told\n")
  :: else
  fi
#else
  skip
#endif
}

/* ------------------------------------- data plane -------------------------------------- */
#ifdef RETRY_ANYWHERE
#define TARGETED(r, s) true
#else
#define TARGETED(r, s) (target[r] == (s))
#endif
#define STAMP(r, s)                                                                              \
  :: d_step {                                                                                    \
       next <= STAMPS && (alive & BIT(s)) && MAY_BE_STAMPED(r) &&                                \
       ((WRITES_COLD && !moving && s == home) || (mode == HOT && TARGETED(r, s))) ->             \
       if :: LOSSES > 0 && first_known[r] == 0 -> first_known[r] = generation :: else fi;        \
       w_request[next] = r; w_generation[next] = era; w_known[next] = KNOWN(r);           \
       w_server[next] = s; w_hot[next] = (mode == HOT);                                          \
       printf("directory: stamps write %d as version %d, generation %d (known %d), to server %d\n", \
              r, next, era, w_known[next], s);                                            \
       next++                                                                                    \
     }
#ifdef NOT_FROZEN
#define WRITES_COLD (mode == COLD || mode == ADDING || mode == REMOVING)
#else
#define WRITES_COLD (mode == COLD)
#endif

#define READ(s)                                                                                  \
  :: d_step {                                                                                    \
       reads < READS && read_server == NOBODY && (alive & BIT(s)) && next > 1 &&                                  \
       (((mode == COLD || mode == ADDING) && s == home) ||                                       \
        ((mode == HOT || mode == REMOVING) && (set & BIT(s)))) ->                                \
       read_server = s; read_generation = era; read_seen = returned; reads++;             \
       printf("directory: sends a read to server %d, generation %d; version %d was returned before\n", \
              s, era, returned)                                                           \
     }

proctype Plane() {
  do
  STAMP(0, 0) STAMP(0, 1) STAMP(1, 0) STAMP(1, 1)
  READ(0) READ(1)
#if SERVERS > 2
  STAMP(0, 2) STAMP(1, 2) READ(2)
#endif
  :: d_step { read_server != NOBODY && reads < READS -> read_server = NOBODY; read_generation = 0; read_seen = 0;
       printf("network: the read is lost\n") }
#ifdef PLAIN_TARGET_CHANGE
  :: d_step { mode == HOT && step == IDLE ->
       target[0] = (target[0] + 1) % SERVERS;
       printf("controller: write targets change by a plain store\n") }
#endif
  od
}

/* --------------------------- what comes back through the directory --------------------- */
#ifdef SINCE_IGNORED
#define COUNTS(g) true
#else
#define COUNTS(g) ((g) >= since)
#endif
/* What can never matter again is forgotten, so that states which differ in nothing else are one:
   a reply that tells no client anything new, a report of a version below the completed one. */
#define SPENT(v) (returned >= (v) && finished[w_request[v]])
#define OVERTAKEN(v) (TRACKED && (v) < completed)
#define FORGET_REPLY(s, v) reply_least[AT(s, v)] = 0; reply_flagged[AT(s, v)] = 0; reply_to_write[AT(s, v)] = 0
#define FORGET_REPORT(s, v) reply_most[AT(s, v)] = 0; copy_ack[AT(s, v)] = 0
inline forget_spent() {
  scratch = 1;
  do
  :: scratch < next ->
     if :: SPENT(scratch) -> FORGET_REPLY(0, scratch); FORGET_REPLY(1, scratch); FORGET_REPLY(SERVERS - 1, scratch)
     :: else fi;
     if :: OVERTAKEN(scratch) -> FORGET_REPORT(0, scratch); FORGET_REPORT(1, scratch); FORGET_REPORT(SERVERS - 1, scratch)
     :: else fi;
     scratch++
  :: else -> scratch = 0; break
  od
}
#ifdef SINCE_IGNORED
#define TOO_OLD(g) false
#else
#define TOO_OLD(g) (mode == COLD || (TRACKED && (g) < since))
#endif
/* Of reports that carry an older generation than any `since` to come, nothing is left. */
inline forget_reports() {
  scratch = 0;
  do
  :: scratch < SERVERS * PER_VERSION ->
     if :: TOO_OLD(reply_most[scratch]) -> reply_most[scratch] = 0 :: else fi;
     if :: TOO_OLD(copy_ack[scratch]) -> copy_ack[scratch] = 0 :: else fi;
     scratch++
  :: else -> scratch = 0; break
  od
}
inline record(s, v) {
  if
  :: v > completed -> completed = v; set = BIT(s)
  :: v == completed -> set = set | BIT(s)
  :: else
  fi
}
inline tell(s, v) {
  returned = MAX(returned, v);
  if
  :: reply_to_write[AT(s, v)] && !finished[w_request[v]] ->
     finished[w_request[v]] = 1;
     last_known[w_request[v]] = generation
  :: else
  fi;
  forget_spent()
}
#define TELLS(s, v) (returned < (v) || (reply_to_write[AT(s, v)] && !finished[w_request[v]]))
#define MOVES(s, v) ((v) > completed || ((v) == completed && !(set & BIT(s))))

/* A flagged reply says nothing of who holds the version: while the directory has completed less, the
   client must not hear of it, since a read could still be steered to an older value. */
#ifdef FLAGGED_PASSES
#define FLAGGED_PASSES_ON(v) true
#else
#define FLAGGED_PASSES_ON(v) (!TRACKED || (v) <= completed)
#endif

#define REPORTS(v)                                                                               \
  :: d_step { /* a reply that is recorded */                                                     \
       (alive & BIT(s)) && TRACKED && reply_most[AT(s, v)] != 0 && COUNTS(reply_most[AT(s, v)]) && \
       (MOVES(s, v) || TELLS(s, v)) ->                                                           \
       record(s, v); tell(s, v);                                                                 \
       printf("directory: records a reply of server %d, version %d, generation %d; set %d\n", s, v, \
              reply_most[AT(s, v)], set);                                                        \
       check_sets()                                                                              \
     }                                                                                           \
  :: d_step { /* one that is not */                                                              \
       (alive & BIT(s)) && TELLS(s, v) &&                                                        \
       ((reply_flagged[AT(s, v)] && FLAGGED_PASSES_ON(v)) ||                                     \
        (reply_least[AT(s, v)] != 0 && (!TRACKED || !COUNTS(reply_least[AT(s, v)])))) ->         \
       tell(s, v);                                                                               \
       printf("directory: passes a reply of server %d on, version %d\n", s, v);                  \
       check_sets()                                                                              \
     }                                                                                           \
  :: d_step {                                                                                    \
       (alive & BIT(s)) && TRACKED && copy_ack[AT(s, v)] != 0 && COUNTS(copy_ack[AT(s, v)]) &&   \
       MOVES(s, v) ->                                                                            \
       record(s, v); forget_spent();                                                             \
       printf("directory: records COPY_ACK of server %d, version %d, generation %d; set %d\n", s, v, \
              copy_ack[AT(s, v)], set);                                                          \
       check_sets()                                                                              \
     }

/* --------------------------------------- servers --------------------------------------- */
#ifdef REQUEST_GENERATION
#define REPLY_GENERATION(g, s) (g)
#define READ_REPLY_GENERATION(g, s) (g)
#elif defined(WRITE_REPLY_GENERATION)
#define REPLY_GENERATION(g, s) MAX(g, fence[s])
#define READ_REPLY_GENERATION(g, s) (g)
#else
#define REPLY_GENERATION(g, s) MAX(g, fence[s])
#define READ_REPLY_GENERATION(g, s) MAX(g, fence[s])
#endif
#define REPLY(s, v, g)                                                                           \
  if                                                                                             \
  :: !SPENT(v) && (reply_least[AT(s, v)] == 0 || reply_least[AT(s, v)] > (g)) -> reply_least[AT(s, v)] = (g) \
  :: else                                                                                        \
  fi;                                                                                            \
  if                                                                                             \
  :: !OVERTAKEN(v) && !TOO_OLD(g) -> reply_most[AT(s, v)] = MAX(reply_most[AT(s, v)], (g))                      \
  :: else                                                                                        \
  fi

#ifdef FENCE_IGNORED
#define BEFORE_FENCE(g, s) false
#else
#define BEFORE_FENCE(g, s) ((g) < fence[s])
#endif
#define REFUSED(s, g) (BEFORE_FENCE(g, s) || (g) < floor[s])
/* Nor of copies that every server refuses. */
inline forget_copies() {
  scratch = 1;
  do
  :: scratch < next ->
     if
     :: REFUSED(0, copy[scratch]) && REFUSED(1, copy[scratch]) && REFUSED(SERVERS - 1, copy[scratch]) -> copy[scratch] = 0
     :: else
     fi;
     scratch++
  :: else -> scratch = 0; break
  od
}
#ifdef KNOWN_IGNORED
#define KNOWS_TOO_LITTLE(k, s) false
#elif defined(KNOWN_MAY_EQUAL_FENCE)
#define KNOWS_TOO_LITTLE(k, s) ((k) < fence[s] || (k) < floor[s])
#else
#define KNOWS_TOO_LITTLE(k, s) ((fence[s] != 0 && (k) <= fence[s]) || (k) < floor[s])
#endif
#ifdef LOSS_IGNORED
#define AMBIGUOUS(r, s) false
#else
#define AMBIGUOUS(r, s) (first_known[r] < loss[s])
#endif
#ifdef REPLAY_IS_HOLDER
#define IS_HOLDER(s, v) true
#else
#define IS_HOLDER(s, v) (stored[s] >= (v) && !lost_here[s])
#endif
#ifdef NO_SESSION
#define SEEN(s, r) 0
#else
#define SEEN(s, r) SESSION(s, r)
#endif

#define RQ(v) w_request[v]
#define WRITE(v)                                                                                 \
  :: d_step { /* seen: the result again, with the version of the first time */                   \
       v < next && w_server[v] == s && w_generation[v] >= floor[s] && SEEN(s, RQ(v)) != 0 ->         \
       scratch = SESSION(s, RQ(v));                                                                 \
       if :: !SPENT(scratch) -> reply_to_write[AT(s, scratch)] = 1 :: else fi;                   \
       if                                                                                        \
       :: IS_HOLDER(s, scratch) -> REPLY(s, scratch, REPLY_GENERATION(w_generation[v], s));      \
          printf("server %d: write %d again (stamp %d): its result has version %d\n", s, RQ(v), v, scratch) \
       :: else -> if :: !SPENT(scratch) -> reply_flagged[AT(s, scratch)] = 1 :: else fi;         \
          printf("server %d: write %d again (stamp %d): its result has version %d, NOT_HOLDER\n", s, RQ(v), \
                 v, scratch)                                                                     \
       fi;                                                                                       \
       scratch = 0                                                                               \
     }                                                                                           \
  :: d_step { /* never seen */                                                                   \
       v < next && w_server[v] == s && w_generation[v] >= floor[s] && SEEN(s, RQ(v)) == 0 &&        \
       !BEFORE_FENCE(w_generation[v], s) && !KNOWS_TOO_LITTLE(w_known[v], s) &&                  \
       !AMBIGUOUS(RQ(v), s) ->                                                                      \
       printf("server %d: executes write %d as version %d (stored %d)\n", s, RQ(v), v, stored[s]);  \
       if :: executed[RQ(v)] != 0 && executed[RQ(v)] != v -> VIOLATED("VIOLATED: a write took effect twice\n") :: else fi; \
       REACHED_IF(fence[s] != 0, "VIOLATED: (reached) a write is executed after a transition\n")                       \
       executed[RQ(v)] = v;                                                                         \
       SESSION(s, RQ(v)) = v;                                                                       \
       if                                                                                        \
       :: NEWER(v, s) -> stored[s] = v; stored_under[s] = (FLOORS > 0 -> w_generation[v] : 0); lost_here[s] = 0;     \
          if :: w_hot[v] && (alive & BIT(s)) -> copy[v] = MAX(copy[v], w_generation[v]) :: else fi \
       :: else                                                                                   \
       fi;                                                                                       \
       reply_to_write[AT(s, v)] = 1;                                                             \
       REPLY(s, v, REPLY_GENERATION(w_generation[v], s));                                        \
       check_sets()                                                                              \
     }                                                                                           \
  :: d_step { /* told that nobody knows: the client ends it as unknown */                        \
       v < next && w_server[v] == s && (alive & BIT(s)) && !finished[RQ(v)] && SEEN(s, RQ(v)) == 0 &&  \
       w_generation[v] >= MAX(floor[s], fence[s]) && AMBIGUOUS(RQ(v), s) ->                         \
       finished[RQ(v)] = 1; last_known[RQ(v)] = generation;                                            \
       printf("server %d: write %d (stamp %d) is ambiguous\n", s, RQ(v), v)                         \
     }                                                                                           \
  ERRORS(v)
#ifdef ERRORS_MOVE
#define ERRORS(v)                                                                                \
  :: d_step {                                                                                    \
       v < next && w_server[v] == s && SEEN(s, RQ(v)) == 0 && BEFORE_FENCE(w_generation[v], s) ->   \
       copy_ack[AT(s, v)] = MAX(copy_ack[AT(s, v)], REPLY_GENERATION(w_generation[v], s));       \
       printf("server %d: refuses stamp %d, stale generation\n", s, v)                           \
     }
#else
#define ERRORS(v)
#endif
#ifdef LAST_ARRIVAL_KEPT
#define NEWER(v, s) true
#else
#define NEWER(v, s) ((v) > stored[s])
#endif

#define COPY(v)                                                                                  \
  :: d_step {                                                                                    \
       copy[v] != 0 && copy[v] >= floor[s] && !BEFORE_FENCE(copy[v], s) &&                       \
       copy[v] >= slot_loss[s] && (NEWER(v, s) || v == stored[s]) && s != away ->                \
       if :: FLOORS > 0 && (NEWER(v, s) || copy[v] > stored_under[s]) -> stored_under[s] = copy[v] :: else fi;   \
       stored[s] = v; lost_here[s] = 0;                                                          \
       if :: !OVERTAKEN(v) && !TOO_OLD(REPLY_GENERATION(copy[v], s)) -> copy_ack[AT(s, v)] = MAX(copy_ack[AT(s, v)], REPLY_GENERATION(copy[v], s)) \
       :: else fi;                                                                               \
       printf("server %d: stores a COPY of version %d, generation %d\n", s, v, copy[v]);         \
       check_sets()                                                                              \
     }

#ifdef READ_REPLIES_IGNORED
#define READ_COUNTS false
#else
#define READ_COUNTS true
#endif

#define TAKE_OVER(r)                                                                             \
  if :: SESSION(s, r) == 0 -> SESSION(s, r) = merged[r] :: else fi
/* Of a finished request the server knows the client's mark: its entry is not passed on. (It need not
   know it; passing it on could only prevent executions.) */
#define COLLECT(r)                                                                               \
  if :: !finished[r] && merged[r] == 0 -> merged[r] = SESSION(s, r) :: else fi

/* Who is fenced, and who hears of the sessions. */
#ifdef ONLY_HOME_FENCED
#define FENCED_ONES BIT(home)
#else
#define FENCED_ONES alive
#endif
#define SYNCED_ONES (((kind == DEMOTE && !lost_value) -> BIT(home) : FENCED_ONES))

#ifdef FLOOR_IGNORES_FENCE /* drops what was stored since, too */
#define NOT_FENCED_SINCE true
#else
#define NOT_FENCED_SINCE (fence[s] < floor_generation)
#endif
proctype Server(byte s) {
  do
  WRITE(1) COPY(1) REPORTS(1)
#if STAMPS > 1
  WRITE(2) COPY(2) REPORTS(2)
#endif
#if STAMPS > 2
  WRITE(3) COPY(3) REPORTS(3)
#endif
#if STAMPS > 3
  WRITE(4) COPY(4) REPORTS(4)
#endif
#if STAMPS > 4
  WRITE(5) COPY(5) REPORTS(5)
#endif

  :: d_step { /* a read */
       read_server == s && read_generation >= floor[s] && !lost_here[s] ->
       if
       :: stored[s] < read_seen && (alive & BIT(s)) ->
          printf("server %d: answers the read with version %d\n", s, stored[s]);
          VIOLATED("VIOLATED: a read returned an older version than was returned before it\n")
       :: else
       fi;
       if
       :: stored[s] != 0 && READ_COUNTS -> REPLY(s, stored[s], READ_REPLY_GENERATION(read_generation, s))
       :: stored[s] != 0 && !READ_COUNTS && !SPENT(stored[s]) -> reply_least[AT(s, stored[s])] = 1 /* passes, counts nowhere */
       :: else
       fi;
       printf("server %d: answers the read with version %d\n", s, stored[s])
     }
  :: d_step { /* COPY_ORDER */
       mode == HOT && step == IDLE && (set & alive & BIT(s)) && stored[s] != 0 && !lost_here[s] &&
       copy[stored[s]] < era ->
       copy[stored[s]] = era;
       printf("server %d: sends copies of version %d as ordered, generation %d\n", s, stored[s], era)
     }
  :: d_step { /* FENCE and FENCE_ACK */
       step == FENCING && (FENCED_ONES & BIT(s)) && !(fenced & BIT(s)) ->
       fence[s] = fence_generation;
       fenced = fenced | BIT(s);
       if
       :: kind != PROMOTE || s == home -> base = MAX(base, stored[s])
       :: else
       fi;
       COLLECT(0); COLLECT(1);
       forget_copies();
       printf("server %d: FENCE %d, stores version %d\n", s, fence_generation, stored[s])
     }
  :: d_step { /* SYNC and SYNC_ACK; a late one as well */
       (step == SYNCING || step == CLOSING || step == IDLE || step == GIVING_UP) && kind != NOBODY &&
       fence[s] == fence_generation && fence_generation != 0 && (fenced & BIT(s)) &&
       (SYNCED_ONES & BIT(s)) && synced != NOBODY ->
#ifndef NO_SESSION_SYNC
       TAKE_OVER(0); TAKE_OVER(1);
#endif
       loss[s] = MAX(loss[s], loss_generation);
       if
       :: lost_value && step == SYNCING -> stored[s] = 0; lost_here[s] = 1
       :: else
       fi;
       if
       :: step == SYNCING && (s != home || lost_value || stored[s] >= base) -> synced = synced | BIT(s)
       :: else
       fi;
       printf("server %d: SYNC %d\n", s, fence_generation);
       check_sets()
     }
#if FLOORS > 0
  :: d_step {
       floor_generation > floor[s] && (alive & BIT(s)) ->
#ifndef FLOOR_NOT_RAISED
       floor[s] = floor_generation;
#else
       floor[s] = 0;
#endif
       if
       :: !floor_named && s != home && stored_under[s] < floor_generation && NOT_FENCED_SINCE -> stored[s] = 0; stored_under[s] = 0
       :: else
       fi;
       if :: !floor_named && fence[s] < floor_generation -> fence[s] = 0 :: else fi;
       printf("server %d: FLOOR %d, stores version %d\n", s, floor_generation, stored[s]);
       check_sets()
     }
#endif
  od
}

/* ------------------------------------- the controller ---------------------------------- */
#if TRANSITIONS > 0
#define BEGIN_ALLOWED (step == IDLE && transitions < TRANSITIONS && gone == NOBODY)
#else
#define BEGIN_ALLOWED false
#endif
inline begin(k) {
  kind = k; fenced = 0; synced = 0; base = 0; merged[0] = 0; merged[1] = 0; lost_value = 0;
  fence_generation = 0;
  transitions++;
  step = PUBLISHED
}
#ifdef HOT_BEFORE_SYNC
#define ALL_SYNCED true
#else
#define ALL_SYNCED ((synced & SYNCED_ONES) == SYNCED_ONES)
#endif
/* The next living server, for a write target that is to change. */
#define NEXT_OF(x) (((alive & BIT(((x) + 1) % SERVERS))) -> ((x) + 1) % SERVERS : ((x) + 2) % SERVERS)

proctype Controller() {
  do
  :: d_step { BEGIN_ALLOWED && mode == COLD && !moving -> begin(PROMOTE); forget_reports(); mode = ADDING;
       printf("controller: promotes; the entry is adding\n") }
  :: d_step { BEGIN_ALLOWED && mode == HOT -> begin(DEMOTE); mode = REMOVING;
       printf("controller: demotes; the entry is removing\n") }
  :: d_step { BEGIN_ALLOWED && mode == HOT -> begin(RETARGET); mode = REMOVING;
       printf("controller: changes write targets; the entry is removing\n") }
  :: d_step { step == PUBLISHED ->
       generation++; era = generation; fence_generation = generation; step = FENCING;
       printf("controller: generation %d; FENCE\n", generation) }
  :: d_step { step == FENCING && (fenced & FENCED_ONES) == FENCED_ONES ->
       if
#ifndef LOST_PROMOTED
       :: kind == PROMOTE && (lost_here[home] || (slot_loss[home] != 0 && base == 0)) -> step = GIVING_UP
#endif
       :: else ->
          step = SYNCING;
#ifndef LOSS_NOT_MARKED
          if :: kind != PROMOTE && !loss_told && base < completed -> lost_value = 1 :: else fi
#endif
       fi;
       printf("controller: all have answered FENCE; base %d, completed %d\n", base, completed) }
  :: d_step { /* the home server lacks the value: a holder sends it */
       step == SYNCING && kind != PROMOTE && !lost_value && base != 0 && stored[home] < base &&
       copy[base] < fence_generation ->
       copy[base] = fence_generation;
       printf("controller: has a holder send version %d home\n", base) }
  :: d_step { step == SYNCING && ALL_SYNCED ->
#ifndef NO_SECOND_GENERATION
       generation++;
#endif
       step = CLOSING;
       printf("controller: all have answered SYNC; generation %d\n", generation) }
  :: d_step { step == CLOSING ->
       step = IDLE;
       if
       :: kind == DEMOTE || lost_value -> mode = COLD; set = 0; completed = 0; since = 0
       :: else ->
          if
          :: kind == RETARGET -> target[0] = NEXT_OF(target[0]); target[1] = NEXT_OF(target[1])
          :: else -> target[0] = (alive & BIT(1) -> 1 : home); target[1] = (alive & BIT(SERVERS - 1) -> SERVERS - 1 : home)
          fi;
          mode = HOT; set = BIT(home); completed = base; since = fence_generation
       fi;
       loss_told = 1;
       /* All have merged: a SYNC that comes late finds its work done. */
       fenced = 0; synced = 0; base = 0; lost_value = 0; merged[0] = 0; merged[1] = 0; fence_generation = 0;
       forget_spent(); forget_reports();
       printf("controller: the entry is %d (0: gone, 2: hot), completed %d, since %d, targets %d %d\n", mode,
              completed, since, target[0], target[1]);
       check_sets() }
#ifdef GIVE_UP
  :: d_step { step == FENCING || step == SYNCING -> step = GIVING_UP; synced = NOBODY;
       printf("controller: gives the transition up\n") }
#endif
  :: d_step { step == GIVING_UP && synced != NOBODY - 1 -> generation++; synced = NOBODY - 1 }
  :: d_step { step == GIVING_UP && synced == NOBODY - 1 ->
       step = IDLE; synced = NOBODY;
       if :: kind == PROMOTE -> mode = COLD :: else -> mode = HOT fi;
       printf("controller: the entry is %d again, generation %d\n", mode, generation) }
#if FLOORS > 0
  :: d_step { step == IDLE && floors < FLOORS && gone == NOBODY && transitions > 0 ->
       generation++; era = generation; floor_generation = generation; floor_named = (mode != COLD); floors++;
       printf("controller: FLOOR %d, the key has an entry: %d\n", generation, floor_named) }
#endif
  od
}

#if LOSSES > 0
#include "loss.pml"
#endif

init {
  d_step {
    target[0] = 1; target[1] = SERVERS - 1;
#ifdef START_HOT
    mode = HOT; set = BIT(home); since = 1
#endif
  }
  atomic {
    run Plane();
    run Controller();
    run Server(0);
    run Server(1);
#if SERVERS > 2
    run Server(2);
#endif
#if LOSSES > 0
    run Losses();
#endif
  }
}
