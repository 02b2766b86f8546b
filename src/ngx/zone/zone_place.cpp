#include "ngx/glue/ngx.h"

#include "ngx/zone/zone_place.h"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace slab_cache::ngx {
namespace {

constexpr long kHugetlbfsMagic = 0x958458f6;

// In nginx -t by an ordinary user we do not know who the master will be.
bool is_trial() noexcept { return ngx_test_config && geteuid() != 0; }

const char* why_wrong_type(mode_t mode) noexcept {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return nullptr;
    case S_IFDIR:
        return "it is a directory";
    case S_IFLNK:
        return "it is a symbolic link; name what it leads to";
    case S_IFSOCK:
        return "it is a socket, which is not replaced";
    case S_IFIFO:
        return "it is a named pipe, which is not replaced";
    default:
        return "it is a device, which is not replaced";
    }
}

const char* why_wrong_magic(int fd) noexcept {
    uint64_t magic = 0;
    const ssize_t n = pread(fd, &magic, sizeof(magic), 0);
    if (n == 0) {
        return "it is empty, and only a zone of slab_cache is replaced; remove it";
    }
    return n == static_cast<ssize_t>(sizeof(magic)) && magic == kFileMagic
               ? nullptr
               : "it is no zone of slab_cache, and is not replaced";
}

}  // namespace

void set_zone_name(FileHeader* header, Bytes name) noexcept {
    char text[sizeof(header->zone)] = {};
    ngx_memcpy(text, name.data(), ngx_min(name.size(), sizeof(text) - 1));
    ngx_memcpy(header->zone, text, sizeof(text));
}

Bytes zone_name(const FileHeader& header) noexcept { return {header.zone, strnlen(header.zone, sizeof(header.zone))}; }

bool read_header(int fd, FileHeader* header) noexcept {
    return pread(fd, header, sizeof(*header), 0) == static_cast<ssize_t>(sizeof(*header)) &&
           header->magic == kFileMagic;
}

const char* why_no_zone_file(const ngx_str_t& path, size_t size, FilePlace* place) noexcept {
    char directory[NGX_MAX_PATH];
    const size_t slash = view(path).rfind('/');
    place->name = slash != Bytes::npos ? base::slice(view(path), slash + 1) : Bytes{};
    if (place->name.empty() || place->name == "." || place->name == ".." || path.len + 32 >= sizeof(directory)) {
        return "it is not the path of a file";
    }
    const size_t n = slash == 0 ? 1 : slash;
    ngx_memcpy(directory, path.data, n);
    directory[n] = '\0';
    struct statfs fs;
    struct stat st;
    if (statfs(directory, &fs) == -1 || stat(directory, &st) == -1) {
        return "its directory cannot be looked at";
    }
    place->device = st.st_dev;
    place->inode = st.st_ino;
    const long type = static_cast<long>(fs.f_type) & 0xffffffffL;
    if (type != kTmpfsMagic && type != kHugetlbfsMagic) {
        return "it is neither on tmpfs nor on hugetlbfs: a disk would be written to with every object";
    }
    if (size % static_cast<size_t>(fs.f_bsize) != 0) {
        return "the zone's size is not a multiple of its pages";
    }
    return nullptr;
}

const char* why_foreign(int fd, const struct stat& st, bool is_known) noexcept {
    if (const char* why = why_wrong_type(st.st_mode)) {
        return why;
    }
    if (st.st_uid != geteuid() && !is_trial()) {
        return "it belongs to somebody else";
    }
    if (st.st_nlink > 1) {
        return "it has another name too (a hard link)";
    }
    return is_known ? nullptr : why_wrong_magic(fd);
}

const char* why_not_replaced(const char* path, bool (*is_known)(const struct stat& st)) noexcept {
    struct stat st;
    if (lstat(path, &st) == -1) {
        return ngx_errno == NGX_ENOENT ? nullptr : "it cannot be looked at";
    }
    if (const char* why = why_wrong_type(st.st_mode)) {
        return why;  // not opened: that may wait, or mean something to a device
    }
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1 || fstat(fd, &st) == -1) {
        const char* why = ngx_errno == NGX_ENOENT || is_trial() ? nullptr : "it cannot be opened";
        if (fd != -1) {
            close(fd);
        }
        return why;
    }
    const char* why = why_foreign(fd, st, is_known(st));
    close(fd);
    return why;
}

bool is_left_over(const char* path) noexcept {
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    uint64_t magic = 0;
    const bool yes = fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                     st.st_nlink == 1 && pread(fd, &magic, sizeof(magic), 0) == static_cast<ssize_t>(sizeof(magic)) &&
                     (magic == kFileMagic || magic == kUnfinishedMagic);
    if (fd != -1) {
        close(fd);
    }
    return yes;
}

void read_boot(char out[kBootBytes]) noexcept {
    ngx_memzero(out, kBootBytes);
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd != -1) {
        const ssize_t n = read(fd, out, kBootBytes - 1);
        if (n < 0) {
            ngx_memzero(out, kBootBytes);
        }
        close(fd);
    }
}

uint64_t pid_space() noexcept {
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? static_cast<uint64_t>(st.st_ino) : 0;
}

}  // namespace slab_cache::ngx
