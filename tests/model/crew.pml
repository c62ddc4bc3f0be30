/*
 * How workers go to sleep and are woken: src/runtime/crew.c, and what of
 * dispatch.c decides whether a worker polls or rests. Step names of the
 * comments: H = crew_share, N = crew_notify, K = crew_kick, L = loop_call, P =
 * turn_loop with poll_begin and poll_end, S = search, R = go_to_sleep, T =
 * take_token. USEFUL workers are woken for strands (crowd.c); the number is
 * constant here, since a change of it promises nothing to anybody.
 *
 * Pushers put strands into the ready queue, posters post operations, and never
 * look back: threads that are no workers, and callbacks that go on for long. (Who
 * posts at the end of a run looks next, and is a worker here, not a poster.) The
 * loop is alive for ever but brings nothing of its own, and there is no monitor
 * to repair what was missed. Checked in every interleaving: when nobody can move
 * any more, no strand and no operation is left, but for strands when every worker
 * runs one already.
 *
 * One statement is one atomic access of the source, sequentially consistent; a
 * push to a queue is one step. Parking never returns for no reason: that would
 * hide a lost wake-up. A search looks once, since a later look is just another
 * interleaving. LONG: a strand, once begun, runs for ever.
 *
 * MUTATE selects one deliberate mistake, or a situation that must be reachable;
 * the search must then fail, or the model proves nothing.
 *
 * Run by tests/support/spin.sh, which reads:
 *   spin-cc: -DSAFETY -DCOLLAPSE
 *   spin-pan: -m1000000
 *   spin-config: -DWORKERS=2 -DPUSHERS=1 -DPUSHES=2 -DPOSTERS=1
 *   spin-config: -DWORKERS=2 -DPUSHERS=2 -DPUSHES=2 -DPOSTERS=0
 *   spin-config: -DWORKERS=2 -DPUSHERS=0 -DPUSHES=0 -DPOSTERS=2
 *   spin-config: -DWORKERS=1 -DPUSHERS=1 -DPUSHES=2 -DPOSTERS=2
 *   spin-config: -DWORKERS=2 -DPUSHERS=1 -DPUSHES=3 -DPOSTERS=0 -DLONG
 *   spin-config: -DWORKERS=3 -DPUSHERS=1 -DPUSHES=2 -DPOSTERS=0 -DLONG
 *   spin-config: -DWORKERS=2 -DPUSHERS=1 -DPUSHES=2 -DPOSTERS=1 -DUSEFUL=1
 *   spin-mutant: MUTATE=NO_SECOND_LOOK -DWORKERS=2 -DPUSHERS=1 -DPUSHES=3 -DPOSTERS=0 -DLONG
 *   spin-mutant: MUTATE=NO_LOOK_BEFORE_POLL
 *   spin-mutant: MUTATE=LOOKING_STAYS
 *   spin-mutant: MUTATE=NO_CHAIN -DWORKERS=2 -DPUSHERS=1 -DPUSHES=3 -DPOSTERS=0 -DLONG
 *   spin-mutant: MUTATE=NO_KICK -DWORKERS=1 -DPUSHERS=1 -DPUSHES=1 -DPOSTERS=0
 *   spin-mutant: MUTATE=NO_KICK_FOR_OPS
 *   spin-mutant: MUTATE=KEEP_COUNT
 *   spin-mutant: MUTATE=POLLER_RUNS -DUSEFUL=1
 *   spin-mutant: MUTATE=REACH_CROWD -DUSEFUL=1
 *   spin-mutant: MUTATE=REACH_REST
 *   spin-mutant: MUTATE=REACH_THROTTLE
 *   spin-mutant: MUTATE=REACH_STOLEN_TOKEN
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef PUSHERS
#define PUSHERS 1
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#ifndef POSTERS
#define POSTERS 1
#endif
#ifndef USEFUL
#define USEFUL WORKERS
#endif

/* the mistakes */
#define NO_SECOND_LOOK 1      /* R2 is missing */
#define NO_LOOK_BEFORE_POLL 2 /* P3 is missing */
#define LOOKING_STAYS 3       /* T2 is missing */
#define NO_CHAIN 4            /* who was woken and found one wakes no other */
#define NO_KICK 5             /* N3 is missing */
#define NO_KICK_FOR_OPS 6     /* L3 is missing */
#define KEEP_COUNT 7          /* R3 stays awake but is counted as a sleeper */
#define POLLER_RUNS 8         /* H counts who blocks in the loop as running */
/* not mistakes: situations that must be reachable, or the search is hollow */
#define REACH_REST 20         /* one polls, the others sleep, all is done */
#define REACH_THROTTLE 21     /* a push is left to who looks already */
#define REACH_STOLEN_TOKEN 22 /* R3 finds that it was given a token */
#define REACH_CROWD 23        /* a push is left to who runs, though one sleeps */
#ifndef MUTATE
#define MUTATE 0
#endif

/* the crew word */
#define SLEEPERS(c) ((c) & 3)
#define LOOKING 4
#define POLLING 8
#define HAS(c, bit) (((c) & (bit)) != 0)

byte crew, tokens;
bool baton;
bool async; /* a kick that the next poll finds */
byte ready, ops;
byte running, pushed;

inline clear(flag)
{
    atomic {
        if
        :: HAS(crew, flag) -> crew = crew - flag
        :: else
        fi
    }
}

inline kick()
{
    atomic {
        kicked = HAS(crew, POLLING); /* K1 */
        if
        :: kicked -> crew = crew - POLLING
        :: else
        fi
    }
    if
    :: kicked -> async = true /* K2 */
    :: else
    fi;
    kicked = false
}

inline notify()
{
    seen = crew; /* N1 */
    ok = false;
    do
    :: !ok && !HAS(seen, LOOKING) && SLEEPERS(seen) > 0 ->
       atomic { /* N2 */
           if
           :: crew == seen -> crew = (seen - 1) | LOOKING; ok = true
           :: else -> seen = crew
           fi
       }
    :: else -> break
    od;
#if MUTATE == REACH_THROTTLE
    assert(ok || !HAS(seen, LOOKING));
#endif
    if
    :: ok -> tokens++
#if MUTATE != NO_KICK
    :: !ok && !HAS(seen, LOOKING) && HAS(seen, POLLING) -> kick() /* N3 */
#endif
    :: else
    fi;
    seen = 0;
    ok = false
}

inline share()
{
    seen = crew; /* H1 */
    ok = false;
    if
#if MUTATE == POLLER_RUNS
    :: WORKERS - SLEEPERS(seen) < USEFUL -> ok = true
#else
    :: WORKERS - SLEEPERS(seen) - HAS(seen, POLLING) < USEFUL -> ok = true
#endif
    :: else
#if MUTATE == REACH_CROWD
       -> assert(SLEEPERS(seen) == 0)
#endif
    fi;
    if
    :: ok -> notify()
    :: else -> seen = 0
    fi
}

/* anything_waiting(): a strand, or the loop, which is always alive */
inline look()
{
    if
    :: ready > 0 -> found = true
    :: else ->
       if
       :: !baton -> found = true
       :: else -> found = false
       fi
    fi
}

/* P: one turn of the loop that may block, baton in hand */
inline serve_loop()
{
    ops = 0;                /* P1 */
    crew = crew | POLLING;  /* P2 */
#if MUTATE == NO_LOOK_BEFORE_POLL
    found = false;
#else
    if /* P3 */
    :: ready > 0 -> found = true
    :: else ->
       if
       :: ops > 0 -> found = true
       :: else -> found = false
       fi
    fi;
#endif
    if
    :: found -> async = false
    :: else ->
end_poll:
       atomic {
           async;
           async = false
       }
    fi;
    found = false;
    clear(POLLING); /* P4 */
    baton = false
}

inline take_token()
{
    found = false;
end_park:
    atomic {
        tokens > 0; /* T1 */
        tokens--
    }
#if MUTATE != LOOKING_STAYS
    clear(LOOKING) /* T2 */
#endif
}

inline rest()
{
    atomic {
        ok = HAS(crew, LOOKING); /* S1 */
        crew = crew | LOOKING
    }
    found = false;
    if
    :: ok
    :: else ->
       look();
       clear(LOOKING); /* S2 */
       look()
    fi;
    ok = false;
    if
    :: found -> found = false
    :: else ->
       crew++; /* R1 */
#if MUTATE != NO_SECOND_LOOK
       look(); /* R2 */
#endif
       if
       :: found ->
          found = false;
          atomic { /* R3 */
              if
              :: SLEEPERS(crew) > 0 ->
                 ok = true;
#if MUTATE != KEEP_COUNT
                 crew--
#endif
              :: else
#if MUTATE == REACH_STOLEN_TOKEN
                 -> assert(false)
#endif
              fi
          }
       :: else
       fi;
       if
       :: ok
       :: else -> take_token()
       fi
    fi;
    ok = false
}

active proctype judge()
{
    timeout;
    assert(pushed == PUSHERS * PUSHES);
    assert(ready == 0 || running == WORKERS);
    assert(ops == 0);
#if MUTATE == REACH_REST
    assert(SLEEPERS(crew) != WORKERS - 1);
#endif
}

active [WORKERS] proctype worker()
{
    byte seen;
    bool ok, found, kicked, rested;
    do
    :: atomic {
           found = ready > 0;
           if
           :: found -> ready--
           :: else
           fi
       }
       if
       :: found ->
          found = false;
#if MUTATE != NO_CHAIN
          if
          :: rested && ready > 0 -> share()
          :: else
          fi;
#endif
          rested = false;
#ifdef LONG
          running++;
end_run:
          false
#endif
       :: else ->
          rested = true;
          atomic {
              if
              :: !baton -> baton = true; ok = true
              :: else
              fi
          }
          if
          :: ok -> ok = false; serve_loop()
          :: else -> rest()
          fi
       fi
    od
}

#if PUSHERS > 0
active [PUSHERS] proctype pusher()
{
    byte seen, pushes;
    bool ok, kicked;
    do
    :: pushes < PUSHES ->
       ready++;
       share();
       pushes++;
       pushed++
    :: else -> break
    od
}
#endif

#if POSTERS > 0
active [POSTERS] proctype poster()
{
    byte seen;
    bool ok, kicked;
    ops++; /* L1 */
    ok = baton; /* L2 */
    if
    :: ok ->
       ok = false;
#if MUTATE != NO_KICK_FOR_OPS
       kick() /* L3 */
#endif
    :: else -> notify() /* L4 */
    fi
}
#endif
