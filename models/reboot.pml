/*
 * The directory host reboots. Everything that the directory knew is gone: entry, completed version,
 * generation, version counter. It comes back with a new epoch (the only thing that it has kept, or been
 * given), ADMITs every server to it, has each answer FENCE, brings the home server up to the newest
 * version, merges the session entries, and serves with no entries. It may reboot again in the middle.
 *
 * The key is hot at the start. Versions are ordered by epoch first, so that the counter starts above
 * everything stamped before. Requests and copies of an earlier directory may be under way for ever.
 */
#ifndef SERVERS
#define SERVERS 3
#endif
#ifndef STAMPS
#define STAMPS 3
#endif
#ifndef REBOOTS
#define REBOOTS 2
#endif
#define REQUESTS 2
#include "common.pml"

#define ALL ((1 << SERVERS) - 1)
#define COLD 0
#define HOT 1
byte mode = HOT;
byte epoch = 1, next = 1, set = 1, completed;
bit serving = 1;
byte reboots;

/* The steps of a reboot. */
byte admitted, learned, synced, base, merged[REQUESTS];

byte stored[SERVERS], server_epoch[SERVERS];
byte session[SERVERS * REQUESTS];
#define SESSION(s, r) session[(s) * REQUESTS + (r)]

/* Facts of the network, as in transitions.pml. */
#define PER_VERSION (STAMPS + 1)
byte w_request[PER_VERSION], w_epoch[PER_VERSION], w_known[PER_VERSION], w_server[PER_VERSION];
byte w_version[PER_VERSION]; /* what the stamp says; a directory that forgets stamps a version twice */
byte stamps = 1;
byte reply_epoch[SERVERS * PER_VERSION], copy_epoch[PER_VERSION];
#define AT(s, v) ((s) * PER_VERSION + (v))
#define NOBODY 255
byte read_server = NOBODY, read_epoch, read_seen;
bit finished[REQUESTS];
byte last_known[REQUESTS], executed[REQUESTS], returned;
/* The version that was returned when a request was first sent. */
byte sent_after[REQUESTS];

#define HOLDS(s) (mode == COLD || !(set & BIT(s)) || stored[s] >= completed)
inline check_sets() {
  if
  :: !HOLDS(0) || !HOLDS(1) || !HOLDS(SERVERS - 1) ->
     VIOLATED("VIOLATED: a member of the replica set stores less than the completed version\n")
  :: mode == HOT && completed < returned -> VIOLATED("VIOLATED: completed version below what a client was told\n")
  :: else
  fi
}

/* A request keeps its target while the key is hot. */
#define TARGET(r) (mode == HOT -> (r + 1) % SERVERS : 0)
#define KNOWN(r) (finished[r] -> last_known[r] : epoch)
#ifdef DIRECT_REQUESTS /* requests reach the directory at once and once */
#define MAY_BE_STAMPED(r) (!finished[r])
#else
#define MAY_BE_STAMPED(r) true
#endif
#define STAMP(r)                                                                                 \
  :: d_step { serving && stamps <= STAMPS && MAY_BE_STAMPED(r) ->                                                  \
       if :: sent_after[r] == 0 -> sent_after[r] = returned + 1 :: else fi;                      \
       w_request[stamps] = r; w_epoch[stamps] = epoch; w_known[stamps] = KNOWN(r);               \
       w_server[stamps] = TARGET(r); w_version[stamps] = next;                                   \
       printf("directory: stamps write %d as version %d, epoch %d, to server %d\n", r, next, epoch, TARGET(r)); \
       next++; stamps++ }
#define READ(s)                                                                                  \
  :: d_step { serving && read_server == NOBODY && ((mode == COLD && s == 0) || (mode == HOT && (set & BIT(s)))) -> \
       read_server = s; read_epoch = epoch; read_seen = returned;                                \
       printf("directory: sends a read to server %d, epoch %d; version %d was returned before\n", s, epoch, returned) }

/* What servers say in an epoch that is not the directory's, or of an earlier one, is dropped. */
#define REPORTS(s, v)                                                                            \
  :: d_step { serving && reply_epoch[AT(s, v)] == epoch && v < next &&                           \
       (returned < v || !finished[OWNER(v)] || (mode == HOT && (v > completed || (v == completed && !(set & BIT(s)))))) -> \
       if                                                                                        \
       :: mode == HOT && v > completed -> completed = v; set = BIT(s)                            \
       :: mode == HOT && v == completed -> set = set | BIT(s)                                    \
       :: else                                                                                   \
       fi;                                                                                       \
       if :: !finished[OWNER(v)] && executed[OWNER(v)] == v -> finished[OWNER(v)] = 1; last_known[OWNER(v)] = epoch; \
             if :: v < sent_after[OWNER(v)] -> VIOLATED("VIOLATED: a write is older than what was returned before it\n") :: else fi \
       :: else fi;                                                                               \
       returned = MAX(returned, v);                                                              \
       printf("directory: records a reply of server %d, version %d; set %d\n", s, v, set);       \
       check_sets() }
byte owner[PER_VERSION]; /* the request that was executed under a version */
#define OWNER(v) owner[v]

proctype Plane() {
  do
  STAMP(0) STAMP(1) READ(0) READ(1)
  REPORTS(0, 1) REPORTS(0, 2) REPORTS(1, 1) REPORTS(1, 2)
#if STAMPS > 2
  REPORTS(0, 3) REPORTS(1, 3)
#endif
#if SERVERS > 2
  READ(2) REPORTS(2, 1) REPORTS(2, 2)
#if STAMPS > 2
  REPORTS(2, 3)
#endif
#endif
  :: d_step { read_server != NOBODY -> read_server = NOBODY; read_epoch = 0; read_seen = 0;
       printf("network: the read is lost\n") }
  od
}

#ifdef NOT_FENCED
#define RIGHT_EPOCH(e, s) true
#else
#define RIGHT_EPOCH(e, s) ((e) == server_epoch[s])
#endif
#ifdef OLD_WRITES_UNSEEN
#define KNOWS_TOO_LITTLE(i, s) false
#else /* a write is executed unseen only if its sender knew this epoch: the fence of the reboot */
#define KNOWS_TOO_LITTLE(i, s) (w_known[i] < server_epoch[s])
#endif
#define DELIVER(i)                                                                               \
  :: d_step { i < stamps && w_server[i] == s && RIGHT_EPOCH(w_epoch[i], s) &&                    \
       SESSION(s, w_request[i]) == 0 && !KNOWS_TOO_LITTLE(i, s) ->                               \
       printf("server %d: executes write %d as version %d (stored %d)\n", s, w_request[i], w_version[i], stored[s]); \
       if :: executed[w_request[i]] != 0 -> VIOLATED("VIOLATED: a write took effect twice\n") :: else fi; \
       if :: owner[w_version[i]] != 0 && owner[w_version[i]] != w_request[i] -> VIOLATED("VIOLATED: two writes have one version\n") :: else fi; \
       executed[w_request[i]] = w_version[i]; owner[w_version[i]] = w_request[i];                \
       SESSION(s, w_request[i]) = w_version[i];                                                  \
       if :: w_version[i] > stored[s] -> stored[s] = w_version[i]; copy_epoch[w_version[i]] = server_epoch[s] :: else fi; \
       reply_epoch[AT(s, w_version[i])] = server_epoch[s] }                                      \
  :: d_step { i < stamps && w_server[i] == s && RIGHT_EPOCH(w_epoch[i], s) &&                    \
       SESSION(s, w_request[i]) != 0 && stored[s] >= SESSION(s, w_request[i]) &&                 \
       reply_epoch[AT(s, SESSION(s, w_request[i]))] < server_epoch[s] ->                         \
       reply_epoch[AT(s, SESSION(s, w_request[i]))] = server_epoch[s];                           \
       printf("server %d: write %d again: its result has version %d\n", s, w_request[i], SESSION(s, w_request[i])) }
#define COPY(v)                                                                                  \
  :: d_step { copy_epoch[v] != 0 && RIGHT_EPOCH(copy_epoch[v], s) && v > stored[s] ->            \
       stored[s] = v; reply_epoch[AT(s, v)] = server_epoch[s];                                   \
       printf("server %d: stores a COPY of version %d\n", s, v) }

#ifdef ONLY_HOME_ASKED
#define NEEDED (learned | 1)
#else
#define NEEDED ALL
#endif

proctype Server(byte s) {
  do
  DELIVER(1) DELIVER(2) COPY(1) COPY(2)
#if STAMPS > 2
  DELIVER(3) COPY(3)
#endif
  :: d_step { read_server == s && RIGHT_EPOCH(read_epoch, s) ->
       printf("server %d: answers the read with version %d\n", s, stored[s]);
       if /* a reply of an earlier epoch does not pass the directory */
       :: stored[s] < read_seen && serving && server_epoch[s] == epoch ->
          VIOLATED("VIOLATED: a read returned an older version than was returned before it\n")
       :: else
       fi;
       if :: stored[s] != 0 -> reply_epoch[AT(s, stored[s])] = server_epoch[s] :: else fi;
       read_server = NOBODY; read_epoch = 0; read_seen = 0 }
  :: d_step { !serving && !(admitted & BIT(s)) -> admitted = admitted | BIT(s); server_epoch[s] = epoch;
       printf("server %d: ADMIT to epoch %d\n", s, epoch) }
#ifdef LEARNED_BEFORE_ADMITTED
  :: d_step { !serving && !(learned & BIT(s)) ->
#else
  :: d_step { !serving && admitted == ALL && !(learned & BIT(s)) ->
#endif
       learned = learned | BIT(s); base = MAX(base, stored[s]);
       if :: !finished[0] && merged[0] == 0 -> merged[0] = SESSION(s, 0) :: else fi;
       if :: !finished[1] && merged[1] == 0 -> merged[1] = SESSION(s, 1) :: else fi;
       printf("server %d: says that it stores version %d\n", s, stored[s]) }
  :: d_step { !serving && admitted == ALL && learned == NEEDED && !(synced & BIT(s)) ->
       synced = synced | BIT(s);
#ifndef HOME_LEFT_BEHIND
       if :: s == 0 -> stored[0] = MAX(stored[0], base) :: else fi;
#endif
#ifndef NO_SESSION_SYNC
       if :: SESSION(s, 0) == 0 -> SESSION(s, 0) = merged[0] :: else fi;
       if :: SESSION(s, 1) == 0 -> SESSION(s, 1) = merged[1] :: else fi;
#endif
       printf("server %d: SYNC\n", s) }
  od
}
proctype Controller() {
  do
  :: d_step { reboots < REBOOTS ->
       reboots++; mode = COLD; set = 0; completed = 0; admitted = 0; learned = 0; synced = 0; base = 0;
       merged[0] = 0; merged[1] = 0;
       epoch++;
#ifdef FORGETS
       epoch--; next = 1; serving = 1;
#else
       serving = 0;
#endif
       printf("controller: the directory has rebooted, epoch %d\n", epoch) }
  :: d_step { !serving && synced == ALL -> serving = 1; admitted = 0; learned = 0; synced = 0; base = 0;
       merged[0] = 0; merged[1] = 0;
       printf("controller: the directory serves\n") }
  od
}
init {
  d_step { server_epoch[0] = 1; server_epoch[1] = 1; server_epoch[SERVERS - 1] = 1 }
  atomic { run Plane(); run Controller(); run Server(0); run Server(1);
#if SERVERS > 2
    run Server(2);
#endif
  }
}
