// cache/selector_list.h — the selectors that one object gets: each once, none left out without a word.
//
// What        Up to shm::kMaxSelectors. The first two keep their places: by custom an object's identity and its URL.
// Threading   values of one request.
// Ownership   the list lives on the caller's stack and takes memory from its arena once it has more than kFew.
// Errors      is_whole() false: more than fit, or no memory. Such an object must not be stored: a purge of what was left out
//             would miss it.
// Cost        adding: a look at those before while there are few, else nothing; settle() sorts what is beyond.
#pragma once

#include "base/arena.h"
#include "cache/key.h"
#include "shm/store.h"

namespace slab_cache::cache {

class SelectorList {
public:
    explicit SelectorList(base::Arena arena) noexcept : arena_(arena) {}
    SelectorList(const SelectorList&) = delete;
    SelectorList& operator=(const SelectorList&) = delete;

    void add(uint64_t selector) noexcept;
    void add(const uint64_t* selectors, uint32_t n) noexcept;
    // Those of a URL. One with more than kMaxUrlSelectors is too many.
    void add_url(const Url& url, const uint8_t* secret, Side side = Side::kClients) noexcept;
    // After the last one. True: all that were added are there, each once.
    bool settle() noexcept;

    const uint64_t* data() const noexcept { return at_; }
    uint32_t size() const noexcept { return size_; }
    bool is_out_of_memory() const noexcept { return is_out_of_memory_; }

private:
    static constexpr uint32_t kFew = 48;
    static constexpr uint32_t kFixed = 2;

    bool make_room() noexcept;
    void compact() noexcept;

    base::Arena arena_;
    uint64_t few_[kFew];
    uint64_t* at_ = few_;
    uint32_t size_ = 0;
    uint32_t room_ = kFew;
    bool are_too_many_ = false;
    bool is_out_of_memory_ = false;
};

}  // namespace slab_cache::cache
