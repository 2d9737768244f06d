#pragma once

#include <string_view>
#include <utility>

#include "runnel/codec/csv.hpp"
#include "runnel/connect/line_source.hpp"

namespace runnel {

/// How `csv_lines` reads.
struct csv_lines_options {
    /// Longest line in bytes, without its end. Longer ones are bad records; memory holds one such line per connection.
    std::size_t max_line = 1024 * 1024;
    /// Whether the first line, of each connection too, names the columns; if not, they are T's members in order.
    bool header = true;
    char delimiter = ',';
    /// What integers in members of type `timestamp` count; ISO 8601 is read whatever the unit.
    runnel::time_unit time_unit = runnel::time_unit::milliseconds;
};

namespace detail {

template <class T>
struct csv_format {
    using value_type = T;
    static constexpr std::string_view name = "csv_lines";
    static constexpr bool blank_lines = false;
    static constexpr bool header = true;

    struct decoder {
        csv_decoder<T> csv;
        void read_header(std::string_view line) { csv.set_header(line); }
        void append(std::string_view line, batch<T>& into) {
            const std::size_t i = into.size();
            into.append_made(
                1, [](std::size_t) { return T{}; }, timestamp());
            try {
                csv.decode(line, into.value(i));
            } catch (...) {
                into.truncate(i);
                throw;
            }
        }
    };
    decoder make_decoder() const {
        return {csv_decoder<T>(csv_options{.delimiter = options.delimiter, .unit = options.time_unit})};
    }
    bool has_header() const noexcept { return options.header; }
    csv_lines_options options;
};

}  // namespace detail

/// One T a line, as `csv_decoder` reads it; empty lines are left out, a quoted field does not span lines.
///
/// If the header is a bad record that is skipped, all lines below it are bad records too.
/// Example: `p.from(runnel::csv_lines<trade>("trades.csv", {.delimiter = ';'}))`
template <class T>
line_source<detail::csv_format<T>> csv_lines(byte_input from, csv_lines_options options = {}) {
    return {std::move(from), {options}, {.max_line = options.max_line}};
}

}  // namespace runnel
