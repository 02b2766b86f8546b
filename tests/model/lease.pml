/* lease.pml — one fill per key: acquire, watch, wake, release, death, overtaking (src/shm/lease).
 *
 * Code        acquire_lease, claim_set, choose, take_locked, watch_lease, progress_lease, attach_lease, set_growing,
 *             pin_lease, release_lease, change, collect, abandon_leases (lease.cpp)
 * What        One lease cell, three workers that all want the same object. Whoever owns the lease asks the origin,
 *             may report progress, commits and releases; the others register, look, sleep, are woken. An owner may
 *             die (DEATHS) before any step, or be silent for too long while alive (SILENCES).
 * Memory      word, entry and waiter bits are changed by locked instructions, so they are atomic here; twins put
 *             the store of the word or of the bit into a store buffer.
 * Sleeping    on an eventfd (event[]); the safety-net timer (TIMER) is an event of its own which fires only when
 *             nothing else in the system can move, so it never hides a lost wake-up between the living.
 * Proves      W1  without death no waiter sleeps for ever, and no timer is needed for that     (TIMER=0: no deadlock)
 *             W2  with death, the timer alone is enough                                        (TIMER=1: no deadlock)
 *             W3  nobody starts a fill while another live owner believes in its own, unless that owner was silent
 *             W4  the origin is asked once, plus once per death or silence
 *             W5  what is pinned through a ticket is the entry of that tenancy; the cell of an active tenancy carries its gen
 * Twins       -DREAD_FIRST      watch reads the word before it registers its bit
 *             -DBIT_PLAIN       the bit is a plain store that lingers past the look at the word
 *             -DNO_WAKE         release does not take the bits
 *             -DCOLLECT_FIRST   release takes the bits before it changes the word
 *             -DRELEASE_PLAIN   release stores the word plainly and looks at the bits without a locked instruction
 *             -DRELEASE_NO_GEN  release ends whatever tenancy it finds
 *             -DCLEAR_BITS      a new tenancy wipes the waiter bits it finds
 *             -DSTALE_PROGRESS  a new tenancy begins with the progress of the old one
 *             -DNO_CLAIM        cells are taken without the set's claim, by a plain look and store
 *             -DATTACH_PLAIN    attach looks at the gen, then stores its ref whatever the cell holds
 *             -DGROWING_NO_GEN  the same without a gen beside the ref; undone by CAS on the ref alone (as it once was)
 *             -DNO_SECOND_FIND  a new owner asks the origin without looking into the cache once more
 *             -DTIMER=0 with DEATHS=1: the timer is not a luxury
 */

#define N 3

#define IDLE       0      /* never used */
#define FETCHING   1      /* and streaming: any active state */
#define PUBLISHED  2
#define ABANDONED  3      /* found dead by reap(), or being taken */

byte gen, st, owner;      /* LeaseCell.word = gen | state | owner, one CAS */
byte egen, eown;          /* LeaseCell.growing = gen | ref; whose entry: worker + 1, 0 = none */
byte tenant[8];           /* ghost: who began tenancy g, worker + 1 */
bit  stale;               /* LeaseCell.progress_ms: quiet for longer than silence_ms */
bit  waiter[N];           /* LeaseCell.waiter */
byte claim;               /* LeaseSet.claim: 0, or worker + 1 */
bit  event[N];            /* eventfd of each worker */
bit  cached;              /* the object can be found: Store::find */

bit  dead[N];
bit  believes[N];         /* ghost: has been told kOwned and has not released */
bit  silent[N];           /* ghost: its own tenancy was silent for too long */
byte asked, excuses;      /* ghost: origin requests; deaths + silences */
byte deaths = DEATHS, silences = SILENCES;

byte streaming;           /* the tenancy whose word says kStreaming; FETCHING above stands for both active states */
bit  bit_late[N];         /* store buffer of the bit (twin) */
byte word_late;           /* store buffer of the word (twin): 1 = published */

#define is_active  (st == FETCHING)
#define is_overdue (st == ABANDONED || stale || dead[owner])

#define MAY_DIE \
    if \
    :: atomic { deaths > 0 -> deaths--; excuses++; dead[me] = 1; goto gone } \
    :: skip \
    fi

/* collect(): takes each bit by exchange, then (in the caller) writes that worker's eventfd. */
inline collect()
{
    w = 0;
    do
    :: w < N ->
        if
        :: atomic { waiter[w] -> waiter[w] = 0 };    /* exchange_seq_cst */
           MAY_DIE;                                  /* bits taken, nobody woken: the timer's case */
           event[w] = 1
        :: else
        fi;
        w++
    :: else -> break
    od;
    w = 0
}

#define nobody_else_is_filling \
    ((me == 0 || !believes[0] || dead[0] || silent[0]) && \
     (me == 1 || !believes[1] || dead[1] || silent[1]) && \
     (me == 2 || !believes[2] || dead[2] || silent[2]))

proctype Worker(byte me)
{
    byte g, w;
    byte seen_gen, seen_st;
    bit  late;

    if :: cached -> goto served :: else fi;          /* find(): miss */

acquire:                                             /* acquire_lease */
#ifndef NO_CLAIM
    atomic { claim == 0 || dead[claim - 1] -> claim = me + 1 };   /* claim_set: CAS; the dead are followed */
    MAY_DIE;
#endif
    atomic {                                         /* choose(), and the decision on one loaded word */
        if
        :: is_active && !is_overdue -> g = gen; late = 1
        :: else -> g = gen + 1; late = 0
        fi
    };
    if
    :: late -> if :: claim == me + 1 -> claim = 0 :: else fi;
       goto watch
    :: else
    fi;
#ifdef NO_CLAIM
    atomic { gen = g; st = ABANDONED; owner = me; tenant[g] = me + 1 };
#else
    atomic { g = gen + 1; gen = g; st = ABANDONED; owner = me; tenant[g] = me + 1 };  /* take_locked: closed first */
    MAY_DIE;
#endif
    atomic { egen = g; eown = 0 };                   /* growing = {gen, 0} */
    MAY_DIE;
#ifdef CLEAR_BITS
    atomic { stale = 0; st = FETCHING; silent[me] = 0; assert(nobody_else_is_filling); believes[me] = 1 };
    waiter[0] = 0; waiter[1] = 0; waiter[2] = 0;
#else
#ifndef STALE_PROGRESS
    stale = 0;                                       /* progress_ms = now, while closed */
    MAY_DIE;
#endif
    atomic { st = FETCHING; silent[me] = 0; assert(nobody_else_is_filling); believes[me] = 1 };   /* W3 */
#endif
    MAY_DIE;
#ifndef NO_CLAIM
    if :: claim == me + 1 -> claim = 0 :: else fi;
#endif

    /* The owner's way. */
#ifndef NO_SECOND_FIND
    if :: cached -> goto release :: else fi;         /* published between our miss and our lease */
#endif
    atomic { asked++; assert(asked <= 1 + excuses) };                                             /* W4 */
    MAY_DIE;
    if
    :: atomic { gen == g -> skip };                  /* progress_lease: the gen is looked at, then the store */
       MAY_DIE;
       stale = 0;
       collect()
    :: skip
    fi;
    if                                               /* attach_lease: the word's gen, then growing, then the word */
    :: atomic { gen == g -> skip };
       MAY_DIE;
#ifdef ATTACH_PLAIN
       atomic { egen = g; eown = me + 1 };
#else
#ifdef GROWING_NO_GEN
       eown = me + 1;
#else
       atomic { if :: egen == g -> eown = me + 1 :: else fi };   /* set_growing: CAS with the own gen */
#endif
#endif
       MAY_DIE;
       if
       :: atomic { gen == g && is_active -> streaming = g }      /* change(kStreaming) */
       :: else ->
#ifdef GROWING_NO_GEN
          atomic { if :: eown == me + 1 -> eown = 0 :: else fi }
#else
          atomic { if :: egen == g -> eown = 0 :: else fi }
#endif
       fi;
       collect()
    :: skip
    fi;
    atomic { assert(gen != g || !is_active || egen == g) };                                       /* W5 */
    cached = 1;                                      /* Store::commit */
    MAY_DIE;
release:                                             /* release_lease: change(), then collect() */
#ifdef COLLECT_FIRST
    collect();
#endif
#ifdef RELEASE_PLAIN
    atomic { believes[me] = 0; if :: gen == g && is_active -> word_late = 1 :: else -> goto served fi };
#else
#ifdef RELEASE_NO_GEN
    atomic { believes[me] = 0; if :: is_active -> st = PUBLISHED :: else -> goto served fi };
#else
    atomic { believes[me] = 0; if :: gen == g && is_active -> st = PUBLISHED :: else -> goto served fi };
#endif
#endif
    MAY_DIE;
    atomic { if :: egen == g -> eown = 0 :: else fi };   /* set_growing(…, 0) */
#if !defined(NO_WAKE) && !defined(COLLECT_FIRST)
    collect();
#endif
    goto served;

watch:                                               /* watch_lease: bit, then word */
#ifdef READ_FIRST
    atomic { seen_gen = gen; seen_st = (is_active && is_overdue -> ABANDONED : st) };
    waiter[me] = 1;
#else
#ifdef BIT_PLAIN
    bit_late[me] = 1;
#else
    waiter[me] = 1;                                  /* or_seq_cst */
#endif
    atomic { seen_gen = gen; seen_st = (is_active && is_overdue -> ABANDONED : st) };
#endif
    if                                               /* pin_lease: growing with the ticket's gen */
#ifdef GROWING_NO_GEN
    :: atomic { seen_gen == g && streaming == g && gen == g && eown != 0 -> assert(eown == tenant[g]) }   /* W5 */
#else
    :: atomic { seen_gen == g && streaming == g && egen == g && eown != 0 -> assert(eown == tenant[g]) }  /* W5 */
#endif
    :: else
    fi;
    if
    :: seen_gen == g && seen_st == FETCHING ->       /* sleep until woken */
       if
       :: atomic { event[me] -> event[me] = 0 }
       :: TIMER && timeout -> skip
       fi;
       if :: cached -> goto served :: goto watch fi  /* look into the cache, or at the lease again */
    :: seen_gen == g && seen_st == PUBLISHED -> goto served
    :: else -> if :: cached -> goto served :: else -> goto acquire fi   /* kGone, kSilent */
    fi;
served:
gone:
    skip
}

/* Time passes: the living owner of the moment has been quiet for longer than silence_ms. */
proctype Silence()
{
end:
    do
    :: atomic { silences > 0 && is_active && !stale && !dead[owner] ->
                silences--; stale = 1; if :: believes[owner] -> silent[owner] = 1; excuses++ :: else fi }
    od
}

/* abandon_leases() from reap(): ends the tenancy of the dead. Whether it wakes is the caller's choice: here it does not. */
proctype Reaper()
{
end:
    do
    :: atomic { is_active && dead[owner] -> st = ABANDONED; if :: egen == gen -> eown = 0 :: else fi }
    od
}

proctype Drain()
{
end:
    do
    :: atomic { bit_late[0] -> bit_late[0] = 0; waiter[0] = 1 }
    :: atomic { bit_late[1] -> bit_late[1] = 0; waiter[1] = 1 }
    :: atomic { bit_late[2] -> bit_late[2] = 0; waiter[2] = 1 }
    :: atomic { word_late -> word_late = 0; st = PUBLISHED }
    od
}

init {
    atomic {
        run Worker(0); run Worker(1); run Worker(2);
        run Silence(); run Reaper(); run Drain()
    }
}
