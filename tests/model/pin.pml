/* pin.pml — pin, publish, unpublish, reclaim, repair and reap with hazard slots (src/shm).
 *
 * Code        Store::find, probe, take_slot, publish_hazard, still_holds, give_slot (store_read.cpp,
 *             reclaim.cpp); publish_locked, erase_locked (index.cpp); scan_slots, reclaim_locked; Repair::run;
 *             reap_dead, clean_record (worker.cpp)
 * What        One index cell, two entries, one worker record with two hazard slots. Worker A owns the record from
 *             the start and may be killed before any step; worker B joins once the record has been reaped or left.
 *             Two writers take turns under the shard lock; the first may be killed before any step, the second
 *             then repairs. Two reapers race for the dead record; the first may be killed too.
 * Memory      x86-TSO: every plain or release store of a worker to its slots, and in a twin the writer's store to
 *             the cell, goes through a FIFO store buffer that drains at any later time. Locked instructions
 *             (exchange, CAS) wait for the own buffer to drain. A killed process's buffer drains before its death
 *             can be seen (the kernel runs on that CPU first).
 * Proves      P1  no entry is freed, hence reused, while a live worker holds it validated   (assert in FREE)
 *             P2  a validated entry is complete and keeps its key until unpin               (asserts in Worker)
 *             P3  no lookup returns an entry of another key, although words in the cell carry no generation (ABA)
 *             P4  after a writer's death, whatever is neither published nor in a slot is free again  (repair)
 *             P5  reaping ends with the record free and all slots zero before anybody can claim it
 * Twins       -DPLAIN_STORE      the slot is published by a store that may linger in the store buffer
 *             -DNO_REVALIDATION  the cell is not read again after publishing the slot
 *             -DPLAIN_UNPUBLISH  the writer's unpublishing store may linger past its scan of the slots
 *             -DHIWATER_LATE     hiwater is raised after a slot above it was published
 *             -DNO_KEY_CHECK     a word match is trusted
 *             -DEARLY_PUBLISH    the cell is stored before the entry is complete
 *             -DNO_REAP_CLAIM    reapers zero slots without first taking the owner word
 *             -DREAP_FREE_FIRST  the owner word is freed before the slots are zeroed
 *             -DBLIND_REPAIR     repair frees whatever is not in the index, without asking the slots
 *             -DLATE_CLAIM       a worker publishes a slot before its claim of the record can be seen
 */

#define WANT   1          /* the key the workers look for */
#define OTHER  2          /* another key whose tag collides with WANT's */

#define FREE      0
#define WRITING   1
#define COMPLETE  2
#define RETIRED   3

#define A 1               /* process ids, as in the owner and lock words */
#define B 2
#define W1 3
#define W2 4
#define R1 5
#define R2 6
#define REAPING 8

bool alive[7];

byte cell;                /* index slot: entry ref, 0 = empty.            index.h            */
byte slot[2];             /* Worker.slot[]                                layout.h, reclaim  */
byte hiwater;             /* Worker.hiwater                                                  */
byte owner;               /* Worker.owner: 0 free, id, REAPING + id       worker.h           */
byte lock_word;           /* Shard lock word                              lock.h             */
bit  dirty;               /* Shard.dirty                                                     */
byte state[3];            /* of entries 1 and 2                                              */
byte key[3];

chan sb_a = [3] of { byte, byte };   /* store buffers: slot number, value */
chan sb_b = [3] of { byte, byte };
chan sb_w = [1] of { byte };         /* writer's, holds a value for the cell */

byte held_a[2];           /* ghost: what a live worker has validated, per slot */
byte held_b[2];

#define is_held(r) (held_a[0] == r || held_a[1] == r || held_b[0] == r || held_b[1] == r)

proctype FlushA() { byte s, v; end: do :: atomic { sb_a ? s, v -> slot[s] = v } od }
proctype FlushB() { byte s, v; end: do :: atomic { sb_b ? s, v -> slot[s] = v } od }
proctype FlushW() { byte v;    end: do :: atomic { sb_w ? v -> cell = v } od }

/* Store::find, probe -> pin_from: publish, revalidate, compare the key. Store::unpin -> give_slot. */
proctype Worker(byte id; chan sb; byte lookups) provided (alive[id])
{
    byte w, s;
    byte mine[2];                                   /* LocalPins: private map slot -> ref */

    if
    :: id == B ->                                   /* claim_record: CAS owner 0 -> me */
#ifndef LATE_CLAIM
       atomic { owner == 0 ->
                assert(slot[0] == 0 && slot[1] == 0 || is_held(slot[0]) || is_held(slot[1])); /* P5 */
                owner = B }
#else
       owner == 0
#endif
    :: else
    fi;

    do
    :: lookups > 0 && (mine[0] == 0 || mine[1] == 0) ->
        atomic { lookups--; w = cell };             /* [index-publish] acquire */
        if
        :: w == 0                                   /* miss */
        :: w != 0 && (mine[0] == w || mine[1] == w) -> /* already held: a private count, no shared store */
           assert(state[w] >= COMPLETE && key[w] == WANT)
        :: else ->
           s = (mine[0] == 0 -> 0 : 1);
#ifndef HIWATER_LATE
           if :: hiwater <= s -> hiwater = s + 1 :: else fi;    /* [hiwater] take_slot, before the slot is used */
#endif
#ifdef PLAIN_STORE
           sb ! s, w;
#else
           atomic { empty(sb) -> slot[s] = w };     /* publish_hazard: drains, then writes */
#endif
#ifdef NO_REVALIDATION
           atomic { if :: id == A -> held_a[s] = w :: else -> held_b[s] = w fi; mine[s] = w };
#else
           atomic {                                 /* still_holds: load_seq_cst; the rest is ghost */
             if
             :: cell == w -> if :: id == A -> held_a[s] = w :: else -> held_b[s] = w fi; mine[s] = w
             :: else -> w = 0
             fi
           };
#endif
#ifdef HIWATER_LATE
           if :: hiwater <= s -> hiwater = s + 1 :: else fi;
#endif
#ifdef LATE_CLAIM
           if :: id == B && owner != B -> owner = B :: else fi;
#endif
           if
           :: w == 0 -> sb ! s, 0                   /* lost the race: withdraw */
           :: else ->
              assert(state[w] >= COMPLETE);                             /* P2 */
#ifndef NO_KEY_CHECK
              if
              :: key[w] != WANT ->                  /* tag collision: unpin, miss */
                 goto release
              :: else
              fi;
#endif
              assert(key[w] == WANT);                                   /* P3 */
              if                                    /* serve now, or keep the pin over the next lookup */
              :: goto release
              :: skip
              fi
           fi
        fi;
        goto next;
release:
        assert(state[w] >= COMPLETE);                                   /* P2 */
        atomic { mine[s] = 0; if :: id == A -> held_a[s] = 0 :: else -> held_b[s] = 0 fi };
        sb ! s, 0;                                  /* give_slot, [slot-clear]: the reads above are over */
next:   atomic { w = 0; s = 0 }
    :: mine[0] != 0 || mine[1] != 0 ->              /* a slow client is done: unpin */
        atomic {
            s = (mine[0] != 0 -> 0 : 1);
            assert(state[mine[s]] >= COMPLETE && key[mine[s]] == WANT); /* P2 */
            mine[s] = 0; if :: id == A -> held_a[s] = 0 :: else -> held_b[s] = 0 fi };
        atomic { sb ! s, 0; s = 0 }
    :: lookups == 0 && mine[0] == 0 && mine[1] == 0 -> break
    od;
    atomic { empty(sb) -> owner = 0 }               /* Store::leave: after the slots, FIFO */
}

/* free_chain_locked. P1: the only way back to FREE. */
inline free_entry(r)
{
    atomic { assert(!is_held(r)); state[r] = FREE; key[r] = 0 }
}

/* scan_slots: seen[] = what the slots say. A free record may be skipped (the code does not): its claimant publishes
 * a slot only after the claim. */
inline scan_slots()
{
    if
    :: owner != 0 ->
       h = hiwater;
       do
       :: j < h -> atomic { v = slot[j]; if :: v != 0 -> seen[v] = 1 :: else fi; v = 0; j++ }
       :: else -> break
       od;
       atomic { j = 0; h = 0 }
    :: else
    fi
}

/* reclaim_locked */
inline reclaim()
{
    scan_slots();
    if :: state[1] == RETIRED && !seen[1] -> free_entry(1) :: else fi;
    if :: state[2] == RETIRED && !seen[2] -> free_entry(2) :: else fi;
    atomic { seen[1] = 0; seen[2] = 0 }
}

/* Repair::run, keep_index, keep_pinned: mark and sweep; published -> complete, in a slot -> retired,
 * everything else -> free. */
inline repair_entry(x)
{
    if
    :: x == cell                                    /* index slots are the truth; the lock is ours */
    :: x != cell && seen[x] && state[x] >= COMPLETE -> state[x] = RETIRED
    :: else -> if :: state[x] != FREE -> free_entry(x) :: else fi              /* P4 */
    fi
}

inline repair()
{
    scan_slots();
#ifdef BLIND_REPAIR
    seen[1] = 0; seen[2] = 0;
#endif
    repair_entry(1);
    repair_entry(2);
    atomic { seen[1] = 0; seen[2] = 0 }
}

inline store_cell(val)               /* publish_locked, erase_locked: seq_cst, drained before the next load */
{
#ifdef PLAIN_UNPUBLISH
    sb_w ! val
#else
    cell = val
#endif
}

/* commit, remove, evict and reclaim under the shard lock. */
proctype Writer(byte id; byte ops) provided (alive[id])
{
    byte r, h, j, v, old;
    bool seen[3];

    do
    :: ops > 0 ->
        atomic { lock_word == 0 || !alive[lock_word] -> lock_word = id; ops-- };  /* CAS; a dead owner is overtaken */
        if :: dirty -> repair() :: else fi;
        atomic { dirty = 1; old = cell };
        if
        :: old != 0 ->                              /* remove or evict */
           store_cell(0);
           state[old] = RETIRED
        :: state[1] == FREE || state[2] == FREE ->  /* commit: insert or replace */
           atomic { r = (state[1] == FREE -> 1 : 2); state[r] = WRITING };
#ifdef EARLY_PUBLISH
           store_cell(r);
#endif
           atomic { if :: key[r] = WANT :: key[r] = OTHER fi; state[r] = COMPLETE };
#ifndef EARLY_PUBLISH
           store_cell(r);                           /* the commit point */
#endif
           if :: old != 0 -> state[old] = RETIRED :: else fi
        :: skip
        fi;
        if
        :: reclaim()
        :: skip
        fi;
        atomic { empty(sb_w) -> dirty = 0; lock_word = 0; r = 0; old = 0 }
    :: else -> break
    od
}

/* reap_dead, clean_record: take the record, zero its slots, free the record. */
proctype Reaper(byte id) provided (alive[id])
{
    byte o, mine;

    o = owner;
    if
    :: o != 0 && !alive[o & 7] ->                   /* identity is pid + start time: ids never return */
#ifdef NO_REAP_CLAIM
       mine = o;
#else
       mine = REAPING + id;
       atomic { if :: owner == o -> owner = mine :: else -> goto done fi };
#endif
#ifdef REAP_FREE_FIRST
       atomic { if :: owner == mine -> owner = 0 :: else fi };
#endif
       slot[0] = 0;
       slot[1] = 0;
       atomic { if :: owner == mine -> owner = 0 :: else fi }
    :: else
    fi;
done:
    skip
}

proctype Kill(byte id)
{
    if
    :: atomic { id == A && alive[A] && empty(sb_a) -> alive[A] = 0; held_a[0] = 0; held_a[1] = 0 }
    :: atomic { id == W1 && alive[W1] && empty(sb_w) -> alive[W1] = 0 }
    :: atomic { id == R1 && alive[R1] -> alive[R1] = 0 }
    :: skip
    fi
}

init {
    atomic {
        alive[A] = 1; alive[B] = 1; alive[W1] = 1; alive[W2] = 1; alive[R1] = 1; alive[R2] = 1;
        owner = A;
        state[1] = COMPLETE; key[1] = WANT; cell = 1;
        run FlushA(); run Worker(A, sb_a, LOOKUPS_A);
        run FlushW(); run Writer(W1, OPS_1);
#if OPS_2
        run Writer(W2, OPS_2); run Kill(W1);
#endif
#if LOOKUPS_B
        run FlushB(); run Worker(B, sb_b, LOOKUPS_B);
        run Kill(A); run Reaper(R1);
#endif
#if TWO_REAPERS
        run Reaper(R2);
#endif
#if KILL_REAPER
        run Kill(R1);
#endif
    }
}
