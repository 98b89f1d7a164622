/* The ring of core/ring.cpp: a line that grows and shrinks by chunks, and the repair after a death in the middle of it.
 *
 * All of it happens under the lock (lock.pml is about that), so one process is at it at a time. It puts, takes and trims
 * in any order; the killer ends it before any statement outside `atomic`, and the next one repairs first, where it may be
 * killed, too. A slot holds the position that was written there, plus one.
 *
 * MESSAGES  are put in all
 * BATCH     of them at most with one commit
 * KILLS     how often the one at work is killed
 */
#ifndef MESSAGES
#define MESSAGES 5
#endif
#ifndef BATCH
#define BATCH 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#define SLOTS 2
#define CHUNKS 3
#define DIRECTORY 4
#define NO_CHUNK 15
#define IN_USE 14
#define number_of(position) (((position) / SLOTS) % DIRECTORY)
#define slot_of(position) (directory[number_of(position)] * SLOTS + (position) % SLOTS)

byte head, tail;
byte directory[DIRECTORY];
byte links[CHUNKS];
byte warm = NO_CHUNK, cold = NO_CHUNK;
byte fresh;                     /* chunks from here on were never used */
byte backed_chunk;              /* those before it were reserved once */
byte slots[CHUNKS * SLOTS];

/* What is true. */
bool backed[CHUNKS];            /* the chunk has its memory */
bool torn;                      /* somebody died inside */
bool doomed;                    /* the one at work is killed */
byte kills;

/* Every chunk is in the line, in one of the lists, or was never used. */
inline check_chunks() {
  atomic {
    counted = CHUNKS - fresh;
    i = head / SLOTS;
    do
    :: i < (tail + SLOTS - 1) / SLOTS -> counted++; i++
    :: else -> break
    od;
    i = warm;
    do
    :: i != NO_CHUNK && counted <= CHUNKS -> counted++; i = links[i]
    :: else -> break
    od;
    i = cold;
    do
    :: i != NO_CHUNK && counted <= CHUNKS -> counted++; i = links[i]
    :: else -> break
    od;
    assert(counted == CHUNKS);                            /* no chunk is lost, and none has two places */
    counted = 0; i = 0
  }
}

inline take_chunk() {
  if
  :: warm != NO_CHUNK -> chunk = warm; warm = links[chunk]
  :: warm == NO_CHUNK && cold != NO_CHUNK -> chunk = cold; backed[chunk] = true; cold = links[chunk]
  :: warm == NO_CHUNK && cold == NO_CHUNK && fresh < CHUNKS ->
     if
     :: fresh >= backed_chunk -> backed[fresh] = true; backed_chunk = fresh + 1
     :: else
     fi;
     chunk = fresh;
     fresh = fresh + 1
  :: else -> chunk = NO_CHUNK
  fi
}

inline put_some() {
  placed = 0;
  do
  :: placed < BATCH && tail + placed < MESSAGES ->
     if
     :: (tail + placed) % SLOTS == 0 ->
        take_chunk();
        if
        :: chunk == NO_CHUNK -> break                     /* full */
        :: else -> directory[number_of(tail + placed)] = chunk
        fi
     :: else
     fi;
     assert(backed[directory[number_of(tail + placed)]]);  /* a chunk in use has its memory */
#ifdef MUTANT_COMMITS_FIRST
     tail = tail + 1;
     slots[slot_of(tail - 1)] = tail
#else
     slots[slot_of(tail + placed)] = tail + placed + 1;
     placed++
#endif
  :: placed > 0 || tail + placed == MESSAGES -> break
  od;
#ifndef MUTANT_COMMITS_FIRST
  tail = tail + placed;                                   /* the commit */
#endif
  chunk = 0; placed = 0
}

inline give_back(which) {
  backed[which] = false;
  links[which] = cold;
  cold = which
}

inline take_one() {
  assert(slots[slot_of(head)] == head + 1);               /* every message is where it was put */
  head = head + 1;                                        /* the release */
  if
  :: head % SLOTS == 0 ->
     chunk = directory[number_of(head - 1)];
     if
     :: links[chunk] = warm; warm = chunk
     :: give_back(chunk)                                  /* enough of them are warm */
     fi;
     chunk = 0
  :: else
  fi
}

inline trim() {
  chunk = warm;
  warm = links[chunk];
  give_back(chunk);
  chunk = 0
}

inline rebuild() {
#ifdef MUTANT_FORGETS_UNFINISHED
  last = tail / SLOTS;
#else
  last = (tail + SLOTS - 1) / SLOTS;
#endif
  grown = (fresh < CHUNKS -> fresh + 1 : CHUNKS);
  i = 0;
  do
  :: i < grown -> links[i] = NO_CHUNK; i++
  :: else -> break
  od;
  i = head / SLOTS;
  do
  :: i < last -> links[directory[i % DIRECTORY]] = IN_USE; i++
  :: else -> break
  od;
#ifndef MUTANT_KEEPS_LISTS
  warm = NO_CHUNK;
  cold = NO_CHUNK;
#endif
  fresh = grown;
  backed_chunk = grown;
  i = grown;
  do
  :: i > 0 ->
     i--;
     if
     :: links[i] == IN_USE
#ifdef MUTANT_TRUSTS_MEMORY
     :: else -> links[i] = warm; warm = i
#else
     :: else -> links[i] = cold; cold = i
#endif
     fi
  :: else -> break
  od;
  i = 0; last = 0; grown = 0
}

proctype worker() {
  byte chunk, placed, i, last, grown, counted;
  {
    if
    :: torn -> rebuild(); torn = false
    :: else
    fi;
    check_chunks();
    do
    :: tail < MESSAGES -> put_some(); check_chunks()
    :: head < tail -> take_one(); check_chunks()
    :: warm != NO_CHUNK -> trim(); check_chunks()
    :: head == MESSAGES -> break
    od
  } unless {
    atomic { doomed -> doomed = false; torn = true; run worker() }
  }
}

active proctype killer() {
end_killing:
  do
  :: atomic { kills < KILLS && _nr_pr > 2 -> kills++; doomed = true }
  :: kills == KILLS -> break
  od
}

init { run worker() }
