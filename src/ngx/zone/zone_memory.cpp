#include "ngx/glue/ngx.h"

#include "ngx/zone/zone_memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kNoLimit = uint64_t{1} << 60;  // what version 1 writes for "none" is near 2^63

size_t read_file(const char* path, char* to, size_t size) noexcept {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return 0;
    }
    const ssize_t n = read(fd, to, size - 1);
    close(fd);
    to[n > 0 ? n : 0] = '\0';
    return n > 0 ? static_cast<size_t>(n) : 0;
}

uint64_t read_limit(Bytes top, Bytes group, Bytes file) noexcept {
    char path[NGX_MAX_PATH];
    if (top.size() + group.size() + file.size() + 1 > sizeof(path)) {
        return kNoLimit;
    }
    ngx_memcpy(path, top.data(), top.size());
    ngx_memcpy(path + top.size(), group.data(), group.size());
    ngx_memcpy(path + top.size() + group.size(), file.data(), file.size());
    path[top.size() + group.size() + file.size()] = '\0';
    char text[32];
    char* end = text;
    if (read_file(path, text, sizeof(text)) == 0) {
        return kNoLimit;
    }
    const uint64_t bytes = strtoull(text, &end, 10);
    return end != text && bytes != 0 && bytes < kNoLimit ? bytes : kNoLimit;  // "max" is none
}

// Of the group and all above it; in a container the path may be the host's, of which only the top is seen.
uint64_t least_limit(Bytes top, Bytes group, Bytes file) noexcept {
    uint64_t least = kNoLimit;
    for (;;) {
        group = group == "/" ? Bytes{""} : group;  // not a null: it is copied
        const uint64_t here = read_limit(top, group, file);
        least = here < least ? here : least;
        if (group.empty()) {
            return least;
        }
        group = base::slice(group, 0, group.rfind('/'));
    }
}

// "0::/path" of version 2, "4:memory:/path" of version 1.
uint64_t limit_of_line(Bytes line) noexcept {
    const size_t first = line.find(':');
    const size_t second = first == Bytes::npos ? first : line.find(':', first + 1);
    if (second == Bytes::npos) {
        return kNoLimit;
    }
    const Bytes controllers = base::slice(line, first + 1, second - first - 1);
    const Bytes group = base::slice(line, second + 1);
    if (controllers.empty()) {
        return least_limit("/sys/fs/cgroup", group, "/memory.max");
    }
    return controllers == "memory" ? least_limit("/sys/fs/cgroup/memory", group, "/memory.limit_in_bytes") : kNoLimit;
}

}  // namespace

SizeText size_text(uint64_t bytes) noexcept {
    SizeText out;
    const uint64_t kib = bytes / 1024;
    u_char* end = kib % 1024 == 0 ? ngx_sprintf(out.text, "%uLm", kib / 1024) : ngx_sprintf(out.text, "%uLk", kib);
    *end = '\0';
    return out;
}

uint64_t memory_limit() noexcept {
    char text[4096];
    Bytes rest(text, read_file("/proc/self/cgroup", text, sizeof(text)));
    uint64_t least = kNoLimit;
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        const uint64_t here = limit_of_line(base::slice(rest, 0, end));
        least = here < least ? here : least;
        rest = end == Bytes::npos ? Bytes{} : base::slice(rest, end + 1);
    }
    return least == kNoLimit ? 0 : least;
}

}  // namespace slab_cache::ngx
