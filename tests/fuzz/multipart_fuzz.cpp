// Four bytes of length, then lines: media type, boundary, Range. The whole multipart body is written out: it is as long as
// announced, each part's head says where its bytes are from, and a head that does not fit is not written past its room.
#include <cstring>
#include <string>

#include "fuzz/fuzz.h"
#include "http/range.h"

using namespace slab_cache::http;

namespace {

std::string part_head(Bytes boundary, Bytes type, const ByteRange& range, uint64_t length) {
    const size_t needed = format_part_head(boundary, type, range, length, nullptr, 0);
    std::vector<char> out(needed);
    check(format_part_head(boundary, type, range, length, out.data(), needed) == needed);
    std::vector<char> half(needed / 2);
    check(format_part_head(boundary, type, range, length, half.data(), half.size()) == needed);
    return {out.begin(), out.end()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    uint32_t length = 0;
    if (size < sizeof(length)) {
        return 0;
    }
    std::memcpy(&length, data, sizeof(length));
    const std::vector<Field> lines =
        lines_of(input(data + sizeof(length), size - sizeof(length)), "");
    if (lines.size() < 3) {
        return 0;
    }
    const Bytes type = lines[0].value;
    const Bytes boundary = lines[1].value;
    RangeSet set;
    parse_ranges(lines[2].value, length, &set);
    uint64_t written = 0;
    for (uint32_t i = 0; i < set.count; i++) {
        const ByteRange& range = set.ranges[i];
        const std::string head = part_head(boundary, type, range, length);
        const std::string where = "Content-Range: bytes " + std::to_string(range.first) + "-" +
                                  std::to_string(range.last) + "/" + std::to_string(length) +
                                  "\r\n\r\n";
        check(head.size() >= where.size() &&
              head.compare(head.size() - where.size(), where.size(), where) == 0);
        written += head.size() + range.length();
    }
    const size_t end = format_part_end(boundary, nullptr, 0);
    std::vector<char> out(end);
    check(format_part_end(boundary, out.data(), end) == end);
    check(multipart_length(set, boundary, type, length) == written + end);
    return 0;
}
