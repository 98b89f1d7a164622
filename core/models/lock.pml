/* The owner-word lock of core/lock.cpp, with what the kernel does to the word when a thread dies.
 *
 * Every statement outside `atomic` is one step that others, the killer included, may come before or after. A killed
 * thread runs no further step of its own; some time later the kernel takes it off its sleep and looks at its pending
 * slot. Waking picks any sleeper. README.md says what is left out; check.py names the configurations.
 *
 * THREADS, ROUNDS  each thread takes the lock ROUNDS times
 * KILLS            how many threads may be killed
 * PATIENCE         FOR_EVER: no sleep times out.  ANY_TIME: it may at any moment.  LAST_RESORT: it does when nobody
 *                  else can move
 * LIVENESS         1: no kernel; who has timed out asks whether the owner is dead and takes the word over
 * STRICT           1: the judge does not excuse the one hole that only the timeout covers (see `hole`)
 */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#define FOR_EVER 0
#define ANY_TIME 1
#define LAST_RESORT 2
#ifndef PATIENCE
#define PATIENCE FOR_EVER
#endif
#ifndef LIVENESS
#define LIVENESS 0
#endif
#ifndef STRICT
#define STRICT 0
#endif

#define NOBODY 0
#define OWNER(value) ((value) & 15)
#define OWNER_DIED 16
#define WAITERS 32
#define WILL_WAKE(value) (OWNER(value) != NOBODY && ((value) & WAITERS))

byte word;                      /* thread id 1..THREADS, or NOBODY, and the two flags */
bool pending[THREADS + 1];      /* the thread's robust-list slot names the word */
bool asleep[THREADS + 1];
bool doomed[THREADS + 1];       /* SIGKILL was sent */
bool dead[THREADS + 1];
bool finished[THREADS + 1];

/* What is true, beside what the word says. */
byte holder = NOBODY;           /* who is between taking the word and giving it back */
bool unrecovered;               /* a holder died and nobody has recovered yet */
bool torn;                      /* the data behind the lock is half written */
bool owes_wake[THREADS + 1];    /* must wake somebody, or was woken and has not yet acted on it */
bool hole;                      /* died owing a wake, and the kernel met another owner: nobody is woken */
byte unserved = THREADS;        /* threads alive that still want the lock */

inline wake_one() {
  atomic {
    if
    :: asleep[1] -> asleep[1] = false; owes_wake[1] = true
    :: asleep[2] -> asleep[2] = false; owes_wake[2] = true
#if THREADS > 2
    :: asleep[3] -> asleep[3] = false; owes_wake[3] = true
#endif
#if THREADS > 3
    :: asleep[4] -> asleep[4] = false; owes_wake[4] = true
#endif
    :: else
    fi
  }
}

/* In the step that wins the word. */
inline become_holder(told_of_death) {
  assert(holder == NOBODY);                 /* mutual exclusion */
  died = told_of_death;
#ifdef MUTANT_DROPS_DEATH
  died = false;
#endif
  assert(died == unrecovered);              /* exactly the next owner learns of a death */
  holder = me;
  owes_wake[me] = false;
  seen = 0;
  keep_waiters = false;
  timed_out = false
}

inline recover() {
  if
  :: died -> torn = false; unrecovered = false
  :: else
  fi
}

inline work() {
  atomic { assert(!torn); torn = true }     /* recovery came before anything else */
  torn = false
}

inline exchange_with_none() {
#ifdef MUTANT_SPLIT_UNLOCK
  seen = word;
  atomic { word = NOBODY; holder = NOBODY; owes_wake[me] = (seen & WAITERS) != 0 }
#else
  atomic { seen = word; word = NOBODY; holder = NOBODY; owes_wake[me] = (seen & WAITERS) != 0 }
#endif
}

proctype thread(byte me) {
  byte seen;
  byte rounds;
  bool keep_waiters, died, timed_out, must_wake;
  {
    rounds = ROUNDS;
round:
#ifndef MUTANT_LATE_PENDING
    pending[me] = true;
#endif
    atomic {
      if
      :: word == NOBODY -> word = me; become_holder(false); goto inside
      :: else
      fi
    }
again:
    atomic { seen = word; owes_wake[me] = owes_wake[me] && !WILL_WAKE(seen) };
    if
    :: OWNER(seen) == NOBODY ->
       atomic {
         if
         :: word == seen ->
#ifdef MUTANT_FORGETS_WAITERS
            word = me | (seen & WAITERS);
#else
            word = me | (seen & WAITERS) | (keep_waiters -> WAITERS : 0);
#endif
            become_holder((seen & OWNER_DIED) != 0);
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
         :: word == seen -> seen = seen | WAITERS; word = seen; owes_wake[me] = false
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
#if LIVENESS
    if
#ifdef MUTANT_RASH_ORACLE
    :: timed_out ->
#else
    :: timed_out && dead[OWNER(seen)] ->
#endif
#ifdef MUTANT_BLIND_STEAL
       atomic { word = me | WAITERS; become_holder(true); goto inside }
#else
       atomic {
         if
         :: word == seen -> word = me | WAITERS; become_holder(true); goto inside
         :: else
         fi
       }
#endif
    :: else
    fi;
#endif
    goto again;

inside:
#ifdef MUTANT_LATE_PENDING
    pending[me] = true;
#endif
#ifdef MUTANT_WORKS_FIRST
    work();
    recover();
#else
    recover();
    work();
#endif
#ifdef MUTANT_EARLY_FORGET
    pending[me] = false;
#endif
    exchange_with_none();
    if
    :: seen & WAITERS -> wake_one(); owes_wake[me] = false
    :: else
    fi;
    pending[me] = false;
    atomic {
      rounds--;
      seen = 0;
      died = false;
      if
      :: rounds > 0 -> goto round
      :: else -> unserved--; finished[me] = true
      fi
    }
  } unless {
    atomic {
      doomed[me];
      asleep[me] = false;
      dead[me] = true;
      if
      :: holder == me -> holder = NOBODY; unrecovered = true
      :: else
      fi;
#if !LIVENESS
      if
      :: pending[me] && OWNER(word) == me ->
         must_wake = (word & WAITERS) != 0;
         word = (word & WAITERS) | OWNER_DIED
#ifndef MUTANT_NO_OWNERLESS_WAKE
      :: pending[me] && OWNER(word) == NOBODY -> must_wake = true
#endif
      :: else -> hole = hole || (owes_wake[me] && OWNER(word) != NOBODY)
      fi;
      pending[me] = false;
#endif
      owes_wake[me] = false
    };
    if
    :: must_wake -> wake_one()
    :: else
    fi;
    atomic {
      unserved--;
      must_wake = false; rounds = 0; seen = 0; keep_waiters = false; died = false; timed_out = false
    }
  }
}

/* All threads are alike, so it is enough to kill the first, then the second. */
proctype killer() {
  byte killed;
  do
  :: atomic { killed < KILLS && !finished[killed + 1] -> killed++; doomed[killed] = true }
  :: killed == KILLS || finished[killed + 1] -> break
  od
}

#ifdef SERVED
/* With ANY_TIME: under weak fairness, that is, whoever can always run does run some time. */
ltl served { <> (unserved == 0) }
#else
active proctype judge() {
  timeout -> assert(unserved == 0 || (hole && !STRICT))   /* nobody alive sleeps for ever */
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
