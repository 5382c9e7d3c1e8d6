/*
 * Stamping in two steps (docs/protocol.md §5 and §8): a CPU reads the generation first, then looks the
 * entry up and takes a version; the controller changes the entry first, then the generation, then
 * fences. Two CPUs, two servers, one key; a CPU may rest between any two of its steps, for as long as
 * it likes. What happens at the servers is as in transitions.pml, in its shortest form: a transition's
 * FENCE and SYNC are one step per server, and a reply is recorded as soon as it is sent, or never.
 */
#ifndef STAMPS
#define STAMPS 3
#endif
#ifndef TRANSITIONS
#define TRANSITIONS 2
#endif
#ifndef FLOORS
#define FLOORS 0
#endif
#define CPUS 2
#define REQUESTS 2

#include "common.pml"

#define COLD 0
#define ADDING 1
#define HOT 2
#define REMOVING 3
byte mode = COLD;
byte generation = 1, next = 1;
byte set, completed, since;

#define IDLE 0
#define BEGUN 1
#define RAISED 2 /* entry and generation are out: FENCE */
#define SYNCING 3
#define CLOSING 4
byte step = IDLE;
bit demotes;
byte transitions, fence_generation, fenced, synced, base, merged[REQUESTS];
byte floors, floor_generation;

byte stored[2], fence[2], floor[2];
byte session[4];
#define SESSION(s, r) session[(s) * REQUESTS + (r)]

/* Stamped writes: facts, as in transitions.pml. */
#define PER_VERSION (STAMPS + 1)
byte w_request[PER_VERSION], w_generation[PER_VERSION], w_known[PER_VERSION], w_server[PER_VERSION];
#define NOBODY 255
byte read_server = NOBODY, read_generation, read_seen;

bit finished[REQUESTS];
byte last_known[REQUESTS], executed[REQUESTS];
byte returned;

#define TRACKED (mode == HOT || mode == REMOVING)
#define HOLDS(s) (!TRACKED || !(set & BIT(s)) || stored[s] >= completed)
inline check_sets() {
  if
  :: !HOLDS(0) || !HOLDS(1) -> VIOLATED("VIOLATED: a member of the replica set stores less than the completed version\n")
  :: TRACKED && completed < returned -> VIOLATED("VIOLATED: completed version below what a client was told\n")
  :: else
  fi
}

#define KNOWN(r) (finished[r] -> last_known[r] : generation)
#ifdef DIRECT_REQUESTS /* requests reach the directory at once and once */
#define MAY_COME(r) (!finished[r])
#define MAY_GO(r) (!finished[r])
#else
#define MAY_COME(r) true
#define MAY_GO(r) true
#endif
#ifdef GENERATION_AFTER_LOOKUP
#define FIRST_LOOK(x) entry = x
#define SECOND_LOOK stamp = generation
#else
#define FIRST_LOOK(x) stamp = generation
#define SECOND_LOOK entry = mode
#endif

#define WRITE(r)                                                                                 \
  :: d_step { next <= STAMPS && MAY_COME(r) -> request = r; known = KNOWN(r); FIRST_LOOK(mode);  \
       printf("cpu %d: takes write %d (known %d), reads generation %d\n", c, r, known, stamp) }  \
     goto look

proctype CPU(byte c) {
  byte request, known, stamp, entry, seen, chosen;
idle:
  do
  WRITE(0) WRITE(1)
  :: d_step { read_server == NOBODY && returned > 0 -> seen = returned; FIRST_LOOK(mode);
       printf("cpu %d: takes a read, reads generation %d; version %d was returned before\n", c, stamp, seen) };
     /* The word is loaded with the entry; any member may be chosen. */
#ifdef GENERATION_AFTER_LOOKUP
     atomic {
       if
       :: d_step { TRACKED && (set & 2) -> chosen = 1 }
       :: d_step { !TRACKED || (set & 1) -> chosen = 0 }
       fi };
     d_step { stamp = generation };
#else
     atomic {
       if
       :: d_step { TRACKED && (set & 2) -> chosen = 1 }
       :: d_step { !TRACKED || (set & 1) -> chosen = 0 }
       fi };
#endif
     d_step {
       if
       :: read_server == NOBODY -> read_server = chosen; read_generation = stamp; read_seen = seen;
          printf("cpu %d: sends the read to server %d, generation %d\n", c, chosen, stamp)
       :: else
       fi;
       stamp = 0; seen = 0; entry = 0; chosen = 0 }
  od;
look:
  atomic { SECOND_LOOK; printf("cpu %d: the entry is %d, the generation %d\n", c, entry, stamp) };
  if
  :: d_step { (entry == ADDING || entry == REMOVING || next > STAMPS || !MAY_GO(request)) ->
       printf("cpu %d: frozen\n", c); request = 0; known = 0; stamp = 0; entry = 0 }
  :: d_step { (entry == COLD || entry == HOT) && next <= STAMPS && MAY_GO(request) ->
       w_request[next] = request; w_known[next] = known; w_generation[next] = stamp;
       w_server[next] = (entry == HOT && request == 1 -> 1 : 0);
       printf("cpu %d: stamps write %d as version %d, generation %d, to server %d\n", c, request, next, stamp,
              w_server[next]);
       next++; request = 0; known = 0; stamp = 0; entry = 0 }
  fi;
  goto idle
}

#ifdef REQUEST_GENERATION
#define REPLY_GENERATION(g, s) (g)
#else
#define REPLY_GENERATION(g, s) MAX(g, fence[s])
#endif
/* A reply passes the directory now, or not at all: whatever comes later is a replay. */
#define PASS(s, v, g, flagged)                                                                   \
  if                                                                                             \
  :: TRACKED && !(flagged) && (g) >= since && v > completed -> completed = v; set = BIT(s)       \
  :: TRACKED && !(flagged) && (g) >= since && v == completed -> set = set | BIT(s)               \
  :: else                                                                                        \
  fi;                                                                                            \
  if                                                                                             \
  :: !TRACKED || !(flagged) || v <= completed -> returned = MAX(returned, v)                     \
  :: else                                                                                        \
  fi
#ifdef KNOWN_IGNORED
#define KNOWS_TOO_LITTLE(k, s) false
#else
#define KNOWS_TOO_LITTLE(k, s) ((fence[s] != 0 && (k) <= fence[s]) || (k) < floor[s])
#endif
#define RQ(v) w_request[v]
#define DELIVER(v)                                                                               \
  :: d_step { v < next && w_server[v] == s && w_generation[v] >= MAX(fence[s], floor[s]) &&      \
       SESSION(s, RQ(v)) == 0 && !KNOWS_TOO_LITTLE(w_known[v], s) ->                             \
       printf("server %d: executes write %d as version %d (stored %d)\n", s, RQ(v), v, stored[s]); \
       if :: executed[RQ(v)] != 0 -> VIOLATED("VIOLATED: a write took effect twice\n") :: else fi; \
       executed[RQ(v)] = v; SESSION(s, RQ(v)) = v; stored[s] = MAX(stored[s], v);                \
       check_sets() }                                                                            \
  :: d_step { v < next && w_server[v] == s && w_generation[v] >= floor[s] &&                     \
       SESSION(s, RQ(v)) != 0 && !finished[RQ(v)] &&                                             \
       (!TRACKED || stored[s] >= SESSION(s, RQ(v)) || SESSION(s, RQ(v)) <= completed) ->         \
       scratch = SESSION(s, RQ(v));                                                              \
       printf("server %d: replies to write %d, version %d; it reaches the client\n", s, RQ(v), scratch); \
       PASS(s, scratch, REPLY_GENERATION(w_generation[v], s), stored[s] < scratch);              \
       finished[RQ(v)] = 1; last_known[RQ(v)] = generation; scratch = 0;                         \
       check_sets() }

/* A copy: of what a member stores, under the present generation, arrives at once or never. */
#define RECEIVE_COPY(from, s)                                                                    \
  :: d_step { mode == HOT && (set & BIT(from)) && stored[s] <= stored[from] && stored[from] > 0 && \
       !(set & BIT(s)) && fence[s] <= since ->                                                   \
       stored[s] = stored[from];                                                                 \
       printf("server %d: stores a COPY of version %d\n", s, stored[s]);                         \
       scratch = stored[s]; if :: scratch == completed -> set = set | BIT(s)                     \
       :: scratch > completed -> completed = scratch; set = BIT(s) :: else fi; scratch = 0;      \
       check_sets() }

proctype Server(byte s) {
  do
  DELIVER(1) DELIVER(2)
#if STAMPS > 2
  DELIVER(3)
#endif
  RECEIVE_COPY(1 - s, s)
  :: d_step { read_server == s && read_generation >= floor[s] ->
       printf("server %d: answers the read with version %d\n", s, stored[s]);
       if
       :: stored[s] < read_seen -> VIOLATED("VIOLATED: a read returned an older version than was returned before it\n")
       :: else
       fi;
       if
       :: stored[s] > 0 -> PASS(s, stored[s], REPLY_GENERATION(read_generation, s), 0)
       :: else
       fi;
       read_server = NOBODY; read_generation = 0; read_seen = 0;
       check_sets() }
  :: d_step { read_server == s -> read_server = NOBODY; read_generation = 0; read_seen = 0;
       printf("network: the read is lost\n") }
  :: d_step { step == RAISED && !(fenced & BIT(s)) ->
       fence[s] = fence_generation; fenced = fenced | BIT(s);
       if :: demotes || s == 0 -> base = MAX(base, stored[s]) :: else fi;
       if :: !finished[0] && merged[0] == 0 -> merged[0] = SESSION(s, 0) :: else fi;
       if :: !finished[1] && merged[1] == 0 -> merged[1] = SESSION(s, 1) :: else fi;
       printf("server %d: FENCE %d, stores version %d\n", s, fence_generation, stored[s]) }
  :: d_step { step == SYNCING && !(synced & BIT(s)) ->
       synced = synced | BIT(s);
       if
       :: !demotes || s == 0 ->
          if :: SESSION(s, 0) == 0 -> SESSION(s, 0) = merged[0] :: else fi;
          if :: SESSION(s, 1) == 0 -> SESSION(s, 1) = merged[1] :: else fi
       :: else
       fi;
       if :: s == 0 -> stored[s] = MAX(stored[s], base) :: else fi;
       printf("server %d: SYNC\n", s);
       check_sets() }
#if FLOORS > 0
  :: d_step { floor_generation > floor[s] -> floor[s] = floor_generation;
       if :: fence[s] < floor_generation -> fence[s] = 0; if :: s != 0 -> stored[s] = 0 :: else fi :: else fi;
       printf("server %d: FLOOR %d, stores version %d\n", s, floor_generation, stored[s]);
       check_sets() }
#endif
  od
}

proctype Controller() {
  do
  :: d_step { step == IDLE && transitions < TRANSITIONS && (mode == COLD || mode == HOT) ->
       demotes = (mode == HOT); transitions++; fenced = 0; synced = 0; base = 0; merged[0] = 0; merged[1] = 0;
#ifdef GENERATION_BEFORE_ENTRY
       generation++; fence_generation = generation;
       printf("controller: generation %d\n", generation);
#else
       mode = (demotes -> REMOVING : ADDING);
       printf("controller: the entry is %d (1: adding, 3: removing)\n", mode);
#endif
       step = BEGUN }
  :: d_step { step == BEGUN ->
#ifdef GENERATION_BEFORE_ENTRY
       mode = (demotes -> REMOVING : ADDING);
       printf("controller: the entry is %d (1: adding, 3: removing)\n", mode);
#else
       generation++; fence_generation = generation;
       printf("controller: generation %d\n", generation);
#endif
       step = RAISED }
  :: d_step { step == RAISED && fenced == 3 -> step = SYNCING; printf("controller: all have answered FENCE; base %d\n", base) }
  :: d_step { step == SYNCING && synced == 3 -> generation++; step = CLOSING;
       printf("controller: all have answered SYNC; generation %d\n", generation) }
  :: d_step { step == CLOSING ->
       if
       :: demotes -> mode = COLD; set = 0; completed = 0; since = 0
       :: else -> mode = HOT; set = 1; completed = base; since = fence_generation
       fi;
       step = IDLE; fenced = 0; synced = 0; base = 0; merged[0] = 0; merged[1] = 0; fence_generation = 0;
       printf("controller: the entry is %d (0: gone, 2: hot), completed %d\n", mode, completed);
       check_sets() }
#if FLOORS > 0
  :: d_step { step == IDLE && mode == COLD && transitions == 2 && floors < FLOORS ->
       generation++; floor_generation = generation; floors++;
       printf("controller: FLOOR %d\n", generation) }
#endif
  od
}

init {
  atomic { run Server(0); run Server(1); run Controller(); run CPU(0); run CPU(1) }
}
