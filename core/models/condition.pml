/* The line of waiters of core/sync/waiters.cpp: nodes in a list, changed under a guard that outlives its holder.
 *
 * Waiters append their node, sleep on it, and leave. Notifiers mark the first node, take it out and wake it. Whoever
 * takes the guard after a death repairs the line first. The sweep removes a dead waiter, and passes on a notification
 * that it got and did not take. Every statement outside `atomic` is one step that the killer may come before or after.
 *
 * WAITERS, NOTIFIERS  processes; each notifier calls notify(1) once
 * KILL                WAITER: the first waiter may be killed.  NOTIFIER: the first notifier.  BOTH: either or both
 */
#ifndef WAITERS
#define WAITERS 3
#endif
#ifndef NOTIFIERS
#define NOTIFIERS 2
#endif
#define NONE 0
#define WAITER 1
#define NOTIFIER 2
#define BOTH 3
#ifndef KILL
#define KILL NONE
#endif

#define TASKS (WAITERS + NOTIFIERS)
#define IDLE 0
#define WAITING 1
#define NOTIFIED 2

/* Nodes are named after their waiters, 1..WAITERS; 0 ends the line. */
byte head, tail;
byte next[WAITERS + 1];
byte mark[WAITERS + 1];
bool owned[WAITERS + 1];        /* the node's token: its waiter has it, or its waiter is dead and not swept */
bool asleep[WAITERS + 1];

byte guard;                     /* TASKS + 1 = the sweeper */
bool guard_died;

bool doomed[TASKS + 2], dead[TASKS + 2], left[TASKS + 2];
byte notified;                  /* waiters that went on with a notification */
short sent;                     /* notifications that met a waiter and, if it died, another one */
byte waiting;                   /* waiters in line that live */

inline enter(who) {
  atomic {
    guard == 0 -> guard = who; died = guard_died; guard_died = false
  }
  if
  :: died -> repair(); died = false
  :: else
  fi
}

inline leave() { atomic { guard = 0 } }

/* Takes `node` out if it is in line. One store counts. */
inline unlink(node) {
  before = 0; at = head; steps = 0;
  do
  :: at != node && at != 0 && steps <= WAITERS -> before = at; at = next[at]; steps++
  :: else -> break
  od;
  if
  :: at == node && before != 0 -> next[before] = next[node]
  :: at == node && before == 0 -> head = next[node]
  :: else
  fi;
  if
  :: at == node && tail == node -> tail = before
  :: else
  fi;
  before = 0; at = 0; steps = 0
}

/* After a death under the guard: marked nodes go and wake, and the tail is found anew. */
inline repair() {
  i = 1;
  do
  :: i <= WAITERS ->
     if
     :: mark[i] == NOTIFIED ->
#ifndef MUTANT_REPAIR_LEAVES_MARKED
        unlink(i);
#endif
#ifndef MUTANT_SILENT_REPAIR
        asleep[i] = false
#endif
     :: else
     fi;
     i++
  :: else -> break
  od;
  i = 0; before = 0; at = head;
#ifndef MUTANT_REPAIR_TRUSTS_TAIL
  do
  :: at != 0 -> before = at; at = next[at]
  :: else -> break
  od;
  tail = before;
#endif
  before = 0; at = 0
}

inline append(node) {
#ifdef MUTANT_APPENDS_BY_TAIL
  at = tail;
#else
  at = (head != 0 -> tail : 0);
#endif
  tail = node;
  if
  :: at != 0 -> next[at] = node
  :: else -> head = node
  fi;
  at = 0
}

proctype waiter(byte me) {
  byte before, at, steps, i;
  bool died, got;
  {
    atomic { owned[me] = true; next[me] = 0; mark[me] = WAITING };
    enter(me);
    append(me);
    leave();
    atomic { if :: mark[me] == WAITING -> asleep[me] = true :: else fi };
end_asleep:
    !asleep[me];
    assert(mark[me] == NOTIFIED);                         /* nobody wakes without a notification */
    enter(me);
    got = (mark[me] == NOTIFIED);
    unlink(me);
    leave();
    atomic { mark[me] = IDLE; owned[me] = false; left[me] = true; notified = notified + got }
  } unless {
    atomic {
      doomed[me];
      dead[me] = true;
      asleep[me] = false;
      if :: guard == me -> guard = 0; guard_died = true :: else fi;
      before = 0; at = 0; steps = 0; i = 0; died = false; got = false
    }
  }
}

/* notify(1); the guard is held by `me`, who passes over nobody: the sweep passes on what the dead got. */
inline mark_first() {
  node = head;
  assert(node == 0 || mark[node] == WAITING);             /* nobody is notified twice */
#ifdef MUTANT_TAKES_OUT_FIRST
  if
  :: node != 0 -> head = next[node]; mark[node] = NOTIFIED
  :: else
  fi
#else
  if
  :: node != 0 -> mark[node] = NOTIFIED; head = next[node]
  :: else
  fi
#endif
}

proctype notifier(byte me) {
  byte before, at, steps, i, node;
  bool died;
  {
    enter(me);
    mark_first();
    leave();
    if
    :: node != 0 -> asleep[node] = false; sent++
    :: else
    fi;
    left[me] = true
  } unless {
    atomic {
      doomed[me];
      dead[me] = true;
      if :: guard == me -> guard = 0; guard_died = true :: else fi;
      before = 0; at = 0; steps = 0; i = 0; node = 0; died = false
    }
  }
}

/* Looks at each waiter once it is dead, and at the guard whenever nothing else moves: some sleeper's tick. */
#define SWEEPER (TASKS + 1)
active proctype sweeper() {
  byte before, at, steps, i, node;
  bool died, got;
end_watching:
  do
  :: dead[1] && owned[1] ->
     enter(SWEEPER);
     got = (mark[1] == NOTIFIED);
     unlink(1);
     leave();
#ifndef MUTANT_KEEPS_NOTIFICATION
     if
     :: got -> enter(SWEEPER); mark_first(); leave(); if :: node != 0 -> asleep[node] = false :: else -> sent-- fi; node = 0
     :: else
     fi;
#endif
     atomic { mark[1] = IDLE; owned[1] = false; got = false }
  :: timeout ->                                           /* every sleep is bounded */
     if
     :: guard_died -> enter(SWEEPER); leave()
#ifndef MUTANT_UNBOUNDED
     :: asleep[1] && mark[1] == NOTIFIED -> asleep[1] = false
     :: asleep[2] && mark[2] == NOTIFIED -> asleep[2] = false
#if WAITERS > 2
     :: asleep[3] && mark[3] == NOTIFIED -> asleep[3] = false
#endif
#endif
     :: else -> break
     fi
  od;
#define in_line(n) (owned[n] && !left[n] && !dead[n])
  atomic {
    for (i : 1 .. WAITERS) {
      assert(!in_line(i) || mark[i] != NOTIFIED);         /* who was notified has gone on */
      if :: in_line(i) -> waiting++ :: else fi
    };
    /* Each notification reached one that lived then, or found nobody in line. */
    assert(waiting == 0 || notified >= sent);
    steps = 0; at = head;
    do
    :: at != 0 -> steps++; at = next[at]; assert(steps <= WAITERS)      /* the line has an end */
    :: else -> break
    od;
    assert(steps == waiting)                              /* in line is exactly who waits */
  }
}

active proctype killer() {
#if KILL == WAITER || KILL == BOTH
  if
  :: atomic { !left[1] -> doomed[1] = true }
  :: skip
  fi;
#endif
#if KILL == NOTIFIER || KILL == BOTH
  if
  :: atomic { !left[WAITERS + 1] -> doomed[WAITERS + 1] = true }
  :: skip
  fi
#endif
  skip
}

init {
  atomic {
    byte id;
    for (id : 1 .. WAITERS) { run waiter(id) };
    for (id : (WAITERS + 1) .. TASKS) { run notifier(id) }
  }
}
