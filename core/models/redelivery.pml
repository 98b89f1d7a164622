/* The leases of core/channel_tasks.cpp and core/arena.hpp: a message that was taken comes again until it is acknowledged.
 *
 * All messages lie in the line at first; consumers take, work and acknowledge until everything is acknowledged. Every
 * store under the lock is a step, so a kill may come between any two; the lock itself is lock.pml's matter, here the next
 * owner learns of a death and repairs. Whoever finds nothing to take and somebody dead sweeps, which is the same repair.
 *
 * KILLS  how many consumers may be killed, less than all
 */
#ifndef KILLS
#define KILLS 0
#endif
#define CONSUMERS 3
#define MESSAGES 2
#define NONE 0
#define QUEUED 9

byte head = 0, tail = MESSAGES;
byte slot[MESSAGES], slot_deliveries[MESSAGES];
byte owner[MESSAGES + 1], ticket[MESSAGES + 1], deliveries[MESSAGES + 1];
bool leased[MESSAGES + 1];
byte lock_owner;

/* What is true. */
byte holder[MESSAGES + 1];                                /* has the message and has not acknowledged it */
byte died_with[MESSAGES + 1];
bool acknowledged[MESSAGES + 1];
bool dead[CONSUMERS + 1];
byte left = MESSAGES;

#define NAMED(b) (ticket[b] >= head && ticket[b] < tail && slot[ticket[b]] == b)
#define OWNED(b) (owner[b] != NONE && owner[b] != QUEUED && !dead[owner[b]])
#define ORPHAN(b) (leased[b] && !NAMED(b) && owner[b] != NONE && !OWNED(b))

inline enter(me) {
  atomic { lock_owner == NONE || dead[lock_owner] -> after_death = lock_owner != NONE; lock_owner = me };
  if
  :: after_death -> repair()
  :: else
  fi
}

/* Arena::rebuild: whose every block is. */
inline decide(b) {
  if
  :: atomic { NAMED(b) -> leased[b] = false };
     atomic {
       if
       :: !OWNED(b) -> owner[b] = QUEUED
       :: else
       fi
     }
  :: atomic { ORPHAN(b) -> owner[b] = QUEUED }
  :: atomic { !NAMED(b) && !ORPHAN(b) && !OWNED(b) && owner[b] != NONE -> assert(acknowledged[b]); owner[b] = NONE }
  :: atomic { owner[b] == NONE || (!NAMED(b) && OWNED(b)) -> skip }
  fi
}

/* Channel::put_back, of what was put last first. */
inline put_back(b) {
#ifdef MUTANT_ENDS_LEASE_FIRST
  leased[b] = false;
#endif
  slot_deliveries[head - 1] = deliveries[b] + 1;
#ifdef MUTANT_COUNTS_IN_HEADER
  deliveries[b] = deliveries[b] + 1;
#endif
  slot[head - 1] = b;
  ticket[b] = head - 1;
  head = head - 1;
  leased[b] = false
}

inline repair() {
  decide(1);
  decide(2);
  do
  :: ORPHAN(1) && (!ORPHAN(2) || ticket[1] > ticket[2]) -> put_back(1)
  :: ORPHAN(2) && (!ORPHAN(1) || ticket[2] >= ticket[1]) -> put_back(2)
  :: else -> break
  od
}

proctype consumer(byte me) {
  byte block;
  bool after_death;
  {
    do
    :: left == 0 -> break
    :: head < tail || ORPHAN(1) || ORPHAN(2) || (lock_owner != NONE && dead[lock_owner]) ->
       enter(me);
       if
       :: head < tail ->
          block = slot[head];
#ifdef MUTANT_RELEASES_FIRST
          atomic { head = head + 1; holder[block] = me };
#endif
          deliveries[block] = slot_deliveries[ticket[block]];
          leased[block] = true;
          owner[block] = me;
#ifndef MUTANT_RELEASES_FIRST
          atomic {                                        /* taken from here on */
            head = head + 1;
            assert(holder[block] == NONE && !acknowledged[block]);    /* nobody else has it */
            holder[block] = me
          };
#endif
          assert(deliveries[block] == died_with[block])   /* marked with every earlier delivery */
       :: else -> repair()
       fi;
       lock_owner = NONE;
       if
       :: block != 0 ->
          skip;                                           /* it works */
          enter(me);
          atomic { owner[block] = NONE; holder[block] = NONE; acknowledged[block] = true; left-- };
          leased[block] = false;
          block = 0;
          lock_owner = NONE
       :: else
       fi
    od
  } unless { atomic { dead[me]; block = 0; after_death = false } }
}

/* Everything that a dead consumer had in its hands is to come again. */
proctype killer() {
  byte kills, victim;
  do
  :: kills < KILLS ->
     atomic {
       select(victim : 1 .. CONSUMERS);
       if
       :: !dead[victim] ->
          dead[victim] = true;
          kills++;
          if
          :: holder[1] == victim -> died_with[1]++; holder[1] = NONE
          :: else
          fi;
          if
          :: holder[2] == victim -> died_with[2]++; holder[2] = NONE
          :: else
          fi
       :: else
       fi;
       victim = 0
     }
  :: break
  od
}

init {
  atomic {
    slot[0] = 1; ticket[1] = 0; owner[1] = QUEUED;
    slot[1] = 2; ticket[2] = 1; owner[2] = QUEUED;
    run consumer(1); run consumer(2); run consumer(3);
    run killer()
  }
}
