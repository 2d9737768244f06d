#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "runnel/codec/csv.hpp"
#include "runnel/codec/display.hpp"
#include "runnel/codec/json.hpp"

/// How sinks of lines write a record. A format has `begin<T>(std::string&)`, which writes a header if there is one, and
/// `append(std::string&, const T&)`, which writes a record without its line break.
namespace runnel::detail {

struct json_line {
    static constexpr std::string_view name = "json";
    static constexpr std::string_view extension = ".jsonl";
    template <class T>
    void begin(std::string&) const {}
    template <class T>
    void append(std::string& text, const T& value) const {
        append_json(text, value);
    }
};

struct csv_line {
    static constexpr std::string_view name = "csv";
    static constexpr std::string_view extension = ".csv";
    char delimiter;
    template <class T>
    void begin(std::string& text) const {
        text += csv_header<T>(delimiter) + "\n";
    }
    template <class T>
    void append(std::string& text, const T& value) const {
        append_csv(text, value, delimiter);
    }
};

struct text_line {
    static constexpr std::string_view name = "text";
    static constexpr std::string_view extension = ".txt";
    template <class T>
    void begin(std::string&) const {}
    template <class T>
    void append(std::string& text, const T& value) const {
        const std::size_t before = text.size();
        if constexpr (std::is_convertible_v<const T&, std::string_view>) {
            text += std::string_view(value);  // A stream takes longer to make than a line to copy.
        } else {
            string_stream stream(text);
            display(stream, value);
        }
        refuse_line_breaks(std::string_view(text).substr(before));
    }
    static void refuse_line_breaks(std::string_view line);
};

/// Appends `value` as a line with its line break; when that fails, the text is as it was.
template <class Format, class T>
void append_line(const Format& format, std::string& text, const T& value) {
    const std::size_t before = text.size();
    try {
        format.append(text, value);
        text += '\n';
    } catch (...) {
        text.resize(before);
        throw;
    }
}

}  // namespace runnel::detail
