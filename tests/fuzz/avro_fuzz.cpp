// A schema, a line end, and bytes that may be of it: they are refused or become a value, which is written and read again
// unchanged. The same bytes are read by the value's own schema, too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/codec/avro.hpp"
#include "runnel/core/error.hpp"

namespace {

enum class colour { red, green };
BOOST_DESCRIBE_ENUM(colour, red, green)

struct record {
    std::string s;
    std::optional<int> i;
    std::uint64_t u = 0;
    std::optional<float> f;
    std::optional<bool> b;
    std::optional<runnel::timestamp> t;
    std::optional<colour> c;
    std::vector<record> list;
    std::vector<std::uint8_t> bytes;
    std::map<std::string, std::pair<double, std::uint8_t>> map;
};
BOOST_DESCRIBE_STRUCT(record, (), (s, i, u, f, b, t, c, list, bytes, map))

void require(bool holds) {
    if (!holds) std::abort();
}

std::string written(const record& r) {
    std::string bytes;
    runnel::append_avro(bytes, r, {.unit = runnel::time_unit::nanoseconds});
    return bytes;
}

void read(const runnel::avro_decoder<record>& decoder, const runnel::avro_decoder<record>& own, std::string_view bytes) {
    record r;
    std::string again;
    try {
        r = decoder.decode(bytes);
        again = written(r);
    } catch (const runnel::error&) {
        return;
    }
    require(written(own.decode(again)) == again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const runnel::avro_options options{.unit = runnel::time_unit::nanoseconds, .keep_missing = true};
    static const runnel::avro_decoder<record> own(runnel::avro_schema_of<record>("r", options), options);
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    read(own, own, text);
    const std::size_t line = text.find('\n');
    if (line == text.npos) return 0;
    try {
        const runnel::avro_decoder<record> decoder(text.substr(0, line), options);
        read(decoder, own, text.substr(line + 1));
    } catch (const runnel::decode_error&) {
    }
    return 0;
}
