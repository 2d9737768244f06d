// What json_decoder takes is a value like any other: it is written and read again unchanged, alone as in a prepared
// block; and an object is taken exactly if simdjson's tree parser takes it, up to the differences named below.
#include <simdjson.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/codec/json.hpp"
#include "runnel/core/error.hpp"

namespace {

enum class colour { red, green };
BOOST_DESCRIBE_ENUM(colour, red, green)

struct record {
    std::string s;
    std::optional<int> i;
    std::optional<double> d;
    std::optional<bool> b;
    std::optional<runnel::timestamp> t;
    std::optional<colour> c;
    std::vector<record> list;
    std::map<std::string, std::pair<float, std::uint8_t>> map;
    bool operator==(const record&) const = default;
};
BOOST_DESCRIBE_STRUCT(record, (), (s, i, d, b, t, c, list, map))

struct nothing {};
BOOST_DESCRIBE_STRUCT(nothing, (), ())

void require(bool holds) {
    if (!holds) std::abort();
}

template <class F>
bool takes(F&& decode) {
    try {
        decode();
        return true;
    } catch (const runnel::decode_error&) {
        return false;
    }
}

void compare_with_tree(std::string_view text) {
    static runnel::json_decoder<nothing> decoder;
    static simdjson::dom::parser tree(SIZE_MAX);
    nothing ignored;
    std::string why;
    try {
        decoder.decode(text, ignored);
    } catch (const runnel::decode_error& e) {
        why = e.what();
    }
    simdjson::dom::element root;
    const auto error = tree.parse(text.empty() ? "" : text.data(), text.size()).get(root);
    // Nobody asked for the number, so its range does not matter; nor does a byte order mark.
    if (why.empty()) require(!error || error == simdjson::NUMBER_ERROR || text.substr(0, 3) == "\xEF\xBB\xBF");
    // The tree parser takes half a surrogate pair, and deeper nesting.
    else if (!error && root.is_object())
        require(why.find("wrong escape") != why.npos || why.find("nested deeper") != why.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static runnel::json_decoder<record> decoder;
    compare_with_tree(text);
    record read;
    const bool taken = takes([&] { decoder.decode(text, read); });
    if (taken) {
        std::string out;
        runnel::append_json(out, read);
        record again;
        decoder.decode(out, again);
        require(again == read);
    }
    decoder.prepare(text);
    for (std::size_t start = 0; start < size;) {
        const std::size_t end = std::min(text.find('\n', start), size);
        record prepared;
        const bool prepared_taken = takes([&] { decoder.decode_prepared(text.substr(start, end - start), prepared); });
        if (start == 0 && end == size) require(prepared_taken == taken && (!taken || prepared == read));
        start = end + 1;
    }
    return 0;
}
