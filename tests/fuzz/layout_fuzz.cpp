// The text of a layout, a line end, and bytes that may be of it: text is read or refused, bytes become those of a type
// of now, or are refused; and if the layout is the one of now, they stay as they are.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runnel/codec/binary.hpp"
#include "runnel/codec/layout_conversion.hpp"

namespace {

enum class color : std::int16_t { red, blue };
BOOST_DESCRIBE_ENUM(color, red, blue)
struct old_part {
    std::string text;
};
struct part {
    std::int64_t number = 3;
};
BOOST_DESCRIBE_STRUCT(old_part, (), (text))
BOOST_DESCRIBE_STRUCT(part, (), (number))
struct record {
    std::string s;
    std::optional<std::int64_t> i;
    std::vector<record> list;
    std::map<std::string, std::vector<double>> map;
    std::set<std::int16_t> set;
    std::variant<std::monostate, bool, std::string> any;
    std::array<std::pair<color, runnel::timestamp>, 2> pairs{};
    std::vector<part> parts;
    std::chrono::milliseconds span{};
};
BOOST_DESCRIBE_STRUCT(record, (), (s, i, list, map, set, any, pairs, parts, span))

}  // namespace

template <>
struct runnel::migration<part> {
    using from = old_part;
    static part migrate(old_part&& old) { return {static_cast<std::int64_t>(old.text.size())}; }
};

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) return 0;
    static const runnel::layout now = runnel::layout_builder::build<record>();
    try {
        const runnel::layout saved = runnel::layout::parse(input.substr(0, end));
        const std::string text = saved.text();
        if (runnel::layout::parse(text).text() != text) std::abort();
        const runnel::detail::layout_conversion how(saved, now);
        runnel::byte_reader in(input.substr(end + 1));
        std::string bytes;
        how.convert(in, bytes);
        if (text == now.text() && bytes != input.substr(end + 1, size - end - 1 - in.remaining())) std::abort();
        runnel::byte_reader made(bytes);
        runnel::codec<record>::decode(made);
        if (!made.empty()) std::abort();
    } catch (const runnel::error&) {
    }
    return 0;
}
