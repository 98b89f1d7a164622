/* Sleeping and waking around the ring: core/event_word.hpp with the loops of channel_put.cpp and channel_get.cpp.
 *
 * The lock is abstract (lock.pml is about it): it is free or somebody's, and after the death of its owner the next one
 * recovers before anything else. The event word's `ev` would count for ever; what a sleeper does with it is to ask
 * whether it moved since it was read, so the model keeps just that, per sleeper; `generation` likewise.
 * Producers sleep on `space` and consumers on `items`. Waking picks any sleeper.
 *
 * PRODUCERS, PUTS, CONSUMERS, GETS, CAPACITY   who puts and takes how many; BATCH items go in with one commit
 * KILL      PRODUCER, CONSUMER: one of them may be killed at any step
 * WATCHDOG  NEVER: a sleep ends by a wake only.  ONCE: when everything has come to rest, all bounds run out, once.
 *           ANY_TIME: a bound may run out at any moment.  IMPATIENT: only the first consumer's does, and it gives up
 */
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef PUTS
#define PUTS 1
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef GETS
#define GETS 1
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef BATCH
#define BATCH 1
#endif
#define NOT_ANY 0
#define PRODUCER 1
#define CONSUMER 2
#ifndef KILL
#define KILL NOT_ANY
#endif
#define NEVER 0
#define ONCE 1
#define ANY_TIME 2
#define IMPATIENT 3
#ifndef WATCHDOG
#define WATCHDOG NEVER
#endif

#define TASKS (PRODUCERS + CONSUMERS)
#define NOBODY TASKS
#define SPACE 0
#define ITEMS 1
#define is_on(word, task) ((word == SPACE) == (task < PRODUCERS))

byte lock = NOBODY;
bool owner_died;
byte head, tail;
byte slot[CAPACITY];            /* the number of the item, 1.. ; 0 = never written */

byte waiters[2];                /* of `space` and of `items` */
bool registered[TASKS];         /* has read the word and not come back from its sleep yet */
bool moved[TASKS];              /* `ev` moved since then */
bool restarted[TASKS];          /* `generation` moved since then */
bool asleep[TASKS];
bool ran_out[TASKS];            /* the sleep ended by its bound */

/* What is true, beside what the words say. */
byte victim = NOBODY;
byte sleeping[2];               /* how many are asleep */
byte owed[2];                   /* wakes claimed and not yet issued */
byte lost[2];                   /* of these, died with their waker */
bool delivered[PRODUCERS * PUTS + 1];
byte delivered_count;
byte in_dead_hands;             /* taken from the ring by a consumer that died before it could return */
byte live[2];                   /* producers still putting; consumers still taking */
bool begun[TASKS];
bool done[TASKS];
#define EVERYBODY 16

/* A sleeper is counted, or its wake is on the way, or that wake died with a killed waker. */
#define check_count(word) assert(owner_died || sleeping[word] <= waiters[word] + owed[word] + lost[word])

inline each_moves(word, generation_too) {
  for (other : 0 .. TASKS - 1) {
    if
    :: is_on(word, other) && registered[other] -> moved[other] = true; restarted[other] = restarted[other] || generation_too
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

/* Producers are alike, and so are consumers: where none of a kind is singled out, they begin in order. */
#define may_begin(task) (task == 0 || task == PRODUCERS || begun[task - 1] || is_singled_out(task))
#define is_singled_out(task) ((KILL == PRODUCER && task < PRODUCERS) || ((KILL == CONSUMER || WATCHDOG == IMPATIENT) && task >= PRODUCERS))

inline enter() {
  atomic {
    lock == NOBODY && may_begin(me) ->
    lock = me;
    begun[me] = true;
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
          :: waiters[word] > 0 -> restart(word); owed[word] = owed[word] + EVERYBODY; repairing = true; claimed_on = word
          :: else
          fi
        };
        leave();
        if
        :: d_step {
             repairing ->
             repairing = false;
             claimed_on = 0;
             wake_every(word, false);
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
#if WATCHDOG == ANY_TIME || WATCHDOG == IMPATIENT
end_bounded:
  if
  :: !asleep[me]
  :: atomic { asleep[me] && (WATCHDOG == ANY_TIME || me == PRODUCERS) -> wake_up(word, me, true) }
  fi;
#endif
end_asleep:
  if
  :: atomic { !asleep[me] && was_taken_off -> back() }
  :: !asleep[me] && !was_taken_off ->
     enter();
     if
     :: d_step { !moved[me] && !restarted[me] -> waiters[word]-- }
     :: else ->
        if
#ifdef MUTANT_LEAVES_TWICE
        :: waiters[word] > 0 -> waiters[word]--
#endif
        :: slept -> claim(word, 1)
        :: else
        fi
     fi;
     leave();
     wake(word);
     atomic { back() }
  fi
}

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

#define room (CAPACITY - (tail - head))

inline fill() {
  d_step {
    for (other : 1 .. placed) { slot[(at + other - 1) % CAPACITY] = at + other }
    other = 0
  }
}

proctype producer(byte me) {
  byte left, at, placed, claimed, claimed_on, met, other;
  bool slept, met_nobody, repairing;
  {
    left = PUTS;
    do
    :: enter();
       if
       :: atomic { room == 0 -> register(SPACE) };
          leave();
          doze(SPACE)
       :: atomic {
            room > 0 ->
            at = tail;
            placed = (left < BATCH -> left : BATCH);
            placed = (placed < room -> placed : room)
          };
#ifdef MUTANT_COMMITS_FIRST
          tail = at + placed;
          fill();
#else
          fill();
          tail = at + placed;
#endif
          claim(ITEMS, placed);
          leave();
          wake(ITEMS);
          atomic {
            left = left - placed;
            placed = 0;
            at = 0;
            if
            :: left == 0 -> live[SPACE]--; done[me] = true; break
            :: else
            fi
          }
       fi
    od
  }
#if KILL
  unless {
    atomic { victim == me; die(SPACE); placed = 0; at = 0 }
  }
#endif
}

inline deliver() {
  assert(item > 0 && !delivered[item]);
  delivered[item] = true;
  delivered_count++;
  item = 0
}

proctype consumer(byte me) {
  byte left, item, claimed, claimed_on, met, other;
  bool slept, met_nobody, repairing;
  {
    left = GETS;
    do
    :: enter();
       if
       :: atomic { head == tail -> register(ITEMS) };
          leave();
          doze(ITEMS);
#if WATCHDOG == IMPATIENT
          atomic {
            if
            :: ran_out[me] -> ran_out[me] = false; live[ITEMS]--; done[me] = true; break
            :: else
            fi
          }
#endif
       :: atomic { head != tail -> item = slot[head % CAPACITY]; assert(item == head + 1) };
#ifdef MUTANT_RETURNS_FIRST
          atomic { deliver() };
          head++;
#else
          head++;
#endif
          claim(SPACE, 1);
          leave();
          wake(SPACE);
          atomic {
#ifndef MUTANT_RETURNS_FIRST
            deliver();
#endif
            left--;
            if
            :: left == 0 -> live[ITEMS]--; done[me] = true; break
            :: else
            fi
          }
       fi
    od
  }
#if KILL
  unless {
    atomic {
      victim == me;
      if
      :: item > 0 && head >= item -> in_dead_hands++
      :: else
      fi;
      item = 0;
      die(ITEMS)
    }
  }
#endif
}

/* Producers are alike, and so are consumers. */
proctype killer() {
  byte first = (KILL == PRODUCER -> 0 : PRODUCERS);
  if
  :: atomic { !done[first] -> victim = first }
  :: done[first]
  fi
}

/* Nobody alive waits for what is there. */
#define settled ((live[SPACE] == 0 || room == 0) && (live[ITEMS] == 0 || head == tail))

#ifdef SETTLES
/* Needs weak fairness: everybody alive who can run does run. */
ltl settles { <> [] settled }
#else
active proctype judge() {
#if WATCHDOG == ONCE
  atomic { byte other; timeout -> wake_every(SPACE, true); wake_every(ITEMS, true) };
#endif
  timeout ->
  assert(settled);
  assert(delivered_count + in_dead_hands == head && in_dead_hands <= (KILL == CONSUMER -> 1 : 0))    /* nothing lost */
}
#endif

init {
  atomic {
    live[SPACE] = PRODUCERS;
    live[ITEMS] = CONSUMERS;
    byte task;
    for (task : 0 .. PRODUCERS - 1) { run producer(task) }
    for (task : PRODUCERS .. TASKS - 1) { run consumer(task) }
#if KILL
    run killer()
#endif
  }
}
