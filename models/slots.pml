/*
 * The move of a slot (docs/protocol.md §8): a cold key's home goes from one server to the other while
 * two CPUs stamp requests in steps (generation, whether the slot moves, its home), for as long as they
 * like. What is stored is copied first; then the slot is frozen, the generation rises, the old home is
 * fenced, the rest is sent; the new home takes the slot, the generation rises, the table changes in two
 * stores. A move may be given up once it is frozen, and the next one begins from whatever is left.
 */
#ifndef STAMPS
#define STAMPS 2
#endif
#ifndef MOVES
#define MOVES 2
#endif
#define REQUESTS 2

#include "common.pml"

byte home = 0; /* in the directory's table */
bit moving;
byte generation = 1, next = 1;

#define IDLE 0
#define COPYING 1  /* what is stored is copied, and used */
#define FREEZING 2 /* the first of freezing and generation is done */
#define FENCING 3
#define SENDING 4 /* the old home is fenced: what is left is on its way */
#define TAKING 5
#define TAKEN 6
#define SWITCHING 7 /* the generation has risen again */
#define HALF 8      /* the first of the table's two stores is done */
#define LEAVING 9
byte step = IDLE;
byte old, moves, fence_generation, copied, left_over[REQUESTS];
#define NEW (1 - old)

byte stored[2], fence[2];
byte owner = 1; /* bit per server that takes the slot for its own */
byte session[4];
#define SESSION(s, r) session[(s) * REQUESTS + (r)]

/* Stamped writes: facts, once sent they may arrive at any time and any number of times. */
#define PER_VERSION (STAMPS + 1)
byte w_request[PER_VERSION], w_generation[PER_VERSION], w_known[PER_VERSION], w_server[PER_VERSION];
#define NOBODY 255
byte read_server = NOBODY, read_seen;

bit finished[REQUESTS];
byte last_known[REQUESTS], executed[REQUESTS];
byte returned;

/* A finished request is not sent again, but a late duplicate of it may come, unless they are direct. */
#define KNOWN(r) (finished[r] -> last_known[r] : generation)

#ifdef DIRECT_REQUESTS /* requests reach the directory at once and once */
#define MAY_COME(r) (!finished[r])
#else
#define MAY_COME(r) true
#endif

#define WRITE(r)                                                                                 \
  :: d_step { next <= STAMPS && MAY_COME(r) -> request = r; known = KNOWN(r); stamp = generation;               \
       printf("cpu %d: takes write %d (known %d), reads generation %d\n", c, r, known, stamp) }  \
     goto look

proctype CPU(byte c) {
  byte request, known, stamp, target, seen;
idle:
  do
  WRITE(0) WRITE(1)
  :: d_step { read_server == NOBODY && returned > 0 -> seen = returned;
       printf("cpu %d: takes a read; version %d was returned before\n", c, seen) };
     d_step { target = home };
     d_step {
       if
       :: read_server == NOBODY -> read_server = target; read_seen = seen;
          printf("cpu %d: sends the read to server %d\n", c, target)
       :: else
       fi;
       seen = 0; target = 0 }
  od;
look:
#ifdef HOME_READ_FIRST
  atomic { target = home };
#endif
  if
  :: d_step { moving || next > STAMPS -> printf("cpu %d: frozen\n", c);
       request = 0; known = 0; stamp = 0; target = 0 }; goto idle
  :: d_step { !moving -> skip }
  fi;
#ifndef HOME_READ_FIRST
  d_step { target = home };
#endif
  d_step {
    if
    :: next <= STAMPS && MAY_COME(request) ->
       w_request[next] = request; w_known[next] = known; w_generation[next] = stamp; w_server[next] = target;
       printf("cpu %d: stamps write %d as version %d, generation %d, to server %d\n", c, request, next, stamp,
              target);
       next++
    :: else
    fi;
    request = 0; known = 0; stamp = 0; target = 0 };
  goto idle
}

#ifdef NOT_FENCED
#define IS_BEFORE(v, s) false
#else
#define IS_BEFORE(v, s) (w_generation[v] < fence[s])
#endif
#ifdef KNOWN_IGNORED
#define KNOWS_TOO_LITTLE(k, s) false
#else
#define KNOWS_TOO_LITTLE(k, s) (fence[s] != 0 && (k) <= fence[s])
#endif
#define RQ(v) w_request[v]
#define OWNS(s) (owner & BIT(s))

#define DELIVER(v)                                                                               \
  :: d_step { v < next && w_server[v] == s && OWNS(s) && SESSION(s, RQ(v)) == 0 &&               \
       !IS_BEFORE(v, s) && !KNOWS_TOO_LITTLE(w_known[v], s) ->                                   \
       printf("server %d: executes write %d as version %d (stored %d)\n", s, RQ(v), v, stored[s]); \
       if :: executed[RQ(v)] != 0 -> VIOLATED("VIOLATED: a write took effect twice\n") :: else fi; \
       executed[RQ(v)] = v; SESSION(s, RQ(v)) = v; stored[s] = MAX(stored[s], v);                \
       REACHED_IF(s == 1, "VIOLATED: reached: a write at the new home\n") }                      \
  :: d_step { v < next && w_server[v] == s && OWNS(s) && SESSION(s, RQ(v)) != 0 && !finished[RQ(v)] -> \
       scratch = SESSION(s, RQ(v));                                                              \
       printf("server %d: replies to write %d, version %d\n", s, RQ(v), scratch);                \
       returned = MAX(returned, scratch);                                                        \
       finished[RQ(v)] = 1; last_known[RQ(v)] = generation; scratch = 0 }

proctype Server(byte s) {
  do
  DELIVER(1) DELIVER(2)
#if STAMPS > 2
  DELIVER(3)
#endif
  :: d_step { read_server == s && OWNS(s) ->
       printf("server %d: answers the read with version %d\n", s, stored[s]);
       if
       :: stored[s] < read_seen -> VIOLATED("VIOLATED: a read returned an older version than was returned before it\n")
       :: else
       fi;
       read_server = NOBODY; read_seen = 0 }
  :: d_step { read_server == s -> read_server = NOBODY; read_seen = 0; printf("network: the read is lost\n") }
  od
}

#define GIVE_UP                                                                                  \
  :: d_step { step >= FENCING && step <= TAKEN && moves < MOVES -> generation++; moving = 0; step = IDLE; \
       fence_generation = 0; copied = 0; left_over[0] = 0; left_over[1] = 0;                     \
       printf("controller: gives the move up, generation %d\n", generation) }

proctype Controller() {
  do
  :: d_step { step == IDLE && moves < MOVES -> old = home; moves++; generation++;
       /* The new home drops what it has left over, and takes the slot for its own no more. */
       owner = BIT(home); stored[NEW] = 0; copied = 0; step = COPYING;
       printf("controller: move %d from server %d, generation %d\n", moves, old, generation) }
  /* The bulk: of whatever is stored at some moment. */
  :: d_step { step == COPYING && copied != stored[old] -> copied = stored[old]; stored[NEW] = copied;
       printf("server %d: has sent version %d\n", old, copied) }
  :: d_step { step == COPYING ->
#ifdef GENERATION_BEFORE_FROZEN
       generation++; fence_generation = generation;
#else
#ifndef NOT_FROZEN
       moving = 1;
#endif
#endif
       step = FREEZING; printf("controller: freezes the slot\n") }
  :: d_step { step == FREEZING ->
#ifdef GENERATION_BEFORE_FROZEN
       moving = 1;
#else
       generation++; fence_generation = generation;
#endif
       step = FENCING; printf("controller: generation %d\n", fence_generation) }
  :: d_step { step == FENCING -> fence[old] = fence_generation;
#ifndef SESSIONS_STAY
       /* Below a client's acknowledged mark nothing is told: it has finished that. */
       left_over[0] = (finished[0] -> 0 : SESSION(old, 0)); left_over[1] = (finished[1] -> 0 : SESSION(old, 1));
#endif
#ifndef CHANGES_MISSED
       copied = stored[old];
#endif
       step = SENDING; printf("server %d: is fenced, sends version %d\n", old, copied) }
  :: d_step { step == SENDING -> stored[NEW] = MAX(stored[NEW], copied);
       if :: SESSION(NEW, 0) == 0 -> SESSION(NEW, 0) = left_over[0] :: else fi;
       if :: SESSION(NEW, 1) == 0 -> SESSION(NEW, 1) = left_over[1] :: else fi;
       step = TAKING; printf("server %d: has everything, version %d\n", NEW, stored[NEW]) }
  :: d_step { step == TAKING -> owner = owner | BIT(NEW); fence[NEW] = fence_generation;
       step = TAKEN; printf("server %d: takes the slot\n", NEW) }
  GIVE_UP
  :: d_step { step == TAKEN ->
#ifndef NO_SECOND_GENERATION
       generation++;
#endif
       step = SWITCHING; printf("controller: generation %d\n", generation) }
  :: d_step { step == SWITCHING ->
#ifdef THAWED_BEFORE_HOME
       moving = 0;
#else
       home = NEW;
#endif
       step = HALF; printf("directory: home %d, moving %d\n", home, moving) }
  :: d_step { step == HALF -> home = NEW; moving = 0;
       step = LEAVING; printf("directory: home %d, moving %d\n", home, moving) }
  :: d_step { step == LEAVING -> owner = owner & ~BIT(old); step = IDLE;
       fence_generation = 0; copied = 0; left_over[0] = 0; left_over[1] = 0;
       printf("server %d: leaves the slot\n", old) }
  od
}

init {
  atomic { run Server(0); run Server(1); run Controller(); run CPU(0); run CPU(1) }
}
