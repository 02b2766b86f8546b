// cache/purge_dialect.h — purges as applications write them for Varnish: which tags or URLs a pattern stands for.
//
// What        Magento: X-Magento-Tags-Pattern: ((^|,)a(,|$))|((^|,)b(,|$)), or .* for all. FOSHttpCache: BAN with
//             X-Cache-Tags: (^|,)(a|b)(,|$), X-Host, X-Url, X-Content-Type: .*. Drupal: Purge-Cache-Tags, Cache-Tags: a b.
//             WordPress: X-Purge-Method: regex with a URL that ends in ".*".
// Choices     these patterns and no others: what is not one of them is refused, never answered with yes. There are no
//             regular expressions.
#pragma once

#include "cache/purge_batch.h"

namespace slab_cache::cache {

// What a field says, where it is one of another ecosystem.
enum class Dialect : uint8_t { kNone, kTags, kTagPattern, kMethod, kScope, kForeign };
Dialect dialect_of(Bytes name, Bytes method) noexcept;

enum class TagsRead : uint8_t { kTags, kAll, kNotUnderstood, kTooMany };
// A list of tags, or one of the patterns above; the tags are added to the selection.
TagsRead select_tag_pattern(Selection* to, Bytes value) noexcept;

// "/news/.*", "/news.*", "/news" as X-Purge-Method: regex means them. False for any other expression.
bool select_url_pattern(Selection* to, const Url& url) noexcept;

}  // namespace slab_cache::cache
