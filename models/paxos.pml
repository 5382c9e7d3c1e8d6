/*
 * One object of the Paxos store (docs/store.md): the fast path by the proposer that the last chosen
 * value names, phase 1 and 2, and a replica that loses its disk. Sources/Paxos/ObjectCore.swift and
 * the files beside it are the code.
 *
 * Entry 0 is chosen and names proposer 0; entries 1..ENTRIES are open one after the other. There are
 * two proposers, the first of which may start again; each has one ballot with phase 1 for each entry,
 * and one without for each incarnation. A value is its proposer in its incarnation. Messages are
 * facts: once sent they may arrive at any time, any number of times, or never. Whoever may promise a
 * ballot does so when it likes; a value counts as chosen with its last vote, whoever hears of it.
 */
#ifndef NODES
#define NODES 3
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef WIPES
#define WIPES 1
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#define QUORUM (NODES / 2 + 1)

#include "common.pml"

/* Ballots 0, 1: of proposer 0 without phase 1, in its two incarnations; 2: of proposer 1; 3, 4: of
   proposers 0 and 1 with phase 1. */
#define BALLOTS 5
#define SLOTS ((ENTRIES + 1) * BALLOTS)
#define AT(e, b) ((e) * BALLOTS + (b))
/* Values 1, 2: of proposer 0 in its two incarnations; 3: of proposer 1. */
#define VALUE_OF(b) ((b) < 3 -> (b) + 1 : ((b) == 3 -> 1 + incarnation : 3))
#define PROPOSER(b) ((b) == 2 || (b) == 4 -> 1 : 0)
/* Ballots 0 and 1 are used in their incarnation only. */
#define IS_PRESENT(b) ((b) > 1 || (b) == incarnation)

/* Replicas. What is promised and accepted is for the entry after the one known as chosen. */
byte known[NODES];
byte promised[NODES]; /* ballot + 1; 0: none */
byte accepted[NODES]; /* ballot + 1; 0: none */
byte floor[NODES];
/* The one that was wiped, and its recovery. */
#define NOBODY 255
byte lost = NOBODY;
bool doubtful;
byte answered;
byte highest;

/* Messages. */
byte promises[SLOTS]; /* bit: replica */
byte best[SLOTS];     /* the highest vote told by those promises: ballot + 1 */
byte proposal[SLOTS]; /* value; 0: phase 2 has not begun */
byte votes[SLOTS];    /* bit: replica */

byte chosen[ENTRIES + 1];
byte incarnation;
byte wipes;

#define COUNT(s) (((s) & 1) + (((s) >> 1) & 1) + (((s) >> 2) & 1) + (((s) >> 3) & 1) + (((s) >> 4) & 1))
#define MAJORITY(set) (COUNT(set) >= QUORUM)
#define VOTING(a) (!(doubtful && lost == (a)) && known[a] >= floor[a])
#define IS_OPEN(e) ((e) == 1 || chosen[(e) - 1] != 0)

/* Whom the value of the entry before names. */
#define NAMED(e) ((e) == 1 -> 1 : chosen[(e) - 1])
#ifdef FAST_BY_CHOSEN_BALLOT
#define HAD(e, b) MAJORITY(votes[AT((e) - 1, b)])
#define MAY_SKIP(e, b) ((e) == 1 -> (b) == 0 : ((b) == 2 -> HAD(e, 2) || HAD(e, 4) : HAD(e, 0) || HAD(e, 3)))
#else
#ifdef FAST_BY_NODE
#define MAY_SKIP(e, b) (NAMED(e) == 3 -> (b) == 2 : (b) < 2)
#else
#define MAY_SKIP(e, b) (NAMED(e) == (b) + 1)
#endif
#endif

inline skip_phase_1(e, b) {
  proposal[AT(e, b)] = VALUE_OF(b);
  printf("client: proposer %d proposes value %d for entry %d without phase 1\n", PROPOSER(b),
         VALUE_OF(b), e)
}

inline promise(a, e, b) {
  promises[AT(e, b)] = promises[AT(e, b)] | BIT(a);
  if
  :: known[a] >= e -> skip /* PROMISE_WITHOUT_PREFIX: nothing is said of what was chosen */
  :: else ->
     promised[a] = b + 1;
     if
#ifndef ACCEPTED_IGNORED
     :: accepted[a] > best[AT(e, b)] -> best[AT(e, b)] = accepted[a]
#endif
     :: else
     fi
  fi;
  printf("server %d: promises ballot %d for entry %d\n", a, b, e)
}

inline propose(e, b) {
  if
  :: best[AT(e, b)] != 0 -> proposal[AT(e, b)] = proposal[AT(e, best[AT(e, b)] - 1)]
  :: else -> proposal[AT(e, b)] = VALUE_OF(b)
  fi;
  best[AT(e, b)] = 0;
  printf("client: proposer %d proposes value %d for entry %d, ballot %d\n", PROPOSER(b),
         proposal[AT(e, b)], e, b)
}

inline vote(a, e, b) {
  promised[a] = b + 1;
  accepted[a] = b + 1;
  votes[AT(e, b)] = votes[AT(e, b)] | BIT(a);
  printf("server %d: votes for value %d in entry %d, ballot %d\n", a, proposal[AT(e, b)], e, b);
  if
  :: !MAJORITY(votes[AT(e, b)]) -> skip
  :: else ->
     if
     :: chosen[e] == 0 -> chosen[e] = proposal[AT(e, b)]
     :: chosen[e] == proposal[AT(e, b)] -> skip
     :: else -> VIOLATED("VIOLATED: two values are chosen for one entry\n")
     fi
  fi
}

inline learn(a) {
  known[a] = known[a] + 1;
  promised[a] = 0;
  accepted[a] = 0;
  printf("server %d: learns entry %d\n", a, known[a])
}

inline wipe(a) {
  wipes++;
  known[a] = 0; promised[a] = 0; accepted[a] = 0; floor[a] = 0;
  lost = a; answered = 0; highest = 0;
#ifndef AMNESIA_IGNORED
  doubtful = true;
#endif
  printf("server %d: loses its disk\n", a)
}

#define SEEN(x) (known[x] + (promised[x] != 0 -> 1 : 0))
inline tell(x) {
  answered = answered | BIT(x);
  highest = MAX(highest, SEEN(x));
  printf("server %d: tells server %d that it knows of entry %d\n", x, lost, SEEN(x))
}

/* Every quorum, less the one that asks, has to have a member among those that answer. */
#ifdef ASKS_TOO_FEW
#define ENOUGH (NODES - QUORUM)
#else
#define ENOUGH (NODES - QUORUM + 1)
#endif

inline recover(a) {
#ifdef VOTE_AT_FLOOR
  floor[a] = highest;
#else
  floor[a] = highest + 1;
#endif
  doubtful = false; answered = 0; highest = 0; lost = NOBODY;
  printf("server %d: votes above entry %d from now on\n", a, floor[a])
}

#ifdef PROMISE_IGNORED
#define MAY_VOTE(a, b) true
#else
#define MAY_VOTE(a, b) (promised[a] <= (b) + 1)
#endif
#ifdef PROMISE_WITHOUT_PREFIX
#define MAY_PROMISE(a, e, b) (VOTING(a) && (known[a] >= (e) || (known[a] == (e) - 1 && promised[a] <= (b) + 1)))
#else
#define MAY_PROMISE(a, e, b) (VOTING(a) && known[a] == (e) - 1 && promised[a] <= (b) + 1)
#endif

#define PROPOSE_FAST(e, b)                                                                        \
  :: d_step { IS_OPEN(e) && IS_PRESENT(b) && proposal[AT(e, b)] == 0 && MAY_SKIP(e, b) ->         \
       skip_phase_1(e, b) }
#define PROPOSE_SLOW(e, b)                                                                        \
  :: d_step { proposal[AT(e, b)] == 0 && MAJORITY(promises[AT(e, b)]) -> propose(e, b) }
#ifdef SLOW_ONCE /* proposer 0 never runs phase 1 */
#define IF_SLOW_TWICE(what)
#else
#define IF_SLOW_TWICE(what) what
#endif
#if RESTARTS
#define IF_RESTARTS(what) what
#else
#define IF_RESTARTS(what)
#endif
#define PROPOSALS_OF(e)                                                                           \
  PROPOSE_FAST(e, 0) IF_RESTARTS(PROPOSE_FAST(e, 1)) PROPOSE_FAST(e, 2)                           \
  IF_SLOW_TWICE(PROPOSE_SLOW(e, 3)) PROPOSE_SLOW(e, 4)

active proctype Proposers() {
end:
  do
  PROPOSALS_OF(1)
#if ENTRIES > 1
  PROPOSALS_OF(2)
#endif
  :: d_step { incarnation < RESTARTS -> incarnation++; printf("client: proposer 0 starts again\n") }
  od
}

/* A promise for a proposal that is made already could do nothing but raise the promise. */
#define PROMISE(e, b)                                                                             \
  :: d_step { IS_OPEN(e) && MAY_PROMISE(a, e, b) && proposal[AT(e, b)] == 0                       \
         && !(promises[AT(e, b)] & BIT(a)) -> promise(a, e, b) }
#define VOTE(e, b)                                                                                \
  :: atomic { proposal[AT(e, b)] != 0 && VOTING(a) && known[a] == (e) - 1 && MAY_VOTE(a, b)       \
         && accepted[a] != (b) + 1 -> vote(a, e, b) }
#define VOTES_OF(e)                                                                               \
  IF_SLOW_TWICE(PROMISE(e, 3)) PROMISE(e, 4)                                                      \
  VOTE(e, 0) IF_RESTARTS(VOTE(e, 1)) VOTE(e, 2) IF_SLOW_TWICE(VOTE(e, 3)) VOTE(e, 4)

proctype Replica(byte a) {
end:
  do
  VOTES_OF(1)
#if ENTRIES > 1
  VOTES_OF(2)
#endif
  :: d_step { known[a] < ENTRIES && chosen[known[a] + 1] != 0 -> learn(a) }
  :: d_step { a == 0 && wipes < WIPES && !doubtful -> wipe(a) } /* all replicas are alike */
  :: d_step { doubtful && lost != a && VOTING(a) && !(answered & BIT(a)) -> tell(a) }
  :: d_step { doubtful && lost == a && COUNT(answered) >= ENOUGH -> recover(a) }
  od
}

init {
  atomic {
    byte n;
    for (n : 0 .. NODES - 1) { run Replica(n) }
    n = 0
  }
}
