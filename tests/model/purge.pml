/* purge.pml — purge against lookup, fill and refresh (src/shm/purge).
 *
 * Code        purge_fingerprints, make_room_locked, write_record_locked, publish_purge_locked, finish_purge_locked, judge
 *             (purge.cpp); known_valid_at (entry_runs.h); Store::validity, birth_stamp, commit, refresh (store_read.cpp, store_write.cpp)
 * What        One key whose entry carries selector SA. Each purger first sees the origin's content change, then
 *             purges: SA, or SB which lands in the same record set and, as the set has one way here, drops SA's
 *             record into the set's floor. A filler fetches and commits; a revalidator gets a 304 and refreshes;
 *             two lookups read. The first purger may be killed before any step; the next takes the lock over.
 * Memory      x86-TSO for the purger: its stores pass a FIFO store buffer, and a purge counts as complete when
 *             purge() has returned. Readers' loads are not reordered among themselves on x86; on other machines
 *             the acquire on the counter gives the same.
 * Proves      U1  a lookup that begins after a purge completed never serves content from before it
 *             U2  the same holds when the fill or the revalidation was in flight during the purge
 *             U3  the same holds when the purge's record has since been dropped from its set
 * Bounds      Contents are numbered by the origin's version; entries are not reused (pin.pml is about that).
 * Twins       -DCOUNTER_FIRST      the counter is stored before the record
 *             -DPLAIN_COUNTER      purge() returns with the counter still in the store buffer
 *             -DBIRTH_LATE         birth is taken after the origin was asked
 *             -DNO_RECHECK         commit stamps `checked` without looking at the records
 *             -DCHECKED_LATE       `checked` is set to a counter loaded after looking
 *             -DFLOOR_LATE         a record is overwritten before its set's floor is raised
 *             -DFLOOR_READ_FIRST   lookup reads the floor before the records
 *             -DREFRESH_BLIND      a refresh takes its birth after the 304 and does not look at the records; either
 *                                  alone is safe: the look catches what a late birth would cover up
 *             -DREFRESH_CHECKED    a refresh stamps `checked` with the counter of that moment, unseen
 */

#define SA 1
#define SB 2

#define ENTRIES 3
#define NONE 255

byte origin = 1;                       /* version of the content the origin serves now */

byte seq = 1;                          /* ZoneHeader.purge_seq */
byte rec_fp, rec_seq;                  /* PurgeSet.record[0] */
byte set_floor;                        /* PurgeSet.hard_floor */
byte lock_word;                        /* ZoneHeader.purge_lock */
bit  dirty;
bool alive[3];

byte cell = NONE;                      /* index slot: number of the entry */
byte version[ENTRIES], birth[ENTRIES], checked[ENTRIES];
byte used;                             /* entries handed out */

byte completed;                        /* ghost: version below which nothing may be served any more */

#define M_FP    0
#define M_RSEQ  1
#define M_FLOOR 2
#define M_SEQ   3
chan sb[3] = [4] of { byte, byte };    /* purgers' store buffers */

proctype Flush(byte id)
{
    byte a, v;
end:
    do
    :: atomic {
        sb[id] ? a, v ->
        if
        :: a == M_FP -> rec_fp = v
        :: a == M_RSEQ -> rec_seq = v
        :: a == M_FLOOR -> set_floor = v
        :: a == M_SEQ -> seq = v
        fi;
        a = 0; v = 0
       }
    od
}

#define drained(id) (len(sb[id]) == 0)

/* purge_fingerprints. Record first, counter second; the counter's store is seq_cst, so that it is out at return. */
proctype Purger(byte id; byte sel) provided (alive[id])
{
    byte s, mine;

    atomic { origin++; mine = origin };                        /* the application changed its data */
    atomic { lock_word == 0 || !alive[lock_word] -> lock_word = id };
    if :: dirty -> atomic { drained(id) -> seq = seq + 1 } :: else fi;   /* finish_purge_locked */
    dirty = 1;                                                 /* entered(): before any store of the section */
    s = seq + 1;
#ifdef COUNTER_FIRST
    atomic { drained(id) -> seq = s };
#endif
    if
    :: rec_fp == sel ->                                        /* its record is there: raise it */
       sb[id] ! M_RSEQ, s
    :: rec_fp == 0 ->
       sb[id] ! M_RSEQ, s;
       sb[id] ! M_FP, sel
    :: else ->                                                 /* set full: drop the oldest into the floor */
#ifdef FLOOR_LATE
       sb[id] ! M_RSEQ, s;
       sb[id] ! M_FP, sel;
       sb[id] ! M_FLOOR, rec_seq
#else
       sb[id] ! M_FLOOR, rec_seq;                              /* [purge-floor] before the record goes */
       sb[id] ! M_RSEQ, s;
       sb[id] ! M_FP, sel
#endif
    fi;
#ifndef COUNTER_FIRST
#ifdef PLAIN_COUNTER
    sb[id] ! M_SEQ, s;
    sb[id] ! 9, 0;                                             /* the unlock is a plain store as well */
#else
    atomic { drained(id) -> seq = s };                         /* [purge-seq] store_seq_cst */
#endif
#endif
    atomic {                                                   /* purge() returns: the promise starts here */
        if :: sel == SA && completed < mine -> completed = mine :: else fi
    };
#ifdef PLAIN_COUNTER
    drained(id);
#endif
    dirty = 0;
    lock_word = 0
}

/* judge, look_up: newest = the newest purge of SA that the set knows of. Fingerprint and counter are two loads. */
inline look_at_records()
{
#ifdef FLOOR_READ_FIRST
    newest = set_floor;
    if :: rec_fp == SA -> newest = (rec_seq > newest -> rec_seq : newest) :: else fi;
#else
    newest = 0;
    if :: rec_fp == SA -> newest = rec_seq :: else fi;
    newest = (set_floor > newest -> set_floor : newest);       /* [purge-floor] after the records */
#endif
}

/* known_valid_at: nothing up to it touches the entry. Two loads. */
inline look_at_entry(e, s)
{
    known = checked[e];
    known = (known > birth[e] && known <= s -> known : birth[e])
}

/* Store::find + validity + serve. */
proctype Lookup(byte times)
{
    byte need, e, s, newest, known;

    do
    :: times > 0 ->
        atomic { times--; need = completed };                  /* the request begins */
        e = cell;                                              /* pinned: pin.pml */
        if
        :: e != NONE ->
           s = seq;                                            /* [purge-seq] acquire */
           if
           :: checked[e] == s -> goto serve                    /* the common case: one load */
           :: else
           fi;
           look_at_entry(e, s);
           look_at_records();
           if
           :: newest <= known ->
#ifdef CHECKED_LATE
              s = seq;
#endif
              checked[e] = s;                                  /* relaxed: the counter loaded before looking */
              goto serve
           :: else -> goto next                                /* purged: a miss */
           fi
        :: else -> goto next
        fi;
serve:
        assert(version[e] >= need);                            /* U1, U2, U3 */
next:
        atomic { need = 0; e = 0; s = 0; newest = 0; known = 0 }
    :: else -> break
    od
}

/* birth_stamp, ask the origin, begin, commit. The shard lock orders commits, not purges. */
proctype Filler()
{
    byte b, v, s, newest, e;

#ifdef BIRTH_LATE
    v = origin;
    b = seq;
#else
    b = seq;                                                   /* birth_stamp(), before asking */
    v = origin;                                                /* the origin answers at any later time */
#endif
    s = seq;
#ifndef NO_RECHECK
    look_at_records();
    if
    :: newest > b -> goto done                                 /* purged in flight: dropped */
    :: else
    fi;
#endif
    atomic { e = used; used++; version[e] = v; birth[e] = b; checked[e] = s };
    cell = e;                                                  /* commit point */
done:
    skip
}

/* A 304 for a pinned entry: Store::refresh. It never stamps `checked`; birth only rises. */
proctype Revalidator()
{
    byte b, s, newest, e, known;
    bool same;

    e = cell;
    if
    :: e != NONE ->
#ifdef REFRESH_BLIND
       same = (version[e] == origin);
       b = seq;
#else
       b = seq;
       same = (version[e] == origin);
#endif
       if
       :: same ->
#ifndef REFRESH_BLIND
          s = seq;
          look_at_entry(e, s);
          look_at_records();
#endif
          if
          :: newest <= known ->                                /* a hard-purged entry is never revived */
#ifdef REFRESH_CHECKED
             s = seq;
             birth[e] = b;
             checked[e] = s
#else
             if :: b > birth[e] -> birth[e] = b :: else fi
#endif
          :: else
          fi
       :: else
       fi
    :: else
    fi
}

proctype Kill(byte id)
{
    if
    :: atomic { alive[id] && drained(id) -> alive[id] = 0 }
    :: skip
    fi
}

init {
    atomic {
        alive[1] = 1; alive[2] = 1;
        version[0] = 1; birth[0] = 1; checked[0] = 1; used = 1; cell = 0;
        run Flush(1); run Purger(1, SEL_1);
#if SEL_2
        run Flush(2); run Purger(2, SEL_2);
#endif
        run Lookup(LOOKUPS_1);
#if LOOKUPS_2
        run Lookup(LOOKUPS_2);
#endif
#if FILL
        run Filler();
#endif
#if REFRESH
        run Revalidator();
#endif
#if DIES
        run Kill(1);
#endif
    }
}
