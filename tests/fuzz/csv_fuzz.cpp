// What csv_decoder takes is a row like any other: it is written and read again unchanged. The first line of the input
// is tried as a header.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/codec/csv.hpp"
#include "runnel/core/error.hpp"

namespace {

enum class colour { red, green };
BOOST_DESCRIBE_ENUM(colour, red, green)

struct row {
    std::string s;
    std::optional<std::string> o;
    std::optional<std::int16_t> i;
    double d = 0;
    std::optional<bool> b;
    std::optional<runnel::timestamp> t;
    std::optional<colour> c;
    bool operator==(const row& other) const {
        const bool same_number = d == other.d || (std::isnan(d) && std::isnan(other.d));
        return same_number && s == other.s && o == other.o && i == other.i && b == other.b && t == other.t &&
               c == other.c;
    }
};
BOOST_DESCRIBE_STRUCT(row, (), (s, o, i, d, b, t, c))

void check_line(runnel::csv_decoder<row>& decoder, std::string_view line, char delimiter) {
    row read;
    try {
        decoder.decode(line, read);
    } catch (const runnel::decode_error&) {
        return;
    }
    std::string out;
    runnel::append_csv(out, read, delimiter);
    row again;
    runnel::csv_decoder<row>({.delimiter = delimiter}).decode(out, again);
    if (!(again == read)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const char delimiter = size % 2 == 0 ? ',' : ';';
    runnel::csv_decoder<row> decoder({.delimiter = delimiter});
    check_line(decoder, text, delimiter);
    const std::size_t end = std::min(text.find('\n'), size);
    try {
        decoder.set_header(text.substr(0, end));
    } catch (const runnel::decode_error&) {
        return 0;
    }
    check_line(decoder, text.substr(std::min(end + 1, size)), delimiter);
    return 0;
}
