#include "cache/purge_log.h"

#include <cstring>

namespace slab_cache::cache {
namespace {

using Words = uint64_t[kPurgeRowWords];

enum Word : uint32_t { kNumber, kAt, kSeq, kCounts, kLengths };
static_assert(kLengths + 1 == kPurgeRowHead);

//   kCounts   | accepted:32 | thing:8 | road:8 | flags:16 |
//   kLengths  | address:16 | host:16 | text:16 | 0:16 |
constexpr uint64_t kAll = 1, kSoft = 2, kSigned = 4, kCut = 8;
constexpr uint64_t kMostThing = static_cast<uint64_t>(Thing::kTags);
constexpr uint64_t kMostRoad = static_cast<uint64_t>(PurgeRoad::kFleet);

// What is left of the room for text.
class Packer {
public:
    explicit Packer(Words* words) noexcept : at_(reinterpret_cast<char*>(&(*words)[kPurgeRowHead])) {}

    uint64_t put(Bytes text, size_t most) noexcept {
        const size_t room = most < left_ ? most : left_;
        size_t n = text.size() < room ? text.size() : room;
        while (n != 0 && n < text.size() && (text[n] & 0xC0) == 0x80) {  // not within a character
            n--;
        }
        is_cut_ = is_cut_ || n < text.size();
        std::memcpy(at_, n != 0 ? text.data() : "", n);
        at_ += n;
        left_ -= n;
        return n;
    }
    bool is_cut() const noexcept { return is_cut_; }

private:
    char* at_;
    size_t left_ = kPurgeRowText;
    bool is_cut_ = false;
};

// False: nonsense.
bool unpack(const Words& words, LoggedPurge* out) noexcept {
    const uint64_t counts = words[kCounts];
    const uint64_t thing = counts >> 32 & 0xFF, road = counts >> 40 & 0xFF, flags = counts >> 48;
    const size_t address = words[kLengths] & 0xFFFF, host = words[kLengths] >> 16 & 0xFFFF,
                 text = words[kLengths] >> 32 & 0xFFFF;
    if (thing > kMostThing || road > kMostRoad || address + host + text > kPurgeRowText) {
        return false;
    }
    out->number = words[kNumber];
    out->at_sec = static_cast<int64_t>(words[kAt]);
    out->seq = words[kSeq];
    out->accepted = static_cast<uint32_t>(counts);
    out->all = (flags & kAll) != 0;
    out->soft = (flags & kSoft) != 0;
    out->is_cut = (flags & kCut) != 0;
    std::memcpy(out->text, &words[kPurgeRowHead], kPurgeRowText);
    out->by = {static_cast<PurgeRoad>(road), (flags & kSigned) != 0, {out->text, address}};
    out->first = {static_cast<Thing>(thing), {out->text + address, host}, {out->text + address + host, text}};
    return true;
}

}  // namespace

void log_purge(PurgeLog* log, const Selection& s, uint64_t seq, const Purger& by, int64_t now_sec) noexcept {
    const Understood none{Thing::kUrl, {}, {}};
    const Understood& first = s.all || s.understood_count == 0 ? none : s.understood[0];
    Words words = {};
    Packer packer(&words);
    const uint64_t address = packer.put(by.address, 64);
    const uint64_t host = packer.put(first.host, 160);
    const uint64_t text = packer.put(first.text, kPurgeRowText);
    const uint64_t flags =
        (s.all ? kAll : 0) | (s.soft ? kSoft : 0) | (by.is_signed ? kSigned : 0) | (packer.is_cut() ? kCut : 0);
    words[kNumber] = log->count.add_relaxed(1) + 1;
    words[kAt] = static_cast<uint64_t>(now_sec);
    words[kSeq] = seq;
    words[kCounts] =
        s.accepted | static_cast<uint64_t>(first.thing) << 32 | static_cast<uint64_t>(by.road) << 40 | flags << 48;
    words[kLengths] = address | host << 16 | text << 32;
    log->row[words[kNumber] % kLoggedPurges].write(words);
}

uint32_t last_purges(const PurgeLog& log, LoggedPurge* out, uint32_t cap) noexcept {
    uint64_t below = UINT64_MAX;
    uint32_t count = 0;
    // A row may change between two looks: each is read once, and the order is made of what was read.
    Words row[kLoggedPurges];
    bool is_whole[kLoggedPurges];
    for (uint32_t i = 0; i < kLoggedPurges; i++) {
        is_whole[i] = log.row[i].read(&row[i]);
    }
    while (count < cap) {
        uint32_t newest = kLoggedPurges;
        for (uint32_t i = 0; i < kLoggedPurges; i++) {
            if (is_whole[i] && row[i][kNumber] < below &&
                (newest == kLoggedPurges || row[i][kNumber] > row[newest][kNumber])) {
                newest = i;
            }
        }
        if (newest == kLoggedPurges) {
            break;
        }
        below = row[newest][kNumber];
        count += unpack(row[newest], &out[count]) ? 1 : 0;
    }
    return count;
}

void copy_purge_log(const PurgeLog& from, PurgeLog* to) noexcept {
    to->count.store_relaxed(from.count.load_relaxed());
    for (uint32_t i = 0; i < kLoggedPurges; i++) {
        Words words;
        if (from.row[i].read(&words)) {
            to->row[i].write(words);
        }
    }
}

}  // namespace slab_cache::cache
