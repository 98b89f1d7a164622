/* The event word of core/event_word.hpp under an abstract lock, and the sleep of Channel::doze. Included by wake.pml.
 *
 * The lock is free or somebody's; after the death of its owner the next one recovers before anything else (lock.pml
 * shows why that may be assumed). `ev` would count for ever; all that a sleeper asks is whether it moved since it was
 * read, so the model keeps just that, per sleeper, and likewise for `generation`. Waking picks any sleeper.
 */
#define SPACE 0                 /* producers sleep on it */
#define ITEMS 1                 /* consumers sleep on it */
#define is_on(word, task) ((word == SPACE) == (task < PRODUCERS))

byte lock = NOBODY;
bool owner_died;

byte waiters[2];
bool registered[TASKS];         /* has read the word and not come back from its sleep yet */
bool moved[TASKS];              /* `ev` moved since then */
bool restarted[TASKS];          /* `generation` moved since then */
bool asleep[TASKS];
bool ran_out[TASKS];            /* the sleep ended by its bound */
byte early = EARLY;             /* how many more sleeps may run out before everything has come to rest */

/* What is true, beside what the words say. */
byte sleeping[2];               /* how many are asleep */
byte owed[2];                   /* wakes claimed and not yet issued */
byte lost[2];                   /* of these, died with their waker */

/* Never too low: a sleeper is counted, or its wake is on the way, or that wake died with a killed waker. */
#define check_count(word) assert(owner_died || sleeping[word] <= waiters[word] + owed[word] + lost[word])

inline each_moves(word, generation_too) {
  for (other : 0 .. TASKS - 1) {
    if
    :: is_on(word, other) && registered[other] ->
       moved[other] = true;
       restarted[other] = restarted[other] || generation_too
    :: else
    fi
  }
  other = 0
}

inline wake_up(word, task, by_bound) {
  asleep[task] = false;
  ran_out[task] = by_bound;
  sleeping[word]--
}

/* Every sleeper of the word, by a wake or by its bound. */
inline wake_every(word, by_bound) {
  for (other : 0 .. TASKS - 1) {
    if
    :: is_on(word, other) && asleep[other] -> wake_up(word, other, by_bound)
    :: else
    fi
  }
  other = 0
}

/* One sleeper of the word, any of them. */
inline wake_any(word) {
  if
  :: is_on(word, 0) && asleep[0] -> wake_up(word, 0, false)
  :: is_on(word, 1) && asleep[1] -> wake_up(word, 1, false)
#if PRODUCERS + CONSUMERS > 2
  :: is_on(word, 2) && asleep[2] -> wake_up(word, 2, false)
#endif
#if PRODUCERS + CONSUMERS > 3
  :: is_on(word, 3) && asleep[3] -> wake_up(word, 3, false)
#endif
#if PRODUCERS + CONSUMERS > 4
  :: is_on(word, 4) && asleep[4] -> wake_up(word, 4, false)
#endif
  fi
}

inline restart(word) {
  waiters[word] = 0;
  lost[word] = 0;
#ifndef MUTANT_QUIET_RECOVERY
  each_moves(word, true)
#endif
}

/* All of a kind are alike: where none of them is singled out, it is enough that they begin in order. */
bool begun[TASKS];
#define may_begin(task) (task == 0 || task == PRODUCERS || begun[task - 1] || is_singled_out(task))
#define is_singled_out(task) ((task < PRODUCERS) \
  -> KILL == PRODUCER \
  :  KILL == CONSUMER || WATCHDOG == IMPATIENT)

inline enter() {
  atomic {
    lock == NOBODY && may_begin(me) ->
    lock = me;
    begun[me] = !is_singled_out(me);
    if
    :: owner_died ->
       owner_died = false;
       restart(SPACE);
       restart(ITEMS);
#ifndef MUTANT_QUIET_RECOVERY
       wake_every(SPACE, false);
       wake_every(ITEMS, false)
#endif
    :: else
    fi
  }
}

inline leave() {
  atomic { lock = NOBODY; check_count(SPACE); check_count(ITEMS) }
}

inline register(word) {
  waiters[word]++;
  registered[me] = true;
  moved[me] = false;
  restarted[me] = false
}

#ifdef MUTANT_WAKES_FIRST
inline claim(word, count) {
  atomic {
    if
    :: waiters[word] > 0 && sleeping[word] > 0 -> wake_any(word)
    :: else
    fi
  };
  d_step {
    if
    :: waiters[word] > 0 -> waiters[word]--; each_moves(word, false)
    :: else
    fi
  }
}
#else
/* One step: a death inside it would leave nothing that the recovery does not overwrite. */
inline claim(word, count) {
  d_step {
    if
    :: waiters[word] > 0 ->
       claimed = (count < waiters[word] -> count : waiters[word]);
       claimed_on = word;
       waiters[word] = waiters[word] - claimed;
       owed[word] = owed[word] + claimed;
#ifndef MUTANT_FROZEN_WORD
       each_moves(word, false)
#endif
    :: else
    fi
  }
}
#endif

/* Wakes `claimed` sleepers; when it meets nobody although the count says so, starts a new generation. */
inline wake(word) {
  if
  :: atomic {
       claimed > 0 ->
       met = 0;
       do
       :: met < claimed && sleeping[word] > 0 -> wake_any(word); met++
       :: else -> break
       od;
       met_nobody = (met == 0);
       met = 0;
       owed[word] = owed[word] - claimed;
       claimed = 0;
       claimed_on = 0;
       check_count(word)
     };
     if
     :: met_nobody ->
        enter();
        d_step {
          met_nobody = false;
          if
          :: waiters[word] > 0 ->
             restart(word);
             owed[word] = owed[word] + EVERYBODY;
             claimed_on = word;
             repairing = true
          :: else
          fi
        };
        leave();
        if
        :: d_step {
             repairing ->
             repairing = false;
             claimed_on = 0;
#ifndef MUTANT_SILENT_REPAIR
             wake_every(word, false);
#endif
             owed[word] = owed[word] - EVERYBODY;
             check_count(word)
           }
        :: !repairing
        fi
     :: !met_nobody
     fi
  :: claimed == 0
  fi
}

/* After the sleep: forget it and look at the ring again. */
inline back() {
  registered[me] = false;
  moved[me] = false;
  restarted[me] = false;
  slept = false;
#if WATCHDOG != IMPATIENT
  ran_out[me] = false
#endif
}

#ifdef MUTANT_LEAVES_TWICE
#define was_taken_off restarted[me]
#else
#define was_taken_off (restarted[me] || (slept && !ran_out[me]))
#endif

/* From the registration to the next attempt: Channel::doze. */
inline doze(word) {
  atomic {
    if
    :: moved[me]
    :: else -> asleep[me] = true; sleeping[word]++; slept = true; check_count(word)
    fi
  };
end_dozing:
  do
#if WATCHDOG == BOUNDED
  :: atomic { asleep[me] && early > 0 -> early--; wake_up(word, me, true) }
#elif WATCHDOG == IMPATIENT
  :: atomic { asleep[me] && me == PRODUCERS -> wake_up(word, me, true) }
#endif
  :: atomic { !asleep[me] && was_taken_off -> back(); break }
  :: !asleep[me] && !was_taken_off ->
     enter();
     if
     :: d_step { !moved[me] && !restarted[me] -> waiters[word]-- }
     :: else ->
        if
#ifdef MUTANT_LEAVES_TWICE
        :: waiters[word] > 0 -> waiters[word]--
#endif
#if PASS_ON
        :: slept -> claim(word, 1)
#endif
        :: else
        fi
     fi;
     leave();
     wake(word);
     atomic { back(); break }
  od
}

/* The killed task's share of the truth. Its lock goes to the next one, marked. */
inline die(word) {
  if
  :: asleep[me] -> wake_up(word, me, false)
  :: else
  fi;
  if
  :: lock == me -> lock = NOBODY; owner_died = true
  :: else
  fi;
  if
  :: repairing -> claimed = EVERYBODY
  :: else
  fi;
  owed[claimed_on] = owed[claimed_on] - claimed;
  lost[claimed_on] = lost[claimed_on] + claimed;
  registered[me] = false; moved[me] = false; restarted[me] = false; ran_out[me] = false;
  claimed = 0; claimed_on = 0; met = 0; met_nobody = false; repairing = false; slept = false; left = 0;
  live[word]--
}
