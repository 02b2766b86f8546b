// cache/fleet_record.h — purges as records of the outbox, of which entries of the stream are made.
//
// Texts       a record (outbox.h) is | field:8 | 0:8 | length:16 | value | … . URLs are percent-encoded anew from what they were
//             understood to be, so that they are understood so again; what cannot be said exactly is said wider.
#pragma once

#include <cstdint>

#include "cache/key.h"
#include "cache/purge_batch.h"

namespace slab_cache::cache {

inline constexpr size_t kRecordText = 4096;   // a record is begun anew above that
inline constexpr uint32_t kMaxRecords = 512;  // of one purge

struct RecordList {
    Bytes* text;
    uint32_t count;
};

// What a selection names, which was collected with `keeps_all`. False: memory ran out, or it is more than fits: others are to
// doubt everything.
bool write_records(const Selection& s, RecordList* out) noexcept;
// One that says: doubt everything.
Bytes write_doubt(char* to, size_t room) noexcept;

// What an unsafe request invalidated. False: nothing of it can be said, or memory ran out.
struct Group {
    Bytes host;
    Bytes name;
};
bool write_invalidation(const base::Arena& arena, const Url* url, uint32_t urls, const Group* group, uint32_t groups,
                        Bytes* out) noexcept;

// The fields of a record, one after the other. False at the end, and at nonsense.
struct RecordField {
    Bytes name;
    Bytes value;
};
bool next_record_field(Bytes* rest, RecordField* out) noexcept;

}  // namespace slab_cache::cache
