#include "shm/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "shm/counters.h"
#include "shm/lease.h"
#include "shm/purge.h"
#include "shm/reclaim.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {
namespace {

// "/proc/<pid>/stat", no stdio.
void stat_path(uint32_t pid, char out[32]) noexcept {
    std::memcpy(out, "/proc/", 6);
    out = base::put_decimal(out + 6, pid);
    std::memcpy(out, "/stat", 6);
}

// Field 22 of a stat line; fields are counted from behind the last ')', since names may hold anything.
Life parse_stat(const char* p, const char* end, uint64_t* start_time) noexcept {
    const char* after = nullptr;
    for (const char* q = p; q < end; q++) {
        after = *q == ')' ? q + 2 : after;
    }
    if (after == nullptr || after >= end) {
        return Life::kUnknown;
    }
    if (*after == 'Z' || *after == 'X') {
        return Life::kDead;
    }
    uint32_t field = 3;
    while (after < end && field < 22) {
        field += *after++ == ' ' ? 1 : 0;
    }
    uint64_t value = 0;
    while (after < end && *after >= '0' && *after <= '9') {
        value = value * 10 + static_cast<uint64_t>(*after++ - '0');
    }
    *start_time = value;
    return field == 22 && value != 0 ? Life::kAlive : Life::kUnknown;
}

// Where the file is not there: it may be /proc itself that is missing, or shut to us.
Life without_proc(int error, uint32_t pid) noexcept {
    if (error == ESRCH || (error == ENOENT && kill(static_cast<pid_t>(pid), 0) < 0 && errno == ESRCH)) {
        return Life::kDead;
    }
    return Life::kUnknown;
}

// The record is ours (reaping | self): gives back its fills, slots and leases, then frees it.
void clean_record(Context* c, uint32_t index, uint64_t mine, WakeSet* wake) noexcept {
    WorkerRecord* w = worker_record(*c, index);
    if (!retire_fills(c, w)) {
        return;  // a shard's lock was not to be had: the record stays in reaping, the next reap() goes on
    }
    abandon_leases(c, index, wake);
    Atom<uint32_t>* slots = slot_cells(*c, w);
    for (uint32_t i = 0; i < c->geo.slots_per_worker; i++) {
        if (slots[i].load_relaxed() != 0) {  // relaxed: its only writer is dead
            slots[i].store_release(0);       // [slot-clear]
        }
    }
    w->hiwater.store_release(0);
    w->owner.cas_seq_cst(mine, 0);  // [record] the next tenant finds everything cleared
    count(*c, Counter::kReaped);
}

}  // namespace

Life look_at_process(uint32_t pid, uint64_t* start_time) noexcept {
    char path[32];
    stat_path(pid, path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return without_proc(errno, pid);
    }
    char line[1024];
    const ssize_t n = read(fd, line, sizeof(line));
    const int error = n < 0 ? errno : 0;
    close(fd);
    return n > 0 ? parse_stat(line, line + n, start_time) : without_proc(error, pid);
}

bool read_start_time(uint32_t pid, uint64_t* start_time) noexcept {
    return look_at_process(pid, start_time) == Life::kAlive;
}

bool is_alive(const Context& c, uint64_t owner_word) noexcept {
    const WorkerId id = identity_of(owner_word & ~kReapingBit);
    if (owner_word == 0) {
        return false;
    }
    if (c.alive != nullptr) {
        return c.alive(id, c.alive_context);
    }
    uint64_t start = 0;
    const Life life = look_at_process(id.pid, &start);
    const uint64_t kept = start & ((uint64_t{1} << 41) - 1);
    return life == Life::kUnknown || (life == Life::kAlive && (id.start_time == 0 || kept == id.start_time));
}

bool is_gone(const Context& c, uint64_t owner_word) noexcept {
    const WorkerId id = identity_of(owner_word & ~kReapingBit);
    if (owner_word == 0 || c.alive != nullptr) {
        return owner_word == 0 || !c.alive(id, c.alive_context);
    }
    return kill(static_cast<pid_t>(id.pid), 0) != 0 && errno == ESRCH;
}

uint64_t self_word(Context* c) noexcept {
    // Without a record the identity is asked for anew: a forked child must not go by its parent's.
    if (c->worker == 0) {
        WorkerId id;
        id.pid = static_cast<uint32_t>(getpid());
        if (!read_start_time(id.pid, &id.start_time)) {
            id.start_time = 0;  // others then go by the pid alone: never taken for dead while we live
        }
        c->self = identity_word(id);
    }
    return c->self;
}

void count(const Context& c, Counter which, uint64_t n) noexcept {
    if (c.local != nullptr) {
        Atom<uint64_t>& cell = c.local->record->counter[static_cast<uint32_t>(which)];
        cell.store_relaxed(cell.load_relaxed() + n);  // relaxed: one writer; a statistic
    }
}

Status claim_record(Context* c, const WorkerId& self) noexcept {
    const uint64_t word = identity_word(self);
    for (uint32_t i = 0; i < c->geo.worker_count; i++) {
        WorkerRecord* w = worker_record(*c, i);
        uint64_t expected = 0;
        if (w->owner.load_relaxed() == 0 && w->owner.cas_seq_cst(expected, word)) {  // [record]
            // [closed] seq_cst after the record is taken: whoever closes the zone stores first and looks at the records
            // afterwards, so that one of us sees the other.
            if (c->zone->closed.load_seq_cst() != 0) {
                w->owner.store_release(0);  // [record]
                return Status::kBusy;
            }
            c->self = word;
            c->worker = i + 1;
            return Status::kOk;
        }
    }
    return Status::kBusy;
}

void reap_dead(Context* c, WakeSet* wake) noexcept {
    finish_purge_of_dead(c);
    const uint64_t mine = self_word(c) | kReapingBit;
    for (uint32_t i = 0; i < c->geo.worker_count; i++) {
        WorkerRecord* w = worker_record(*c, i);
        uint64_t owner = w->owner.load_acquire();  // [record]
        if (owner == 0 || owner == c->self) {
            continue;
        }
        if (owner != mine) {
            // Taking the word first makes a slow second reaper harmless: it no longer finds what it saw.
            if (is_alive(*c, owner) || !w->owner.cas_seq_cst(owner, mine)) {  // [record]
                continue;
            }
        }
        clean_record(c, i, mine, wake);
    }
}

}  // namespace slab_cache::shm
