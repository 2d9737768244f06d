#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/codec/describe.hpp"
#include "runnel/codec/json.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A std::ostream that appends to a string. Thread safety: unsafe. Lifetime: the string outlives it.
class string_stream final : private std::streambuf, public std::ostream {
public:
    explicit string_stream(std::string& text);
    std::string& text() noexcept { return *text_; }
    /// Forgets formats that were set, so that one value's `operator<<` does not change how the next looks.
    void reset();

private:
    int overflow(int c) override;
    std::streamsize xsputn(const char* from, std::streamsize n) override;

    std::string* text_;
};

namespace detail {

template <class T>
concept streamable = requires(std::ostream& out, const T& value) { out << value; };
template <class T>
concept tuple_like = requires { std::tuple_size<T>::value; };
template <class T>
concept optional_like = requires(const T& value) {
    { value.has_value() } -> std::same_as<bool>;
    *value;
};
template <class T>
concept range_like = requires(const T& value) {
    ++value.begin();
    value.begin() != value.end();
};

/// Whether JSON has a form for it; false where that takes more than so many levels to tell.
template <class T, int Levels>
constexpr bool has_json() {
    if constexpr (Levels == 0) {
        return false;
    } else if constexpr (described<T>) {
        bool all = member_count<T> <= most_text_members;
        for_each_member<T>([&]<class M>(std::string_view, M T::*) { all = all && has_json<M, Levels - 1>(); });
        return all;
    } else if constexpr (!text_form<T>) {
        return false;
    } else if constexpr (std::is_enum_v<T>) {
        return has_json<std::underlying_type_t<T>, Levels>();
    } else if constexpr (requires { typename T::rep; }) {
        return has_json<typename T::rep, Levels>();
    } else if constexpr (tuple_like<T>) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return (has_json<std::tuple_element_t<I, T>, Levels - 1>() && ...);
        }(std::make_index_sequence<std::tuple_size_v<T>>());
    } else if constexpr (requires { typename T::mapped_type; }) {
        return has_json<typename T::mapped_type, Levels - 1>();
    } else if constexpr (requires { typename T::value_type; } && !std::is_same_v<T, std::string>) {
        return has_json<typename T::value_type, Levels - 1>();
    } else {
        return true;
    }
}
template <class T, int Levels>
constexpr bool has_display() {
    if constexpr (Levels == 0) {
        return false;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, timestamp> || described_enum<T> ||
                         std::is_convertible_v<const T&, std::string_view> || streamable<T>) {
        return true;
    } else if constexpr (described<T>) {
        return has_json<T, Levels>();
    } else if constexpr (tuple_like<T>) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return (has_display<std::tuple_element_t<I, T>, Levels - 1>() && ...);
        }(std::make_index_sequence<std::tuple_size_v<T>>());
    } else if constexpr (optional_like<T> || range_like<T>) {
        if constexpr (requires { typename T::value_type; }) return has_display<typename T::value_type, Levels - 1>();
        else return false;
    } else {
        return false;
    }
}

}  // namespace detail

/// What `display` is known to have a text for: types that are built from others in more than four levels are not asked.
template <class T>
concept displayable = detail::has_display<T, 4>();

/// Writes a value for people to read: text as it is, times in ISO 8601, whatever has an `operator<<` by that, described
/// structs as JSON, described enums by name, pairs and tuples as (a, b), optionals as the value or "none", ranges as
/// [a, b].
template <class T>
void display(string_stream& out, const T& value) {
    std::string& text = out.text();
    if constexpr (std::is_same_v<T, timestamp>) {
        text += to_string(value);
    } else if constexpr (std::is_same_v<T, bool>) {
        text += value ? "true" : "false";
    } else if constexpr (std::is_same_v<T, char>) {
        text += value;
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        text += std::string_view(value);
    } else if constexpr (std::is_arithmetic_v<T>) {
        char digits[64];
        text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    } else if constexpr (detail::streamable<T>) {
        out.reset();
        out << value;
    } else if constexpr (described_enum<T>) {
        std::string name;
        append_json(name, value);
        text += name.front() == '"' ? std::string_view(name).substr(1, name.size() - 2) : std::string_view(name);
    } else if constexpr (described<T>) {
        append_json(text, value);
    } else if constexpr (detail::tuple_like<T>) {
        text += '(';
        std::apply(
            [&](const auto&... parts) {
                [[maybe_unused]] std::string_view separator = "";
                ((text += separator, display(out, parts), separator = ", "), ...);
            },
            value);
        text += ')';
    } else if constexpr (detail::optional_like<T>) {
        if (value.has_value()) display(out, *value);
        else text += "none";
    } else if constexpr (detail::range_like<T>) {
        text += '[';
        std::string_view separator = "";
        for (const auto& part : value) {
            text += separator;
            display(out, part);
            separator = ", ";
        }
        text += ']';
    } else {
        static_assert(sizeof(T) == 0,
                      "runnel: this type has no text to print. Give it an operator<<(std::ostream&, const T&), or "
                      "describe it with BOOST_DESCRIBE_STRUCT.");
    }
}

/// "value at time".
template <class T>
void display(string_stream& out, const timed<T>& record) {
    display(out, record.value);
    out.text().append(" at ").append(to_string(record.time));
}

}  // namespace runnel
