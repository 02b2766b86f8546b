#include "cache/selector_list.h"

#include <cstdlib>

namespace slab_cache::cache {
namespace {

int in_order(const void* a, const void* b) noexcept {
    const uint64_t x = *static_cast<const uint64_t*>(a);
    const uint64_t y = *static_cast<const uint64_t*>(b);
    return x < y ? -1 : x > y ? 1 : 0;
}

}  // namespace

void SelectorList::add(uint64_t selector) noexcept {
    for (uint32_t i = 0; i < size_ && size_ <= kFew; i++) {
        if (at_[i] == selector) {
            return;
        }
    }
    if (size_ < room_ || make_room()) {
        at_[size_++] = selector;
    }
}

void SelectorList::add(const uint64_t* selectors, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; i++) {
        add(selectors[i]);
    }
}

void SelectorList::add_url(const Url& url, const uint8_t* secret, Side side) noexcept {
    uint64_t selector[kMaxUrlSelectors];
    const uint32_t n = url_selectors(url, secret, selector, kMaxUrlSelectors, side);
    are_too_many_ = are_too_many_ || n == 0;
    add(selector, n);
}

bool SelectorList::settle() noexcept {
    if (size_ > kFew) {
        compact();
    }
    are_too_many_ = are_too_many_ || size_ > shm::kMaxSelectors;
    return !are_too_many_ && !is_out_of_memory_;
}

// Twice as much as may be, so that what is named again and again is sorted out once in a while, not each time.
bool SelectorList::make_room() noexcept {
    constexpr uint32_t kMost = 2 * shm::kMaxSelectors;
    if (room_ >= kMost) {
        compact();
        are_too_many_ = are_too_many_ || size_ > shm::kMaxSelectors;
        return !are_too_many_;
    }
    const uint32_t room = 4 * room_ < kMost ? 4 * room_ : kMost;
    auto* at = is_out_of_memory_ ? nullptr : arena_.get<uint64_t>(room);
    if (at == nullptr) {
        is_out_of_memory_ = true;
        return false;
    }
    std::memcpy(at, at_, size_ * sizeof(uint64_t));
    at_ = at;
    room_ = room;
    return true;
}

void SelectorList::compact() noexcept {
    std::qsort(at_ + kFixed, size_ - kFixed, sizeof(uint64_t), in_order);
    uint32_t n = kFixed;
    for (uint32_t i = kFixed; i < size_; i++) {
        const bool is_there = at_[i] == at_[0] || at_[i] == at_[1] || (n > kFixed && at_[i] == at_[n - 1]);
        if (!is_there) {
            at_[n++] = at_[i];
        }
    }
    size_ = n;
}

}  // namespace slab_cache::cache
