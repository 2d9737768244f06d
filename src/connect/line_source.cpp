#include "runnel/connect/line_source.hpp"

#include "runnel/codec/codec.hpp"

namespace runnel::detail {

std::string encode_line_place(line_place p) {
    std::string bytes;
    codec<std::uint64_t>::encode(p.offset, bytes);
    codec<std::uint64_t>::encode(p.line, bytes);
    return bytes;
}

line_place decode_line_place(const std::string& bytes) {
    byte_reader in(bytes);
    line_place p;
    p.offset = codec<std::uint64_t>::decode(in);
    p.line = codec<std::uint64_t>::decode(in);
    return p;
}

}  // namespace runnel::detail
