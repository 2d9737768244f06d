#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/describe.hpp"

// What the bytes of a type mean, as a text that is stored beside them:
//
//   bool  i8 i16 i32 i64  u8 u16 u32 u64  f32 f64  string  timestamp  empty
//   {name:LAYOUT,...}              a described struct
//   enum<i32,red=0,blue=1>         enumerators only if they are described
//   duration<i64,1/1000>           with the unit in seconds
//   optional<LAYOUT>  list<LAYOUT>  set<LAYOUT>  map<KEY,VALUE>  array<3,LAYOUT>
//   tuple<LAYOUT,...>  variant<LAYOUT,...>
//   own  own<2>                    a codec of the user's, of version 0 or 2
//   ^1                             the struct that this is part of; ^2: the one around that

namespace runnel {

/// How a value that was saved as another type becomes a T, where that isn't a matter of course: a layout as it was
/// differs from the one of now by more than members added or removed, their order, and numbers that have become wider.
///
///     template <>
///     struct runnel::migration<account> {
///         using from = account_v1;  // as it was saved
///         static account migrate(account_v1&& old) { return {old.user, old.cents / 100.0}; }
///     };
///
/// Goes for a T anywhere inside of state: a member, an element of a list. `from` may have a migration of its own. It is
/// asked first if the layout is exactly the one of `from`.
template <class T>
struct migration {};

enum class layout_kind : unsigned char {
    empty,
    boolean,
    signed_integer,
    unsigned_integer,
    floating,
    text,
    time,
    span,
    enumeration,
    optional,
    list,
    array,
    set,
    map,
    tuple,
    variant,
    structure,
    own,
};

/// What the bytes of a type mean.
/// Thread safety: const members may be called by several threads.
class layout {
public:
    using index = std::uint32_t;
    static constexpr index none = std::numeric_limits<index>::max();

    struct node {
        layout_kind kind;
        std::uint64_t number = 0;        ///< Bytes of a number, elements of an array, version of an own codec.
        std::vector<index> parts = {};
        std::vector<std::string> names = {};  ///< Of members; `red=0` of enumerators; the unit of a duration.

        // Known of a program's types only, not from a text:
        std::vector<std::string> defaults = {};        ///< Of members, encoded.
        void (*pass)(byte_reader&) = nullptr;          ///< Reads over a value of an own codec.
        index from = none;                             ///< What it can be made from,
        void (*migrate)(byte_reader&, std::string&) = nullptr;  ///< and how.
    };

    /// Errors: `decode_error` if it is no layout.
    static layout parse(std::string_view text);
    std::string text() const;

    const node& at(index i) const { return nodes_[i]; }
    index root() const noexcept { return root_; }

private:
    friend class layout_builder;
    std::vector<node> nodes_;
    index root_ = 0;
};

/// Puts a layout together. A codec of the user's that encodes values of other types one after the other may say so,
/// `static auto layout(layout_builder& to) { return to.of<A, B>(layout_kind::tuple); }`, and these may then change; one
/// that doesn't may have a `static constexpr int version`.
/// Thread safety: unsafe.
class layout_builder {
public:
    using index = layout::index;

    /// Errors: `error` if a migration would never be asked, since the layouts are the same.
    template <class T>
    static layout build() {
        layout_builder b;
        const index root = b.add<T>();
        return b.finish(root);
    }

    template <class T>
    index add() {
        index at;
        if constexpr (requires(layout_builder& b) { codec<T>::layout(b); }) {
            at = codec<T>::layout(*this);
        } else {
            std::uint64_t version = 0;
            if constexpr (requires { codec<T>::version; }) version = codec<T>::version;
            at = own(version, [](byte_reader& in) { codec<T>::decode(in); });
        }
        if constexpr (requires { typename migration<T>::from; }) {
            using old = typename migration<T>::from;
            static_assert(std::is_convertible_v<decltype(migration<T>::migrate(std::declval<old&&>())), T>,
                          "runnel: migration<T> needs static T migrate(from&&)");
            if (!is_migrated(at))
                migrates(at, add<old>(), [](byte_reader& in, std::string& out) {
                    codec<T>::encode(migration<T>::migrate(codec<old>::decode(in)), out);
                });
        }
        return at;
    }

    index boolean() { return make(layout_kind::boolean); }
    index text() { return make(layout_kind::text); }
    index make(layout_kind kind, std::vector<index> parts = {}, std::uint64_t number = 0);
    template <class... Parts>
    index of(layout_kind kind, std::uint64_t number = 0) {
        return make(kind, std::vector<index>{add<Parts>()...}, number);
    }
    /// An integer, a floating-point number or an enum.
    template <class T>
    index number() {
        if constexpr (std::is_enum_v<T>) {
            const index at = of<std::underlying_type_t<T>>(layout_kind::enumeration);
            if constexpr (described_enum<T>)
                for_each_enumerator<T>([&](std::string_view name, T value) {
                    const auto as_number = static_cast<std::underlying_type_t<T>>(value);
                    name_part(at, std::string(name) + '=' + std::to_string(+as_number));
                });
            return at;
        } else if constexpr (std::is_floating_point_v<T>) {
            return make(layout_kind::floating, {}, sizeof(T));
        } else {
            using enum layout_kind;
            return make(std::is_signed_v<T> ? signed_integer : unsigned_integer, {}, sizeof(T));
        }
    }
    template <class T>
    index span(std::string unit) {
        const index at = of<T>(layout_kind::span);
        name_part(at, std::move(unit));
        return at;
    }
    template <described T>
    index structure() {
        bool is_new = false;
        const index at = begin_structure(typeid(T), is_new);
        if (!is_new) return at;
        const T value{};
        for_each_member<T>([&]<class M>(std::string_view name, M T::*member) {
            std::string bytes;
            codec<M>::encode(value.*member, bytes);
            add_member(at, name, add<M>(), std::move(bytes));
        });
        return at;
    }

private:
    index own(std::uint64_t version, void (*pass)(byte_reader&));
    bool is_migrated(index at) const { return made_.nodes_[at].migrate != nullptr; }
    void migrates(index at, index from, void (*migrate)(byte_reader&, std::string&));
    void name_part(index at, std::string name);
    index begin_structure(std::type_index type, bool& is_new);
    void add_member(index at, std::string_view name, index part, std::string default_bytes);
    layout finish(index root);

    layout made_;
    std::map<std::type_index, index> structures_;
};

/// What the bytes of a T mean, as a text: `{user:string,count:u64,at:timestamp}`. Types with equal texts read each
/// other's bytes.
template <class T>
std::string layout_of() {
    return layout_builder::build<T>().text();
}

namespace detail {

/// True if bytes of one mean the same as bytes of the other.
bool same_layout(const layout& a, layout::index at_a, const layout& b, layout::index at_b);
/// In a word: "u64", "list", "struct".
std::string word_of(const layout::node& n);

}  // namespace detail

}  // namespace runnel
