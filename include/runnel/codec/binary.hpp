#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/describe.hpp"
#include "runnel/codec/layout.hpp"
#include "runnel/core/timestamp.hpp"

// The binary form of standard types and of described structs: numbers in memory order (little-endian), lengths in 32
// bits, parts one after the other. Unordered containers are written in the order of their encoded elements, so that
// equal ones encode equally. What holds nothing takes one byte, 0.

namespace runnel {

namespace detail {

inline void encode_nothing(std::string& out) { out += '\0'; }
inline void decode_nothing(byte_reader& in) {
    if (in.take(1).front() != '\0') throw decode_error("encoded empty value is not 0: the bytes are damaged");
}

/// Writes elements that have been encoded each on its own, in the order of their bytes.
inline void append_sorted(std::vector<std::string>& elements, std::string& out) {
    std::sort(elements.begin(), elements.end());
    encode_size(elements.size(), out);
    for (const std::string& element : elements) out += element;
}

[[noreturn]] inline void fail_double_key() {
    throw decode_error(
        "encoded container holds a key twice: the bytes are damaged, or a migration has made keys equal");
}

template <class Set, bool is_sorted>
struct set_codec {
    using key = typename Set::key_type;
    static void encode(const Set& set, std::string& out) {
        if constexpr (is_sorted) {
            encode_size(set.size(), out);
            for (const key& k : set) codec<key>::encode(k, out);
        } else {
            std::vector<std::string> elements;
            elements.reserve(set.size());
            for (const key& k : set) codec<key>::encode(k, elements.emplace_back());
            append_sorted(elements, out);
        }
    }
    static Set decode(byte_reader& in) {
        const byte_reader::nested guard(in);
        Set set;
        for (std::size_t n = in.take_size(); n != 0; --n)
            if (!set.insert(codec<key>::decode(in)).second) fail_double_key();
        return set;
    }
    static auto layout(layout_builder& to) { return to.of<key>(layout_kind::set); }
};

template <class Map, bool is_sorted>
struct map_codec {
    using key = typename Map::key_type;
    using mapped = typename Map::mapped_type;
    static void encode(const Map& map, std::string& out) {
        const auto encode_entry = [](const auto& entry, std::string& to) {
            codec<key>::encode(entry.first, to);
            codec<mapped>::encode(entry.second, to);
        };
        if constexpr (is_sorted) {
            encode_size(map.size(), out);
            for (const auto& entry : map) encode_entry(entry, out);
        } else {
            std::vector<std::string> elements;
            elements.reserve(map.size());
            for (const auto& entry : map) encode_entry(entry, elements.emplace_back());
            append_sorted(elements, out);
        }
    }
    static Map decode(byte_reader& in) {
        const byte_reader::nested guard(in);
        Map map;
        for (std::size_t n = in.take_size(2); n != 0; --n) {
            key k = codec<key>::decode(in);
            if (!map.emplace(std::move(k), codec<mapped>::decode(in)).second) fail_double_key();
        }
        return map;
    }
    static auto layout(layout_builder& to) { return to.of<key, mapped>(layout_kind::map); }
};

}  // namespace detail

template <>
struct codec<timestamp> {
    static void encode(timestamp t, std::string& out) { codec<std::int64_t>::encode(t.ns(), out); }
    static timestamp decode(byte_reader& in) { return timestamp(codec<std::int64_t>::decode(in)); }
    static auto layout(layout_builder& to) { return to.make(layout_kind::time); }
};

template <class Rep, class Period>
    requires encodable<Rep>
struct codec<std::chrono::duration<Rep, Period>> {
    using type = std::chrono::duration<Rep, Period>;
    static void encode(type d, std::string& out) { codec<Rep>::encode(d.count(), out); }
    static type decode(byte_reader& in) { return type(codec<Rep>::decode(in)); }
    static auto layout(layout_builder& to) {
        return to.span<Rep>(std::to_string(Period::num) + '/' + std::to_string(Period::den));
    }
};

template <>
struct codec<std::monostate> {
    static void encode(std::monostate, std::string& out) { detail::encode_nothing(out); }
    static std::monostate decode(byte_reader& in) {
        detail::decode_nothing(in);
        return {};
    }
    static auto layout(layout_builder& to) { return to.make(layout_kind::empty); }
};

template <encodable T>
struct codec<std::optional<T>> {
    static void encode(const std::optional<T>& value, std::string& out) {
        codec<bool>::encode(value.has_value(), out);
        if (value) codec<T>::encode(*value, out);
    }
    static std::optional<T> decode(byte_reader& in) {
        if (!codec<bool>::decode(in)) return std::nullopt;
        return codec<T>::decode(in);
    }
    static auto layout(layout_builder& to) { return to.of<T>(layout_kind::optional); }
};

template <encodable A, encodable B>
struct codec<std::pair<A, B>> {
    static void encode(const std::pair<A, B>& value, std::string& out) {
        codec<A>::encode(value.first, out);
        codec<B>::encode(value.second, out);
    }
    static std::pair<A, B> decode(byte_reader& in) {
        A first = codec<A>::decode(in);
        return {std::move(first), codec<B>::decode(in)};
    }
    static auto layout(layout_builder& to) { return to.of<A, B>(layout_kind::tuple); }
};

template <encodable... Ts>
struct codec<std::tuple<Ts...>> {
    static void encode(const std::tuple<Ts...>& value, std::string& out) {
        if constexpr (sizeof...(Ts) == 0) detail::encode_nothing(out);
        else std::apply([&](const Ts&... parts) { (codec<Ts>::encode(parts, out), ...); }, value);
    }
    static std::tuple<Ts...> decode(byte_reader& in) {
        if constexpr (sizeof...(Ts) == 0) detail::decode_nothing(in);
        return std::tuple<Ts...>{codec<Ts>::decode(in)...};  // Braces: from left to right.
    }
    static auto layout(layout_builder& to) { return to.of<Ts...>(layout_kind::tuple); }
};

template <encodable T, std::size_t N>
struct codec<std::array<T, N>> {
    static void encode(const std::array<T, N>& value, std::string& out) {
        if constexpr (N == 0) detail::encode_nothing(out);
        for (const T& element : value) codec<T>::encode(element, out);
    }
    static std::array<T, N> decode(byte_reader& in) {
        if constexpr (N == 0) detail::decode_nothing(in);
        std::array<T, N> value;
        for (T& element : value) element = codec<T>::decode(in);
        return value;
    }
    static auto layout(layout_builder& to) { return to.of<T>(layout_kind::array, N); }
};

template <encodable T, class Allocator>
struct codec<std::vector<T, Allocator>> {
    /// Integers lie in memory as they are encoded.
    static constexpr bool as_one_block = std::is_integral_v<T> && !std::is_same_v<T, bool>;

    static void encode(const std::vector<T, Allocator>& value, std::string& out) {
        encode_size(value.size(), out);
        if constexpr (as_one_block) {
            out.append(reinterpret_cast<const char*>(value.data()), value.size() * sizeof(T));
        } else {
            for (const T& element : value) codec<T>::encode(element, out);
        }
    }
    static std::vector<T, Allocator> decode(byte_reader& in) {
        const byte_reader::nested guard(in);
        std::vector<T, Allocator> value;
        if constexpr (as_one_block) {
            const std::size_t count = in.take_size(sizeof(T));
            value.resize(count);
            if (count != 0) std::memcpy(value.data(), in.take(count * sizeof(T)).data(), count * sizeof(T));
        } else {
            const std::size_t count = in.take_size();
            // Elements may be far larger in memory than their bytes: don't believe in many before they are there.
            value.reserve(std::min<std::size_t>(count, 1024));
            for (std::size_t i = 0; i < count; ++i) value.push_back(codec<T>::decode(in));
        }
        return value;
    }
    static auto layout(layout_builder& to) { return to.of<T>(layout_kind::list); }
};

template <encodable K, class... Rest>
struct codec<std::set<K, Rest...>> : detail::set_codec<std::set<K, Rest...>, true> {};
template <encodable K, class... Rest>
struct codec<std::unordered_set<K, Rest...>> : detail::set_codec<std::unordered_set<K, Rest...>, false> {};
template <encodable K, encodable V, class... Rest>
struct codec<std::map<K, V, Rest...>> : detail::map_codec<std::map<K, V, Rest...>, true> {};
template <encodable K, encodable V, class... Rest>
struct codec<std::unordered_map<K, V, Rest...>> : detail::map_codec<std::unordered_map<K, V, Rest...>, false> {};

/// One byte says which alternative follows.
template <encodable... Ts>
struct codec<std::variant<Ts...>> {
    using type = std::variant<Ts...>;
    static_assert(sizeof...(Ts) < 255);
    static void encode(const type& value, std::string& out) {
        out += static_cast<char>(value.index());
        std::visit([&]<class T>(const T& held) { codec<T>::encode(held, out); }, value);
    }
    static type decode(byte_reader& in) { return decode(in, std::index_sequence_for<Ts...>()); }
    static auto layout(layout_builder& to) { return to.of<Ts...>(layout_kind::variant); }

private:
    template <std::size_t I>
    static type alternative(byte_reader& in) {
        return type(std::in_place_index<I>, codec<std::variant_alternative_t<I, type>>::decode(in));
    }
    template <std::size_t... I>
    static type decode(byte_reader& in, std::index_sequence<I...>) {
        constexpr type (*decoders[])(byte_reader&) = {&alternative<I>...};
        const std::size_t index = in.take_raw<unsigned char>();
        if (index >= sizeof...(Ts))
            throw decode_error("encoded variant holds alternative " + std::to_string(index) + " of " +
                               std::to_string(sizeof...(Ts)) + ": the bytes are damaged or of another type");
        return decoders[index](in);
    }
};

/// A described struct: its members in order of description.
template <described T>
struct codec<T> {
    static void encode(const T& value, std::string& out) {
        if constexpr (member_count<T> == 0) detail::encode_nothing(out);
        for_each_member<T>([&]<class M>(std::string_view, M T::*member) {
            static_assert(encodable<M>, "runnel: a member of this described struct has no codec");
            codec<M>::encode(value.*member, out);
        });
    }
    static T decode(byte_reader& in) {
        if constexpr (member_count<T> == 0) detail::decode_nothing(in);
        T value{};
        for_each_member<T>([&]<class M>(std::string_view, M T::*member) { value.*member = codec<M>::decode(in); });
        return value;
    }
    static auto layout(layout_builder& to) { return to.structure<T>(); }
};

}  // namespace runnel
