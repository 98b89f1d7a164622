/* Producers and consumers around a ring: the loops of core/channel_put.cpp and core/channel_get.cpp.
 *
 * A put fills the slot, commits with one store of `tail`, claims a sleeper, unlocks, wakes; a get copies the slot out,
 * releases with one store of `head`, claims, unlocks, wakes, returns. Every statement outside `atomic` and `d_step` is
 * one step that others, and death, may come before or after.
 *
 * PRODUCERS, PUTS, CONSUMERS, GETS, CAPACITY   who puts and takes how many; BATCH items go in with one commit
 * SPACE_CLAIM  how many producers one freed place wakes: 1, or EVERYBODY as for who waits for memory
 * KILL         PRODUCER, CONSUMER: one of them is killed, at any step
 * WATCHDOG     NEVER: a sleep ends by a wake only.  BOUNDED: EARLY sleeps run out at any moment, and once everything
 *              has come to rest all do.  IMPATIENT: only the first consumer's sleep runs out, and then it gives up
 * PASS_ON      0: whose sleep ran out keeps a wake that may have been meant for it
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
#define EVERYBODY 16
#ifndef SPACE_CLAIM
#define SPACE_CLAIM 1
#endif
#define NOT_ANY 0
#define PRODUCER 1
#define CONSUMER 2
#ifndef KILL
#define KILL NOT_ANY
#endif
#define NEVER 0
#define BOUNDED 1
#define IMPATIENT 2
#ifndef WATCHDOG
#define WATCHDOG NEVER
#endif
#ifndef PASS_ON
#define PASS_ON 1
#endif
#ifndef EARLY
#define EARLY 0
#endif

#define TASKS (PRODUCERS + CONSUMERS)
#define NOBODY TASKS

byte victim = NOBODY;           /* SIGKILL was sent */
byte live[2];                   /* producers still putting; consumers still taking */
bool done[TASKS];

#include "event_word.pml"

byte head, tail;
byte slot[CAPACITY];            /* the number of the item, from 1; 0 = never written */

/* What is true, beside what the ring says. */
bool delivered[PRODUCERS * PUTS + 1];
byte delivered_count;
byte in_dead_hands;             /* taken from the ring by a consumer that died before it could return */

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
#ifdef MUTANT_REGISTERS_LATE
       :: head == tail -> leave(); atomic { register(ITEMS) };
#else
       :: atomic { head == tail -> register(ITEMS) };
          leave();
#endif
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
          claim(SPACE, SPACE_CLAIM);
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

/* All of a kind are alike: it is enough to kill the first. */
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
ltl settles { <> [] settled }
#endif

active proctype judge() {
#if WATCHDOG == BOUNDED
  atomic { byte other; timeout -> wake_every(SPACE, true); wake_every(ITEMS, true) };
#endif
  timeout ->
  assert(settled);
  assert(delivered_count + in_dead_hands == head);          /* nothing lost but what was in a dead consumer's hands */
  assert(in_dead_hands <= (KILL == CONSUMER -> 1 : 0))
}

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
