/*
 * The protocol of src/lock/rwlock.c, for exhaustive search. Labels and comments
 * use the step names of the source: RL = read_lock, RU = read_unlock,
 * WL = write_lock, WU = write_unlock, U = wake_waiters and wake_writer.
 *
 * Each process enters and leaves ROUNDS times and ends. Checked in every
 * interleaving: exclusion and the invariants W1, W4, W5 (assert); nobody sleeps
 * for ever (no invalid end state); at the end the state word is 0.
 *
 * One statement is one atomic access of the source. Memory is sequentially
 * consistent here; the weak orders are the business of test_model_rwlock.c.
 * Parking never returns for no reason: that would hide a lost wake-up. Spinning
 * is one load, since a later load is just another interleaving.
 *
 * MUTATE selects one deliberate mistake, or a situation that must be reachable;
 * the search must then fail, or the model proves nothing.
 *
 * Run by tests/support/spin.sh, which reads:
 *   spin-cc: -DSAFETY -DCOLLAPSE
 *   spin-pan: -m100000
 *   spin-config: -DREADERS=2 -DWRITERS=2 -DROUNDS=1
 *   spin-config: -DREADERS=1 -DWRITERS=3 -DROUNDS=1
 *   spin-config: -DREADERS=1 -DWRITERS=1 -DROUNDS=4
 *   spin-config: -DREADERS=2 -DWRITERS=1 -DROUNDS=2
 *   spin-mutant: MUTATE=TRUST_WAKE
 *   spin-mutant: MUTATE=DROP_OTHERS -DREADERS=1 -DWRITERS=3 -DROUNDS=1
 *   spin-mutant: MUTATE=DROP_BITS
 *   spin-mutant: MUTATE=NO_BUMP
 *   spin-mutant: MUTATE=NO_SECOND_LOOK
 *   spin-mutant: MUTATE=NO_READER_BIT
 *   spin-mutant: MUTATE=READERS_PASS
 *   spin-mutant: MUTATE=WAKE_ONE_READER
 *   spin-mutant: MUTATE=REACH_SHARING
 *   spin-mutant: MUTATE=REACH_BOTH_PARKED
 *   spin-mutant: MUTATE=REACH_TWO_WRITERS_PARKED -DREADERS=1 -DWRITERS=3 -DROUNDS=1
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif

/* the mistakes */
#define TRUST_WAKE 1    /* U4 believes that the wake reached a writer */
#define DROP_OTHERS 2   /* WL3 forgets that other writers may wait */
#define DROP_BITS 3     /* WL1 overwrites the waiting bits */
#define NO_BUMP 4       /* U2 is missing */
#define NO_SECOND_LOOK 5 /* WL5 is missing */
#define NO_READER_BIT 6 /* RL2 is missing: parks without READERS_WAIT */
#define READERS_PASS 7  /* RL1 does not mind a waiting writer */
#define WAKE_ONE_READER 8 /* U6 wakes one reader only */
/* not mistakes: situations that must be reachable, or the search is hollow */
#define REACH_SHARING 20
#define REACH_BOTH_PARKED 21
#define REACH_TWO_WRITERS_PARKED 22
#ifndef MUTATE
#define MUTATE 0
#endif

/* the state word: a small count instead of 30 bits */
#define WRITER 15
#define COUNT(s) ((s) & 15)
#define READERS_WAIT 16
#define WRITERS_WAIT 32
#define IS_FREE(s) (COUNT(s) == 0)
#if MUTATE == READERS_PASS
#define MAY_READ(s) (COUNT(s) < WRITER - 1)
#else
#define MAY_READ(s) ((s) < WRITER - 1)
#endif
#define HAS(s, bit) (((s) & (bit)) != 0)

byte state;
byte notify;

/* the operating system: who sleeps on which word, a bit for each process */
#define PROCESSES (READERS + WRITERS)
byte on_state;
byte on_notify;

byte readers_in, writers_in, ended;

/* compare and go to sleep in one step, until woken */
inline park(word, expected, asleep)
{
    if
    :: atomic {
           word == expected -> asleep = asleep | (1 << me);
           look_around()
       }
       (asleep & (1 << me)) == 0
    :: word != expected
    fi
}

inline unpark_all(asleep)
{
    asleep = 0
}

/* any one of the sleepers; nobody if there is none */
inline unpark_one(asleep)
{
    atomic {
        if
        :: asleep == 0
        :: asleep & 1 -> asleep = asleep & 62
        :: asleep & 2 -> asleep = asleep & 61
        :: asleep & 4 -> asleep = asleep & 59
        :: asleep & 8 -> asleep = asleep & 55
        :: asleep & 16 -> asleep = asleep & 47
        fi
    }
}

inline look_around()
{
#if MUTATE == REACH_BOTH_PARKED
    assert(on_state == 0 || on_notify == 0);
#elif MUTATE == REACH_TWO_WRITERS_PARKED
    assert((on_notify & (on_notify - 1)) == 0);
#endif
    skip
}

inline cas(expected, desired)
{
    atomic {
        ok = (state == expected);
        if
        :: ok -> state = desired
        :: else -> s = state
        fi
    }
}

inline wake_writer()
{
#if MUTATE != NO_BUMP
    notify++; /* U2 */
#endif
    unpark_one(on_notify) /* U3 */
}

inline wake_waiters()
{
    assert(IS_FREE(s)); /* W5 */
    ok = false;
    if
    :: s == WRITERS_WAIT ->
       cas(WRITERS_WAIT, 0); /* U1 */
       if
       :: ok -> wake_writer(); s = 0
       :: else
       fi
    :: else
    fi;
    if
    :: s == (READERS_WAIT | WRITERS_WAIT) ->
       cas((READERS_WAIT | WRITERS_WAIT), READERS_WAIT); /* U4 */
       if
       :: ok ->
          wake_writer();
#if MUTATE == TRUST_WAKE
          s = 0
#else
          s = READERS_WAIT /* W7 */
#endif
       :: else -> s = 0
       fi
    :: else
    fi;
    if
    :: s == READERS_WAIT ->
       cas(READERS_WAIT, 0); /* U5 */
       if
#if MUTATE == WAKE_ONE_READER
       :: ok -> unpark_one(on_state)
#else
       :: ok -> unpark_all(on_state) /* U6 */
#endif
       :: else
       fi
    :: else
    fi;
    s = 0
}

inline read_lock()
{
    s = state;
    do
    :: MAY_READ(s) ->
       cas(s, s + 1); /* RL1 */
       if
       :: ok -> break
       :: else
       fi
    :: else ->
       ok = true;
#if MUTATE != NO_READER_BIT
       if
       :: !HAS(s, READERS_WAIT) -> cas(s, s | READERS_WAIT) /* RL2 */
       :: else
       fi;
#endif
       if
#if MUTATE != NO_READER_BIT
       :: ok -> park(state, (s | READERS_WAIT), on_state); s = state /* RL3 */
#else
       :: ok -> park(state, s, on_state); s = state
#endif
       :: else
       fi
    od;
    s = 0
}

inline read_unlock()
{
    atomic {
        state = state - 1; /* RU1 */
        s = state
    }
    assert(COUNT(s) < WRITER - 1);                         /* W1 */
    assert(!HAS(s, READERS_WAIT) || HAS(s, WRITERS_WAIT)); /* W4 */
    if
    :: s == WRITERS_WAIT || s == (READERS_WAIT | WRITERS_WAIT) ->
       wake_waiters()
    :: else
    fi;
    s = 0
}

inline write_lock()
{
    others = 0;
    s = state;
    do
    :: IS_FREE(s) ->
#if MUTATE == DROP_BITS
       cas(s, WRITER | others);
#else
       cas(s, s | WRITER | others); /* WL1 */
#endif
       if
       :: ok -> break
       :: else
       fi
    :: else ->
       ok = true;
       if
       :: !HAS(s, WRITERS_WAIT) -> cas(s, s | WRITERS_WAIT) /* WL2 */
       :: else
       fi;
       if
       :: ok ->
#if MUTATE != DROP_OTHERS
          others = WRITERS_WAIT; /* WL3, W6 */
#endif
          seen = notify; /* WL4 */
#if MUTATE != NO_SECOND_LOOK
          s = state; /* WL5 */
          if
          :: !IS_FREE(s) && HAS(s, WRITERS_WAIT) ->
             park(notify, seen, on_notify) /* WL6 */
          :: else
          fi;
#else
          park(notify, seen, on_notify);
#endif
          seen = 0;
          s = state
       :: else
       fi
    od;
    s = 0;
    others = 0
}

inline write_unlock()
{
    atomic {
        state = state - WRITER; /* WU1 */
        s = state
    }
    assert(IS_FREE(s)); /* W1 */
    if
    :: s != 0 -> wake_waiters()
    :: else
    fi;
    s = 0
}

inline the_end()
{
    atomic {
        ended++;
        assert(ended < PROCESSES || state == 0)
    }
}

proctype reader(byte me)
{
    byte s, round;
    bool ok;
    do
    :: round < ROUNDS ->
       read_lock();
       atomic {
           readers_in++;
           assert(writers_in == 0);
#if MUTATE == REACH_SHARING
           assert(readers_in < 2);
#endif
           round++
       }
       readers_in--;
       read_unlock()
    :: else -> break
    od;
    the_end()
}

proctype writer(byte me)
{
    byte s, round, others, seen;
    bool ok;
    do
    :: round < ROUNDS ->
       write_lock();
       atomic {
           writers_in++;
           assert(writers_in == 1 && readers_in == 0);
           round++
       }
       writers_in--;
       write_unlock()
    :: else -> break
    od;
    the_end()
}

init
{
    byte i;
    atomic {
        do
        :: i < READERS -> run reader(i); i++
        :: i >= READERS && i < PROCESSES -> run writer(i); i++
        :: else -> break
        od
    }
}
