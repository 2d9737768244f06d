#pragma once

#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/describe.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel::testing {

template <class T>
std::string text_of(const timed<T>& record);

/// A value in words, for messages of failed tests: by its `operator<<` if it has one; times in ISO 8601; tuples,
/// optionals, ranges and described structs part by part; anything else by its encoded bytes in hexadecimal, or "?".
template <class T>
std::string text_of(const T& value) {
    if constexpr (std::is_same_v<T, timestamp>) {
        return to_string(value);
    } else if constexpr (std::is_same_v<T, bool>) {
        return value ? "true" : "false";
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        return '"' + std::string(std::string_view(value)) + '"';
    } else if constexpr (requires(std::ostream& out) { out << value; }) {
        std::ostringstream out;
        out << value;
        return std::move(out).str();
    } else if constexpr (requires { value.details.error, value.details.where; }) {
        return "dead letter " + text_of(value.value) + ": " + value.details.error + " (" + value.details.where +
               " at " + to_string(value.details.time) + ")";
    } else if constexpr (requires { std::tuple_size<T>::value; }) {
        std::string text;
        std::apply([&](const auto&... part) { ((text += (text.empty() ? "" : ", ") + text_of(part)), ...); }, value);
        return '(' + text + ')';
    } else if constexpr (requires { value.has_value(), *value; }) {
        return value.has_value() ? text_of(*value) : "none";
    } else if constexpr (requires { std::begin(value) != std::end(value); }) {
        std::string text;
        for (const auto& part : value) text += (text.empty() ? "" : ", ") + text_of(part);
        return '[' + text + ']';
    } else if constexpr (described<T>) {
        std::string text;
        for_each_member<T>([&](std::string_view name, auto member) {
            text += (text.empty() ? "" : ", ") + std::string(name) + " " + text_of(value.*member);
        });
        return '{' + text + '}';
    } else if constexpr (encodable<T>) {
        std::string bytes;
        codec<T>::encode(value, bytes);
        std::string text = "bytes";
        for (const char c : bytes) {
            constexpr const char* digits = "0123456789abcdef";
            const auto b = static_cast<unsigned char>(c);
            text += {' ', digits[b >> 4], digits[b & 15]};
        }
        return text;
    } else {
        return "?";
    }
}

/// "value at time".
template <class T>
std::string text_of(const timed<T>& record) {
    return text_of(record.value) + " at " + to_string(record.time);
}

}  // namespace runnel::testing
