#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "runnel/codec/utf8.hpp"
#include "runnel/connect/line_source.hpp"

namespace runnel {

namespace detail {

struct text_format {
    using value_type = std::string;
    static constexpr std::string_view name = "text_lines";
    static constexpr bool blank_lines = true;
    static constexpr bool header = false;

    struct decoder {
        void append(std::string_view line, batch<std::string>& into) {
            if (const std::size_t good = valid_utf8_prefix(line); good != line.size())
                throw decode_error("byte " + std::to_string(good + 1) + ": not UTF-8");
            into.append_raw(line, timestamp());
        }
    };
    decoder make_decoder() const { return {}; }
};

template <class T, class F>
struct parsed_format {
    using value_type = T;
    static constexpr std::string_view name = "parsed_lines";
    static constexpr bool blank_lines = true;
    static constexpr bool header = false;

    struct decoder {
        F parse;
        void append(std::string_view line, batch<T>& into) {
            std::optional<T> value = parse(line);
            if (!value) throw decode_error("the parse function made nothing of it");
            into.append_raw(*std::move(value), timestamp());
        }
    };
    decoder make_decoder() const { return {parse}; }
    F parse;
};

}  // namespace detail

/// Each line as a std::string, blank ones included; a line that is not UTF-8 is a bad record.
/// Example: `p.from(runnel::text_lines("/var/log/syslog"))`
inline line_source<detail::text_format> text_lines(byte_input from, line_options options = {}) {
    return {std::move(from), {}, options};
}

/// Each line as `parse(std::string_view)` reads it, which returns a std::optional<T>: nothing, like a thrown
/// `decode_error`, makes the line a bad record. The text is valid during the call only, and may be any bytes.
///
/// To leave lines out without an error, return a T that says so and filter.
/// Example: `p.from(runnel::parsed_lines<request>("access.log", parse_request))`
template <class T, class F>
    requires std::is_invocable_r_v<std::optional<T>, F&, std::string_view>
line_source<detail::parsed_format<T, F>> parsed_lines(byte_input from, F parse, line_options options = {}) {
    return {std::move(from), {std::move(parse)}, options};
}

}  // namespace runnel
