// cache/redis_command.h — a command as Redis reads it: an array of strings, each behind its length.
//
// Why not     redisFormatCommandArgv()? It lies in one object file with hiredis' own connections, and would link those, with a
//             blocking getaddrinfo(), into the module; and it allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

// Upper bound of what write_command() writes.
size_t command_room(const Bytes* word, uint32_t count) noexcept;
// Returns the end of what it wrote. REQUIRES command_room() bytes at `to`.
char* write_command(char* to, const Bytes* word, uint32_t count) noexcept;
// Its parts, for commands that are written piece by piece: the number of words, and each of them.
char* write_command_head(char* to, uint32_t count) noexcept;
char* write_command_word(char* to, Bytes word) noexcept;
inline constexpr size_t kCommandPartRoom = 32;  // of the head; of a word beside its own bytes

}  // namespace slab_cache::cache
