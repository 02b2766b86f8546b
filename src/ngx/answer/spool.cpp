#include "ngx/glue/ngx.h"

#include "ngx/answer/spool.h"

#include "cache/stored_head.h"
#include "ngx/request/cache_key.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

ngx_temp_file_t* file_of(ngx_http_request_t* r, Ctx* ctx) noexcept {
    if (ctx->sending.spool != nullptr) {
        return ctx->sending.spool;
    }
    auto* file = static_cast<ngx_temp_file_t*>(ngx_pcalloc(r->pool, sizeof(ngx_temp_file_t)));
    if (file == nullptr) {
        return nullptr;
    }
    file->file.fd = NGX_INVALID_FILE;
    file->file.log = r->connection->log;
    file->path = core_loc_conf(r)->client_body_temp_path;
    file->pool = r->pool;
    file->log_level = NGX_LOG_INFO;
    file->warn = const_cast<char*>("slab_cache: a body for a slow client is written to a temporary file");
    file->clean = 1;
    return ctx->sending.spool = file;
}

// Bytes of the chain, and whether the response ends with it.
off_t bytes_of(const ngx_chain_t* chain, bool* is_last) noexcept {
    off_t n = 0;
    for (; chain != nullptr; chain = chain->next) {
        n += chain->buf->last - chain->buf->pos;
        *is_last = chain->buf->last_buf;
    }
    return n;
}

}  // namespace

bool must_copy(ngx_http_request_t* r, Ctx* ctx) noexcept {
    const shm::Store& store = ctx->zone->store;
    if (r != r->main) {
        return false;
    }
    if (shm::Store::is_complete(ctx->pin) && shm::Store::body_length(ctx->pin) <= kHeldBody) {
        return store.are_pins_short();
    }
    return store.is_enough_held(ctx->pin, ctx->zone->workers);
}

bool take_head(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ctx->stored = {};
    ctx->stored_ref = 0;
    if (!cache::decode_head(copied_head(r->pool, ctx->zone->store, ctx->pin), &ctx->stored)) {
        return false;
    }
    ctx->stored_ref = ctx->pin.ref;
    return true;
}

void release_object(Ctx* ctx) noexcept {
    ctx->hits = shm::Store::hits(ctx->pin);
    ctx->object = ObjectAt::kCopied;
    ctx->zone->store.unpin(&ctx->pin);
    ctx->zone->store.unpin(&ctx->stale);
}

bool spool(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t** chain) noexcept {
    bool is_last = false;
    const off_t size = bytes_of(*chain, &is_last);
    ngx_temp_file_t* file = file_of(r, ctx);
    if (file == nullptr || size == 0 || ngx_write_chain_to_temp_file(file, *chain) != static_cast<ssize_t>(size)) {
        return false;
    }
    ngx_chain_t* first = *chain;
    for (ngx_chain_t* link = first->next; link != nullptr;) {
        ngx_chain_t* next = link->next;
        link->next = ctx->sending.free;
        ctx->sending.free = link;
        link = next;
    }
    ngx_buf_t* b = first->buf;
    const ngx_buf_tag_t tag = b->tag;
    ngx_memzero(b, sizeof(*b));
    b->tag = tag;
    b->in_file = 1;
    b->temp_file = 1;
    b->file = &file->file;
    b->file_pos = file->offset;
    b->file_last = file->offset + size;
    b->flush = 1;
    b->last_buf = is_last;
    b->last_in_chain = is_last;
    file->offset += size;
    first->next = nullptr;
    return true;
}

}  // namespace slab_cache::ngx
