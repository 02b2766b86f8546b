/* fleet.pml — reading purges from a stream whose end and whose beginning may get lost (FleetArea, read_stream.cpp).
 *
 * Code        on_entries, on_position, begin_gap, end_gap (read_stream.cpp); write_position (fleet_area.cpp); look_for, add_again
 *             (write_stream.cpp)
 * Without     The lease: both readers may go on at any time, as a stopped holder would.
 * What        A server appends purges to a stream, and may trim its beginning, lose its end in a failover (then the publisher adds
 *             what was lost again), or lose all of it. Ids are given out anew after a loss. A reader asks for what is behind its
 *             position (XREAD), purges entry by entry, looks whether the entry at the position is still there and still the same
 *             (XRANGE), and only then moves the position. If it is not there: everything is doubted, and the position is the
 *             stream's end. A reader may be killed before any step; another one takes over from the position in the zone.
 * Proves      F1  when a reader has come to the end of what was there, every purge that was in the stream when it began counts
 *                 in the zone, be it by a purge or by doubt, unless a failover lost it and it has not been added again yet
 * Bounds      One trim, one loss of everything, at most one failover and one death; ids are the places of an array.
 * Twins       -DPOSITION_FIRST  the position moves before the purges are done
 *             -DNO_LOOK         nobody looks for the position
 *             -DLOOK_FIRST      XRANGE before XREAD: what is trimmed in between is not noticed
 *             -DNO_HASH         the position is an id alone: another entry under it counts as the same
 *             -DDOUBT_LATE      at a gap the stream's end is read after the doubt
 *             -DNO_READD        nobody adds again what a failover lost: then F1 is asked for those too
 */

/* PURGES, PLACES (ids: 1 … PLACES-1), FAILOVERS, DEATHS, READERS and ROUNDS (of each reader) come from the command line. */

byte serial[PLACES];                   /* of the append that wrote it: what id and text together say */
byte what[PLACES];                     /* the purge it tells of; 0: hello */
byte oldest = 1, newest;                   /* entries oldest … newest are there */
byte appends;

byte issued;                           /* purges that were put into the stream: a bit each */
byte lost;                             /* of these, those that a failover lost and nobody has added again */
byte readded[2];                       /* ghost: those that were added again, or need not be, since the reader began */
byte covered;                          /* ghost: of these, those that count in the zone */

byte pos_id, pos_serial;               /* FleetArea.position; 0: none */
byte deaths;

#define BIT(n) (1 << ((n) - 1))
#define IS_THERE(id, s) ((id) >= oldest && (id) <= newest && serial[id] == (s))

inline append(purge) {
    newest++;
    appends++;
    serial[newest] = appends;
    what[newest] = purge
}

/* What a failover took is added again when the publisher finds it gone. */
active proctype Publisher() {
    byte n = 1;
    byte k;
    do
    :: atomic { n <= PURGES && newest < PLACES - 1 ->
        append(n);
        issued = issued | BIT(n);
        n++ }
#ifndef NO_READD
    :: atomic { lost != 0 && newest < PLACES - 1 ->
        k = 1;
        do
        :: (lost & BIT(k)) != 0 -> break
        :: else -> k++
        od;
        append(k);
        lost = lost & ~BIT(k);
        readded[0] = readded[0] | BIT(k);
        readded[1] = readded[1] | BIT(k);
        k = 0 }
#endif
    :: n > PURGES && lost == 0 -> break
    od
}

active proctype Server() {
    byte trims = 1, failovers = FAILOVERS, losses = 1;
    do
    :: atomic { trims > 0 && oldest <= newest -> trims--; oldest++ }
    :: atomic { failovers > 0 && oldest <= newest ->    /* the last entry */
        failovers--;
        if
        :: what[newest] != 0 && (issued & BIT(what[newest])) != 0 -> lost = lost | BIT(what[newest])
        :: else -> skip
        fi;
        serial[newest] = 0; what[newest] = 0;
        newest-- }
    :: atomic { losses > 0 && newest > 0 ->            /* all of it; ids begin anew */
        losses--;
        oldest = 1; newest = 0;
        /* Every node sees a gap, so nothing has to be added again. */
        readded[0] = readded[0] | lost;
        readded[1] = readded[1] | lost;
        lost = 0 }
    :: break
    od
}

#if DEATHS > 0
#define DIE if \
    :: atomic { deaths > 0 -> deaths--; goto start } \
    :: skip \
    fi
#else
#define DIE skip
#endif

proctype Reader(byte me) {
    byte my_id, my_serial;             /* StreamReader.position */
    byte to_id, to_serial;             /* StreamReader.reached */
    byte at, snap, there;
    byte i, got_len, rounds = ROUNDS;
start:
    atomic { my_id = pos_id; my_serial = pos_serial; to_id = 0; to_serial = 0; i = 0; at = 0; snap = 0; there = 0; got_len = 0 }
    if
    :: my_id == 0 -> goto gap
    :: else -> skip
    fi;
again:
    DIE;
    atomic { snap = issued & ~lost; readded[me] = 0 }
#ifdef LOOK_FIRST
    atomic { there = IS_THERE(my_id, my_serial) }
#endif
    /* XREAD: all entries whose ids are above. One reply is one moment. */
    atomic {
        got_len = newest;
        at = (my_id + 1 > oldest -> my_id + 1 : oldest);
        i = 0;
        if
        :: at <= got_len -> to_id = got_len; to_serial = serial[got_len]
        :: else -> to_id = 0
        fi;
        do
        :: at <= got_len ->
            if
            :: what[at] != 0 -> i = i | BIT(what[at])
            :: else -> skip
            fi;
            at++
        :: else -> break
        od;
        at = 0; got_len = 0
    }
#ifdef POSITION_FIRST
    atomic { to_id != 0 -> pos_id = to_id; pos_serial = to_serial } unless { to_id == 0 };
    DIE;
#endif
    /* Purge by purge. */
    do
    :: i != 0 ->
        atomic {
            at = 1;
            do
            :: (i & BIT(at)) != 0 -> break
            :: else -> at++
            od;
            i = i & ~BIT(at);
            covered = covered | BIT(at);
            at = 0
        }
        DIE
    :: else -> break
    od;
#if !defined(LOOK_FIRST) && !defined(NO_LOOK) && !defined(NO_HASH)
    atomic { there = IS_THERE(my_id, my_serial) }
#endif
#ifdef NO_HASH
    atomic { there = (my_id >= oldest && my_id <= newest) }
#endif
#ifdef NO_LOOK
    there = 1;
#endif
    if
    :: there == 0 -> goto gap
    :: else -> skip
    fi;
    DIE;
    atomic {
        if
        :: to_id != 0 -> pos_id = to_id; pos_serial = to_serial; my_id = to_id; my_serial = to_serial
        :: else -> skip
        fi;
#ifdef NO_READD
        assert((snap & ~covered) == 0);
#else
        assert((snap & ~lost & ~readded[me] & ~covered) == 0);    /* F1 */
#endif
        there = 0; snap = 0; to_id = 0; to_serial = 0; rounds--
    }
    if
    :: rounds > 0 -> goto again
    :: goto done
    fi;

gap:
    DIE;
#ifdef DOUBT_LATE
    atomic { covered = covered | issued }
#endif
    /* XREVRANGE; a stream without an entry gets one. */
    atomic {
        if
        :: oldest > newest && newest < PLACES - 1 -> append(0)
        :: oldest > newest && newest == PLACES - 1 -> goto done
        :: else -> skip
        fi;
        to_id = newest; to_serial = serial[newest]
    }
    DIE;
#ifndef DOUBT_LATE
    atomic { covered = covered | issued }
#endif
    DIE;
    atomic { pos_id = to_id; pos_serial = to_serial; my_id = to_id; my_serial = to_serial; to_id = 0; to_serial = 0 }
    goto again;

done:
    skip
}

init {
    atomic {
        deaths = DEATHS;
        run Reader(0);
#if READERS > 1
        run Reader(1);
#endif
    }
}
