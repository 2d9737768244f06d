// What a binary codec takes encodes to bytes that decode to the same, and memory stays within reach of the input.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runnel/codec/binary.hpp"

namespace {

struct record {
    std::string s;
    std::optional<int> i;
    std::vector<record> list;
    std::map<std::string, std::vector<double>> map;
    std::unordered_map<std::uint8_t, std::set<std::int16_t>> hashed;
    std::variant<std::monostate, bool, std::string> any;
    std::array<std::pair<bool, runnel::timestamp>, 2> pairs;
};
BOOST_DESCRIBE_STRUCT(record, (), (s, i, list, map, hashed, any, pairs))

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    runnel::byte_reader in(std::string_view(reinterpret_cast<const char*>(data), size));
    try {
        const auto value = runnel::codec<record>::decode(in);
        // Bytes, not values, are compared: a NaN differs from itself.
        std::string bytes, again;
        runnel::codec<record>::encode(value, bytes);
        runnel::byte_reader second(bytes);
        runnel::codec<record>::encode(runnel::codec<record>::decode(second), again);
        if (bytes != again || !second.empty()) std::abort();
    } catch (const runnel::decode_error&) {
    }
    return 0;
}
