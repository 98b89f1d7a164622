/* The owned lock of core/sync/owned_lock.cpp with the sweep that takes it from a dead owner (core/sync/sweep.cpp).
 *
 * No kernel looks at this word: it holds the token of a participant, and whoever has waited for a while asks whether
 * that one lives, and sweeps it if not. Every statement outside `atomic` is one step that others, the killer included,
 * may come before or after. A killed process takes no further step. Waking picks any sleeper.
 *
 * THREADS  processes, each of which takes the lock once
 * KILLS    how many of them may be killed, wherever they are: also as waiters, as wakers and as sweepers
 * PATIENCE LAST_RESORT: a sleep times out when nobody else can move.  ANY_TIME: it may at any moment
 */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef KILLS
#define KILLS 0
#endif
#define ANY_TIME 1
#define LAST_RESORT 2
#ifndef PATIENCE
#define PATIENCE LAST_RESORT
#endif

#define NOBODY 0
#define OWNER(value) ((value) & 15)
#define ABANDONED 16
#define WAITERS 32

byte word;                      /* token 1..THREADS, or NOBODY, and the two flags */
bool asleep[THREADS + 1];
bool doomed[THREADS + 1];
bool dead[THREADS + 1];
bool finished[THREADS + 1];

/* What is true, beside what the word says. */
byte holder = NOBODY;
bool unrecovered;               /* a holder died and nobody was told yet */
byte unserved = THREADS;        /* processes alive that still want the lock */

inline wake_one() {
  atomic {
    if
    :: asleep[1] -> asleep[1] = false
    :: asleep[2] -> asleep[2] = false
#if THREADS > 2
    :: asleep[3] -> asleep[3] = false
#endif
    :: else
    fi
  }
}

/* In the step that wins the word. */
inline become_holder() {
  assert(holder == NOBODY);                               /* mutual exclusion */
  assert(((word & ABANDONED) != 0) == unrecovered);       /* exactly the next owner learns of a death */
  unrecovered = false;
  holder = me;
  seen = 0; gone = 0; keep_waiters = false; timed_out = false
}

/* abandon_lock(): whoever looked found `gone` dead. */
inline sweep() {
  atomic { left = word }
#ifdef MUTANT_BLIND_SWEEP
  atomic { word = (left & WAITERS) | ABANDONED };
#else
  atomic {
    if
    :: OWNER(left) != gone -> goto again
    :: else
    fi;
    if
    :: word == left ->
#ifdef MUTANT_SWEEP_HIDES_DEATH
       word = left & WAITERS
#else
       word = (left & WAITERS) | ABANDONED
#endif
    :: else -> goto again
    fi
  }
#endif
  if
  :: left & WAITERS -> wake_one()
  :: else
  fi;
  left = 0
}

proctype thread(byte me) {
  byte seen, gone, left;
  bool keep_waiters, timed_out;
  {
    atomic {
      if
      :: word == NOBODY -> become_holder(); word = me; goto inside
      :: else
      fi
    }
again:
    atomic { seen = word; left = 0; timed_out = false };
    if
    :: OWNER(seen) == NOBODY ->
       atomic {
         if
         :: word == seen ->
            word = word | me;
#ifndef MUTANT_FORGETS_WAITERS
            if
            :: keep_waiters -> word = word | WAITERS
            :: else
            fi;
#else
            word = word & (255 - WAITERS);
#endif
            become_holder();
            goto inside
         :: else -> goto again
         fi
       }
    :: else
    fi;
    if
    :: !(seen & WAITERS) ->
       atomic {
         if
         :: word == seen -> seen = seen | WAITERS; word = seen
         :: else -> goto again
         fi
       }
    :: else
    fi;
    atomic {
      keep_waiters = true;
      if
      :: word == seen -> asleep[me] = true
      :: else -> goto again
      fi
    }
end_asleep:
    if
    :: atomic { !asleep[me] -> timed_out = false }
#if PATIENCE == ANY_TIME
    :: atomic { asleep[me] -> asleep[me] = false; timed_out = true }
#elif PATIENCE == LAST_RESORT
    :: atomic { timeout && asleep[me] -> asleep[me] = false; timed_out = true }
#endif
    fi;
    if
#ifdef MUTANT_RASH_ORACLE
    :: timed_out && OWNER(seen) != me ->
#else
    :: timed_out && dead[OWNER(seen)] ->
#endif
       gone = OWNER(seen);
       sweep()
    :: else
    fi;
    goto again;

inside:
    skip;                                                 /* what the lock is for */
    atomic { seen = word; word = NOBODY; holder = NOBODY };
    if
    :: seen & WAITERS -> wake_one()
    :: else
    fi;
    atomic { seen = 0; unserved--; finished[me] = true }
  } unless {
    atomic {
      doomed[me];
      asleep[me] = false;
      dead[me] = true;
      if
      :: holder == me -> holder = NOBODY; unrecovered = true
      :: else
      fi;
      unserved--;
      seen = 0; gone = 0; left = 0; keep_waiters = false; timed_out = false
    }
  }
}

/* All are alike, so it is enough to kill the first, then the second. */
proctype killer() {
  byte killed;
  do
  :: atomic { killed < KILLS && !finished[killed + 1] -> killed++; doomed[killed] = true }
  :: killed == KILLS || finished[killed + 1] -> break
  od
}

#ifdef SERVED
ltl served { <> (unserved == 0) }
#else
active proctype judge() {
  timeout -> assert(unserved == 0)                        /* nobody alive sleeps for ever */
}
#endif

init {
  atomic {
    byte id;
    for (id : 1 .. THREADS) { run thread(id) }
#if KILLS > 0
    run killer()
#endif
  }
}
