#include "cache/redis_reply.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include <hiredis/read.h>

namespace slab_cache::cache {
namespace {

constexpr size_t kChunkBytes = 16 * 1024;
constexpr size_t kAlign = alignof(Reply);
constexpr size_t kPieceBytes = 16 * 1024;  // what hiredis gets at once: more, and it gives its buffer back each time

ReplyReader* owner_of(const redisReadTask* task) noexcept { return static_cast<ReplyReader*>(task->privdata); }

// The place of the value that is being read: of its own, or in its array.
Reply* place_of(const redisReadTask* task) noexcept {
    if (task->parent != nullptr) {
        auto* array = static_cast<Reply*>(task->parent->obj);
        return const_cast<Reply*>(array->element) + task->idx;
    }
    void* memory = owner_of(task)->take(sizeof(Reply));
    return memory != nullptr && owner_of(task)->count_values(1) ? new (memory) Reply : nullptr;
}

ReplyKind kind_of(int type) noexcept {
    switch (type) {
    case REDIS_REPLY_ERROR:
        return ReplyKind::kError;
    case REDIS_REPLY_STATUS:
        return ReplyKind::kStatus;
    default:
        return ReplyKind::kText;
    }
}

void* make_text(const redisReadTask* task, char* text, size_t size) {
    Reply* reply = place_of(task);
    auto* copy = static_cast<char*>(owner_of(task)->take(size + 1));
    if (reply == nullptr || copy == nullptr) {
        return nullptr;
    }
    std::memcpy(copy, text, size);
    reply->kind = kind_of(task->type);
    reply->text = {copy, size};
    return reply;
}

void* make_array(const redisReadTask* task, int count) {
    Reply* reply = place_of(task);
    if (reply == nullptr || count < 0 || !owner_of(task)->count_values(count)) {
        return nullptr;
    }
    void* memory = owner_of(task)->take(static_cast<size_t>(count) * sizeof(Reply));
    if (memory == nullptr) {
        return nullptr;
    }
    auto* element = static_cast<Reply*>(memory);
    for (int i = 0; i < count; i++) {
        new (element + i) Reply;
    }
    reply->kind = ReplyKind::kArray;
    reply->count = static_cast<uint32_t>(count);
    reply->element = element;
    return reply;
}

void* make_integer(const redisReadTask* task, long long value) {
    Reply* reply = place_of(task);
    if (reply != nullptr) {
        reply->kind = ReplyKind::kInteger;
        reply->integer = value;
    }
    return reply;
}

void* make_nil(const redisReadTask* task) { return place_of(task); }

void free_nothing(void*) {}

redisReplyObjectFunctions functions = {make_text, make_array, make_integer, make_nil, free_nothing};

constexpr Reply kNoReply;

}  // namespace

const Reply& Reply::at(uint32_t i) const noexcept { return i < count ? element[i] : kNoReply; }

bool ReplyReader::open(const ReplyLimits& limits) noexcept {
    limits_ = limits;
    broken_ = false;
    why_ = "";
    fed_ = {};
    reader_ = redisReaderCreateWithFunctions(&functions);
    if (reader_ != nullptr) {
        reader_->privdata = this;
    }
    return reader_ != nullptr;
}

void ReplyReader::close() noexcept {
    if (reader_ != nullptr) {
        redisReaderFree(reader_);
        reader_ = nullptr;
    }
    limits_.bytes = 0;
    fed_ = {};
    drop_values();
    while (chunks_ != nullptr) {
        Chunk* next = chunks_->next;
        std::free(chunks_);
        chunks_ = next;
    }
}

void* ReplyReader::take(size_t bytes) noexcept {
    bytes = (bytes + kAlign - 1) & ~(kAlign - 1);
    if (bytes > limits_.bytes || taken_ > limits_.bytes - bytes) {
        why_ = "a reply is too large";
        return nullptr;
    }
    if (chunks_ == nullptr || chunks_->size - used_ < bytes) {
        const size_t size = bytes > kChunkBytes ? bytes : kChunkBytes;
        auto* chunk = static_cast<Chunk*>(std::malloc(sizeof(Chunk) + size));
        if (chunk == nullptr) {
            why_ = "out of memory";
            return nullptr;
        }
        chunk->next = chunks_;
        chunk->size = size;
        chunks_ = chunk;
        used_ = 0;
    }
    void* memory = reinterpret_cast<char*>(chunks_ + 1) + used_;
    used_ += bytes;
    taken_ += bytes;
    return memory;
}

bool ReplyReader::count_values(int n) noexcept {
    if (static_cast<uint32_t>(n) > limits_.values - values_) {
        why_ = "a reply has too many values";
        return false;
    }
    values_ += static_cast<uint32_t>(n);
    return true;
}

// One chunk of the usual size is kept.
void ReplyReader::drop_values() noexcept {
    Chunk* kept = nullptr;
    while (chunks_ != nullptr) {
        Chunk* next = chunks_->next;
        if (kept == nullptr && chunks_->size == kChunkBytes) {
            kept = chunks_;
            kept->next = nullptr;
        } else {
            std::free(chunks_);
        }
        chunks_ = next;
    }
    chunks_ = kept;
    used_ = 0;
    taken_ = 0;
    values_ = 0;
}

void ReplyReader::feed(Bytes bytes) noexcept { fed_ = bytes; }

// False: what is there of a reply that has not ended, beside what of it was made into values already, is as much as there may be.
bool ReplyReader::feed_piece() noexcept {
    const size_t waiting = reader_->len - reader_->pos;
    if (waiting >= limits_.bytes) {
        why_ = "a reply is too large";
        return false;
    }
    const size_t room = limits_.bytes - waiting;
    const Bytes piece = base::slice(fed_, 0, room < kPieceBytes ? room : kPieceBytes);
    fed_ = base::slice(fed_, piece.size());
    if (redisReaderFeed(reader_, piece.data(), piece.size()) != REDIS_OK) {
        why_ = reader_->errstr;
        return false;
    }
    return true;
}

ReplyReader::Next ReplyReader::next(const Reply** reply) noexcept {
    if (reader_ == nullptr || broken_) {
        return Next::kBroken;
    }
    if (reader_->ridx == -1) {  // between two replies: nothing of the last one is needed
        drop_values();
    }
    for (;;) {
        void* found = nullptr;
        if (redisReaderGetReply(reader_, &found) != REDIS_OK) {
            broken_ = true;
            why_ = *why_ != '\0' ? why_ : reader_->errstr;
            return Next::kBroken;
        }
        if (found != nullptr) {
            *reply = static_cast<const Reply*>(found);
            return Next::kReply;
        }
        if (fed_.empty()) {
            return Next::kMore;
        }
        if (!feed_piece()) {
            broken_ = true;
            return Next::kBroken;
        }
    }
}

Bytes ReplyReader::why() const noexcept { return why_; }

}  // namespace slab_cache::cache
