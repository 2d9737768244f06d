#include "runnel/log/log_source.hpp"

#include <charconv>

namespace runnel::detail {

// A position is the offset in decimal digits.

std::string encode_log_position(std::uint64_t offset) { return std::to_string(offset); }

std::uint64_t decode_log_position(const std::string& position) {
    std::uint64_t offset = 0;
    const char* const end = position.data() + position.size();
    const auto read = std::from_chars(position.data(), end, offset);
    if (read.ec != std::errc() || read.ptr != end)
        throw error("\"" + position + "\" is no position in a log. The state was saved by another source: give the new "
                    "one another name.");
    return offset;
}

}  // namespace runnel::detail
