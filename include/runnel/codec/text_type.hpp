#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "runnel/codec/describe.hpp"
#include "runnel/core/timestamp.hpp"

/// How a C++ type looks in text: static tables made from the type, so that the code that reads and writes JSON and
/// CSV is compiled once, in the library, and knows no user's type.
namespace runnel::detail {

enum class text_kind : unsigned char {
    boolean, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64,
    string,
    time,         ///< timestamp
    enumeration,  ///< Described enum: `names`; `element` is the underlying integer.
    // Up to here a field of CSV can hold it.
    optional,     ///< std::optional of `element`.
    list,         ///< Sequence of `element` that grows.
    tuple,        ///< Values at fixed places: pair, tuple, std::array.
    object,       ///< Described struct.
    map,          ///< From std::string to `element`.
};

struct text_type;

/// A part of an object or tuple.
struct text_member {
    std::string_view name;  ///< Empty in a tuple.
    const text_type* type;
    void* (*at)(void* whole);
};

struct text_enumerator {
    std::string_view name;
    std::int64_t value;
};

/// Called with each element of a list or map in turn; `key` is null in a list.
using text_visitor = void(void* context, const std::string* key, const void* element);

struct text_type {
    text_kind kind;
    const text_type* element = nullptr;
    /// object, tuple
    const text_member* members = nullptr;
    /// enumeration
    const text_enumerator* names = nullptr;
    /// Of `members` or `names`.
    std::size_t count = 0;
    /// optional, list, map: makes it empty.
    void (*clear)(void* whole) = nullptr;
    /// optional: the value, made if there was none; list: a new element at the end.
    void* (*add)(void* whole) = nullptr;
    /// map: a new element, or null if the key is there already.
    void* (*insert)(void* whole, std::string_view key) = nullptr;
    /// optional, list, map
    void (*visit)(const void* whole, void* context, text_visitor* visitor) = nullptr;
};

template <class T>
struct text_traits;

/// The table of T. A variable of its own for each type, so that types may contain themselves (in a vector).
template <class T>
struct text_type_of {
    static const text_type value;
};
template <class T>
constinit const text_type text_type_of<T>::value = text_traits<T>::make();

template <class T>
concept text_integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                       !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                       !std::same_as<T, char32_t> && sizeof(T) <= 8;

template <class T>
concept text_sequence = requires(T& list) {
    { list.emplace_back() } -> std::same_as<typename T::value_type&>;
    list.clear();
} && !std::same_as<T, std::string>;

template <class T>
struct text_traits {
    using no_form = void;
    static constexpr text_type make() {
        static_assert(sizeof(T) == 0,
                      "runnel: this type has no form in text. Describe a struct with BOOST_DESCRIBE_STRUCT; members "
                      "may be integers, bool, float, double, std::string, runnel::timestamp, chrono durations, enums, "
                      "and optional, vector, array, pair, tuple and map<string, ...> of these.");
        return {};
    }
};

/// T itself has a form in text; what it is made of is not asked.
template <class T>
concept text_form = !requires { typename text_traits<T>::no_form; };
/// Of a described struct.
inline constexpr std::size_t most_text_members = 64;

template <>
struct text_traits<bool> {
    static constexpr text_type make() { return {text_kind::boolean}; }
};
template <text_integer T>
struct text_traits<T> {
    static constexpr text_type make() {
        constexpr int log2_size = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
        constexpr text_kind first = std::signed_integral<T> ? text_kind::int8 : text_kind::uint8;
        return {static_cast<text_kind>(static_cast<int>(first) + log2_size)};
    }
};
template <>
struct text_traits<float> {
    static constexpr text_type make() { return {text_kind::float32}; }
};
template <>
struct text_traits<double> {
    static constexpr text_type make() { return {text_kind::float64}; }
};
template <>
struct text_traits<std::string> {
    static constexpr text_type make() { return {text_kind::string}; }
};
template <>
struct text_traits<timestamp> {
    static constexpr text_type make() { return {text_kind::time}; }
};

/// An enum without description, and a duration (counted in its own unit), are written as the number they hold.
template <class T>
    requires(std::is_enum_v<T> && !described_enum<T>)
struct text_traits<T> {
    static constexpr text_type make() { return text_traits<std::underlying_type_t<T>>::make(); }
};
template <class Rep, class Period>
struct text_traits<std::chrono::duration<Rep, Period>> {
    using type = std::chrono::duration<Rep, Period>;
    static_assert(sizeof(type) == sizeof(Rep) && std::is_standard_layout_v<type>);
    static constexpr text_type make() { return text_traits<Rep>::make(); }
};

#if __has_include(<boost/describe/members.hpp>)
template <described_enum T>
struct text_traits<T> {
    static constexpr std::size_t count = list_size<boost::describe::describe_enumerators<T>>;
    static constexpr std::array<text_enumerator, count> names = [] {
        std::array<text_enumerator, count> all{};
        std::size_t i = 0;
        for_each_enumerator<T>([&](std::string_view name, T value) {
            all[i++] = {name, static_cast<std::int64_t>(value)};
        });
        return all;
    }();
    static constexpr text_type make() {
        text_type type{text_kind::enumeration};
        type.element = &text_type_of<std::underlying_type_t<T>>::value;
        type.names = names.data();
        type.count = count;
        return type;
    }
};

template <described T>
struct text_traits<T> {
    static constexpr std::size_t count = member_count<T>;
    static_assert(count <= most_text_members,
                  "runnel: a struct that is read from text has at most 64 members; nest some of them");
    template <class Descriptor>
    static void* at(void* whole) {
        return std::addressof(static_cast<T*>(whole)->*Descriptor::pointer);
    }
    template <class Descriptor>
    using type_of = std::remove_cvref_t<decltype(std::declval<T&>().*Descriptor::pointer)>;
    template <template <class...> class List, class... Descriptors>
    static constexpr std::array<text_member, count> list(List<Descriptors...>) {
        return {
            text_member{Descriptors::name, &text_type_of<type_of<Descriptors>>::value, &at<Descriptors>}...};
    }
    static constexpr std::array<text_member, count> members = list(member_list<T>{});
    static constexpr text_type make() {
        text_type type{text_kind::object};
        type.members = members.data();
        type.count = count;
        return type;
    }
};
#endif

/// std::pair, std::tuple and std::array: what std::get works on.
template <class T>
    requires requires { std::tuple_size<T>::value; }
struct text_traits<T> {
    static constexpr std::size_t count = std::tuple_size_v<T>;
    template <std::size_t I>
    static void* at(void* whole) {
        return std::addressof(std::get<I>(*static_cast<T*>(whole)));
    }
    template <std::size_t... I>
    static constexpr std::array<text_member, count> list(std::index_sequence<I...>) {
        return {text_member{{}, &text_type_of<std::tuple_element_t<I, T>>::value, &at<I>}...};
    }
    static constexpr std::array<text_member, count> members = list(std::make_index_sequence<count>());
    static constexpr text_type make() {
        text_type type{text_kind::tuple};
        type.members = members.data();
        type.count = count;
        return type;
    }
};

template <class T>
struct text_traits<std::optional<T>> {
    static constexpr text_type make() {
        text_type type{text_kind::optional};
        type.element = &text_type_of<T>::value;
        type.clear = [](void* whole) { static_cast<std::optional<T>*>(whole)->reset(); };
        // An old value is kept, so that its memory is used again.
        type.add = [](void* whole) -> void* {
            auto& held = *static_cast<std::optional<T>*>(whole);
            return held ? std::addressof(*held) : std::addressof(held.emplace());
        };
        type.visit = [](const void* whole, void* context, text_visitor* visitor) {
            if (auto& held = *static_cast<const std::optional<T>*>(whole)) visitor(context, nullptr, &*held);
        };
        return type;
    }
};

template <text_sequence T>
struct text_traits<T> {
    static constexpr text_type make() {
        text_type type{text_kind::list};
        type.element = &text_type_of<typename T::value_type>::value;
        type.clear = [](void* whole) { static_cast<T*>(whole)->clear(); };
        type.add = [](void* whole) -> void* { return std::addressof(static_cast<T*>(whole)->emplace_back()); };
        type.visit = [](const void* whole, void* context, text_visitor* visitor) {
            for (const auto& element : *static_cast<const T*>(whole)) visitor(context, nullptr, &element);
        };
        return type;
    }
};

template <class T>
constexpr text_type make_map_type() {
    text_type type{text_kind::map};
    type.element = &text_type_of<typename T::mapped_type>::value;
    type.clear = [](void* whole) { static_cast<T*>(whole)->clear(); };
    type.insert = [](void* whole, std::string_view key) -> void* {
        const auto [at, is_new] = static_cast<T*>(whole)->try_emplace(std::string(key));
        return is_new ? std::addressof(at->second) : nullptr;
    };
    type.visit = [](const void* whole, void* context, text_visitor* visitor) {
        for (const auto& [key, element] : *static_cast<const T*>(whole)) visitor(context, &key, &element);
    };
    return type;
}
template <class T, class Less, class Allocator>
struct text_traits<std::map<std::string, T, Less, Allocator>> {
    static constexpr text_type make() { return make_map_type<std::map<std::string, T, Less, Allocator>>(); }
};
template <class T, class Hash, class Equal, class Allocator>
struct text_traits<std::unordered_map<std::string, T, Hash, Equal, Allocator>> {
    using type = std::unordered_map<std::string, T, Hash, Equal, Allocator>;
    static constexpr text_type make() { return make_map_type<type>(); }
};

}  // namespace runnel::detail
