/* The arena of core/arena.cpp with its sweep: who keeps a block alive, and whether its pages are there.
 *
 * One producer streams a message through a window, a block with two owners: the line or the consumer, and the producer
 * (core/channel_stream.cpp). Both let go at their end, in any order. The lock is not modelled (lock.pml is about it): a
 * step under it is atomic. A sweep frees the places of dead participants and decides all blocks anew; from then on
 * nobody finds their names again. Another producer uses free blocks meanwhile.
 *
 * KILLS      how many of producer and consumer may be killed
 * NO_MEMORY  reserving pages may fail
 */
#ifndef KILLS
#define KILLS 0
#endif
#define BLOCKS 2
#define NONE 0
#define PRODUCER 1
#define CONSUMER 2
#define USER 3
#define QUEUED 4

byte owner[BLOCKS + 1], co_owner[BLOCKS + 1];
bool unbacked[BLOCKS + 1];      /* BlockHeader::flags */
bool committed;                 /* a slot names `streamed` */
byte streamed;

/* What is true. */
bool alive[BLOCKS + 1];         /* in use by somebody who has not let go */
bool backed[BLOCKS + 1];        /* its pages are there */
bool dead[USER + 1], swept[USER + 1], done[USER + 1];
byte lost_blocks;

inline allocate(token) {
  block = 0;
  if
  :: owner[1] == NONE && co_owner[1] == NONE -> block = 1
  :: owner[2] == NONE && co_owner[2] == NONE -> block = 2
  :: else
  fi;
  if
  :: block != 0 ->
     assert(!(alive[block]));                             /* a block is used by one message */
     alive[block] = true;
     owner[block] = token;
     must_back = unbacked[block]
#ifdef MUTANT_FORGETS_UNBACKED
     ; unbacked[block] = false
#endif
  :: else
  fi
}

inline let_owner_go(b) { owner[b] = NONE; alive[b] = co_owner[b] != NONE }

proctype producer() {
  byte block;
  bool must_back;
  {
    atomic { allocate(PRODUCER) };
    if
    :: block == 0 -> goto over
    :: else
    fi;
    atomic {                                              /* reserve, outside the lock or not */
      if
      :: must_back -> backed[block] = true; unbacked[block] = false
      :: else
      fi
    };
    atomic { assert(backed[block]); co_owner[block] = PRODUCER; owner[block] = QUEUED; streamed = block; committed = true };
    skip;                                                 /* the payload flows */
    atomic {                                              /* the last byte is written */
#ifndef MUTANT_KEEPS_SWEPT_NAME
      if
      :: owner[block] == CONSUMER && swept[CONSUMER] -> owner[block] = NONE
      :: else
      fi;
#endif
      co_owner[block] = NONE;
      if
      :: owner[block] == NONE -> alive[block] = false
      :: else
      fi
    };
over:
    done[PRODUCER] = true
  } unless { atomic { dead[PRODUCER]; block = 0; must_back = false } }
}

proctype consumer() {
  {
    atomic { committed || done[PRODUCER] || swept[PRODUCER] ->
      if
      :: committed -> committed = false; owner[streamed] = CONSUMER
#ifdef MUTANT_FREES_EARLY
         ; owner[streamed] = NONE; co_owner[streamed] = NONE
#endif
      :: else -> goto over
      fi
    };
    skip;                                                 /* it reads */
    atomic { let_owner_go(streamed) };
over:
    done[CONSUMER] = true
  } unless { atomic { dead[CONSUMER] } }
}

/* Uses the arena beside them. */
proctype user() {
  byte block, times;
  bool must_back;
  do
  :: times < 2 ->
     atomic { allocate(USER) };
     if
     :: block == 0 -> break
     :: else
     fi;
     if
     :: must_back -> backed[block] = true; unbacked[block] = false
#ifdef NO_MEMORY
     :: must_back -> goto give_up
#endif
     :: else
     fi;
     assert(backed[block]);                               /* a block in use has its memory */
give_up:
     atomic { owner[block] = NONE; alive[block] = false; times++ }
  :: else -> break
  od;
  done[USER] = true
}

/* Blocks that `gone` kept alive, or one that was swept before. */
inline decide(b, gone) {
  if
  :: co_owner[b] == gone -> co_owner[b] = NONE
  :: else
  fi;
  queued = committed && streamed == b;
  owned = owner[b] != NONE && owner[b] != QUEUED && owner[b] != gone;
#ifndef MUTANT_SWEEP_KNOWS_ONE
  if
  :: owner[b] == CONSUMER && swept[CONSUMER] -> owned = false
  :: owner[b] == PRODUCER && swept[PRODUCER] -> owned = false
  :: else
  fi;
#endif
  if
  :: queued || owned || co_owner[b] != NONE
  :: else ->
     if :: owner[b] != NONE -> unbacked[b] = true :: else fi;
     owner[b] = NONE; alive[b] = false
  fi;
  queued = false; owned = false
}

active proctype sweeper() {
  bool queued, owned;
  byte b;
end:
  do
  :: atomic { dead[PRODUCER] && !swept[PRODUCER] -> decide(1, PRODUCER); decide(2, PRODUCER); swept[PRODUCER] = true }
  :: atomic { dead[CONSUMER] && !swept[CONSUMER] -> decide(1, CONSUMER); decide(2, CONSUMER); swept[CONSUMER] = true }
  :: timeout ->
     atomic {
       /* Nobody takes a message any more: what is queued goes with it. */
       for (b : 1 .. BLOCKS) {
         if
         :: !(committed && streamed == b) && (owner[b] != NONE || co_owner[b] != NONE) -> lost_blocks++
         :: else
         fi
       };
       assert(lost_blocks == 0)
     };
     break
  od
}

active proctype killer() {
  byte kills;
  do
  :: atomic { kills < KILLS && !done[PRODUCER] && !dead[PRODUCER] -> dead[PRODUCER] = true; kills++ }
  :: atomic { kills < KILLS && !done[CONSUMER] && !dead[CONSUMER] -> dead[CONSUMER] = true; kills++ }
  :: break
  od
}

init {
  atomic {
    unbacked[1] = true; unbacked[2] = true;
    run producer();
    run consumer();
    run user()
  }
}
