#include "runnel/connect/line_source.hpp"

#include "runnel/codec/codec.hpp"

namespace runnel::detail {

std::string encode_line_position(const line_position& p) {
    std::string bytes;
    codec<std::uint64_t>::encode(p.place.offset, bytes);
    codec<std::uint64_t>::encode(p.place.line, bytes);
    codec<std::string>::encode(p.mark, bytes);
    return bytes;
}

line_position decode_line_position(const std::string& bytes) {
    byte_reader in(bytes);
    line_position p;
    p.place.offset = codec<std::uint64_t>::decode(in);
    p.place.line = codec<std::uint64_t>::decode(in);
    p.mark = codec<std::string>::decode(in);
    return p;
}

}  // namespace runnel::detail
