#pragma once

#include <string_view>
#include <utility>

#include "runnel/codec/json.hpp"
#include "runnel/connect/line_source.hpp"

namespace runnel {

/// How `json_lines` reads.
struct json_lines_options {
    /// Longest line in bytes, without its end. Longer ones are bad records; memory holds one such line per connection.
    std::size_t max_line = 1024 * 1024;
    /// What integers in members of type `timestamp` count; ISO 8601 is read whatever the unit.
    runnel::time_unit time_unit = runnel::time_unit::milliseconds;
};

namespace detail {

template <class T>
struct json_format {
    using value_type = T;
    static constexpr std::string_view name = "json_lines";
    static constexpr bool blank_lines = false;
    static constexpr bool header = false;

    struct decoder {
        json_decoder<T> json;
        bool prepared = false;
        void look_ahead(std::string_view lines) {
            prepared = !lines.empty();
            if (prepared) json.prepare(lines);
        }
        void append(std::string_view line, batch<T>& into) {
            if ((line.front() == ' ' || line.front() == '\t') && line.find_first_not_of(" \t") == line.npos) return;
            const std::size_t i = into.size();
            into.append_made(
                1, [](std::size_t) { return T{}; }, timestamp());
            try {
                if (prepared) json.decode_prepared(line, into.value(i));
                else json.decode(line, into.value(i));
            } catch (...) {
                into.truncate(i);
                throw;
            }
        }
    };
    decoder make_decoder() const { return {json_decoder<T>(unit), false}; }
    runnel::time_unit unit;
};

}  // namespace detail

/// One JSON object a line (or array, for a T that is one), read into a T as `json_decoder` does; blank lines are
/// left out.
/// Example: `p.from(runnel::json_lines<click>("clicks.jsonl"))`
template <class T>
line_source<detail::json_format<T>> json_lines(byte_input from, json_lines_options options = {}) {
    return {std::move(from), {options.time_unit}, {.max_line = options.max_line}};
}

}  // namespace runnel
