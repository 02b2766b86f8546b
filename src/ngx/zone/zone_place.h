// ngx/zone/zone_place.h — what lies at the path of a zone's file, and whether it may be replaced.
//
// What        Only a zone of ours is used or replaced: a regular file with one name, our owner, and FileHeader's magic. Anything
//             else at the path, empty files too, is somebody's: the configuration is refused with the path and what is there.
//             nginx -t, start and reload ask alike, when the directive is read; what is opened later is asked again.
// Layout      FileHeader lies at the file's start, where anonymous zones have nginx's slab pool. Fields that an older build did
//             not write are 0.
#pragma once

#include "ngx/glue/ngx.h"

#include <sys/stat.h>
#include <sys/types.h>

#include "base/atom.h"

namespace slab_cache::ngx {

inline constexpr uint64_t kFileMagic = 0x31656c6966626c73ull;        // "slbfile1"
inline constexpr uint64_t kUnfinishedMagic = 0x306564616d626c73ull;  // "slbmade0": being made, or left half-made
inline constexpr size_t kBootBytes = 40;
inline constexpr long kTmpfsMagic = 0x01021994;

struct FileHeader {
    uint64_t magic;
    uint64_t file_bytes;
    base::Atom<uint32_t> master;  // pid of the master whose worker spoke last (note_master)
    uint32_t padding;
    char boot[kBootBytes];              // /proc/sys/kernel/random/boot_id
    base::Atom<uint64_t> master_start;  // its start time, 0 where it could not be asked
    base::Atom<uint64_t> pid_space;     // the pid namespace in which `master` means something, 0: unknown
    char zone[128];                     // the zone's name, cut, and zeros
};
static_assert(sizeof(FileHeader) == 208);

void set_zone_name(FileHeader* header, Bytes name) noexcept;
Bytes zone_name(const FileHeader& header) noexcept;
// False: it is no whole zone of ours.
bool read_header(int fd, FileHeader* header) noexcept;

// Where a file is, whatever its path is spelled like.
struct FilePlace {
    dev_t device;  // of the directory
    ino_t inode;
    Bytes name;  // in the directory
};

// nullptr when a zone of this size may have its file there, else the reason. Fills *place.
const char* why_no_zone_file(const ngx_str_t& path, size_t size, FilePlace* place) noexcept;

// nullptr when nothing is at the path, or a zone of ours. is_known: a file that the running configuration has, whatever became of
// its contents.
const char* why_not_replaced(const char* path, bool (*is_known)(const struct stat& st)) noexcept;
// The same of an open file: type, owner, names, contents.
const char* why_foreign(int fd, const struct stat& st, bool is_known) noexcept;

// A file that we left half-made, or made and never named.
bool is_left_over(const char* path) noexcept;

void read_boot(char out[kBootBytes]) noexcept;
uint64_t pid_space() noexcept;

}  // namespace slab_cache::ngx
