/*
 * The loss and the return of a server (docs/protocol.md §8, "Server lost"), for transitions.pml.
 *
 * A lost server need not be dead: it goes on executing what reaches it, and its replies and copies
 * are dropped by the directory. It returns empty, as another incarnation: what was on its way to or
 * from the earlier one is void.
 */
byte recovering = 0;

#ifdef RETURN_BELIEVED
#define NOT_A_TARGET(s) true
#else
#define NOT_A_TARGET(s) (loss_told && (mode == COLD || (target[0] != (s) && target[1] != (s))))
#endif

#define LOSE(s)                                                                                  \
  :: d_step { losses < LOSSES && alive == ALL ->                                                 \
       losses++; alive = alive & ~BIT(s); gone = s; away = s;                                    \
       if /* a batch under way is given up */                                                    \
       :: step != IDLE && step != GIVING_UP -> step = GIVING_UP; synced = NOBODY                 \
       :: else                                                                                   \
       fi;                                                                                       \
       printf("controller: server %d is lost\n", s) }

/* A message to or from the earlier incarnation is dropped. */
inline void_messages(s) {
  scratch = 1;
  do
  :: scratch < PER_VERSION ->
     if :: w_server[scratch] == s -> w_server[scratch] = NOBODY :: else fi;
     reply_least[AT(s, scratch)] = 0; reply_most[AT(s, scratch)] = 0; reply_flagged[AT(s, scratch)] = 0;
     reply_to_write[AT(s, scratch)] = 0; copy_ack[AT(s, scratch)] = 0;
     scratch++
  :: else -> scratch = 0; break
  od;
  if :: read_server == s -> read_server = NOBODY; read_generation = 0; read_seen = 0 :: else fi
}

proctype Losses() {
  do
  LOSE(0) LOSE(1)
#if SERVERS > 2
  LOSE(2)
#endif
  :: d_step { /* after a grace period; the slot is frozen before the generation of the loss is known */
       gone != NOBODY && recovering == 0 && step == IDLE ->
       set = set & ~BIT(gone); moving = (gone == home); recovering = 1;
       printf("controller: server %d leaves the set, slot frozen: %d\n", gone, moving) }
  :: d_step { recovering == 1 ->
       generation++; era = generation; loss_generation = generation; recovering = 2;
       printf("controller: generation %d of the loss\n", generation) }
  :: d_step { recovering == 2 -> /* SLOTS_SET */
       if
       :: gone == home ->
          home = (home + 1) % SERVERS;
          slot_loss[home] = loss_generation; loss[home] = MAX(loss[home], loss_generation);
#ifndef LEFTOVER_KEPT
          if :: mode == COLD -> stored[home] = 0 :: else fi;
#endif
          if :: stored[home] == 0 -> lost_here[home] = 1 :: else fi
       :: else
       fi;
       moving = 0; recovering = 0; gone = NOBODY; loss_told = (mode == COLD);
       printf("controller: the home server is %d; it stores version %d\n", home, stored[home]) }
#if RETURNS > 0
  :: d_step { returns < RETURNS && away != NOBODY && gone == NOBODY && step == IDLE && NOT_A_TARGET(away) ->
       returns++;
#ifndef INCARNATION_IGNORED
       void_messages(away);
#endif
       stored[away] = 0; fence[away] = 0; loss[away] = 0; lost_here[away] = 0; slot_loss[away] = 0;
       SESSION(away, 0) = 0; SESSION(away, 1) = 0;
       floor[away] = generation;
       alive = ALL;
       printf("server %d: returns empty, with floor %d\n", away, generation);
       away = NOBODY }
#endif
  od
}
