#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runnel/codec/text_type.hpp"
#include "runnel/codec/time_text.hpp"

namespace runnel {

namespace detail {

/// The part of `json_decoder` that knows no type.
class json_reader {
public:
    explicit json_reader(time_unit unit);
    json_reader(json_reader&&) noexcept;
    json_reader& operator=(json_reader&&) noexcept;
    ~json_reader();
    void read(std::string_view line, const text_type& type, void* into);
    void prepare(std::string_view block);
    void read_prepared(std::string_view line, const text_type& type, void* into);

private:
    struct parser;
    std::unique_ptr<parser> parser_;
};

void write_json(std::string& out, const text_type& type, const void* from, const time_unit* unit);

template <class T>
constexpr bool json_document = !text_integer<T> && !std::is_arithmetic_v<T> && !std::is_enum_v<T> &&
                               !std::is_same_v<T, std::string> && !std::is_same_v<T, timestamp>;

}  // namespace detail

/// Turns JSON texts, one object or array each, into values of T.
///
/// Members are found by name, quickest when they come in the order of T's description. Unknown members are checked and
/// left out. A missing member is an error unless it is a std::optional; so is one that occurs twice. `null` is for
/// optional members only. Integers take numbers without fraction or exponent; times take an integer of `unit` or
/// ISO 8601 text (`parse_timestamp`); a described enum takes a name or the number of one, other enums a number.
/// Nesting is limited to 256 levels. A byte order mark in front is skipped.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
/// Lifetime: nothing of the text is referred to after the call.
template <class T>
class json_decoder {
    static_assert(detail::json_document<T>, "runnel: a JSON line is an object or an array: decode into a described "
                                            "struct, map, vector, pair or tuple");

public:
    explicit json_decoder(time_unit unit = time_unit::milliseconds) : reader_(unit) {}

    /// Fills `into`, using its memory again where it can; whatever it held is gone, also when the call throws.
    /// Complexity: O(size); allocates only what the strings and lists of T need, and when a text is longer than all
    /// before. Throws: `decode_error` with the byte (counted from 1), the member and the cause.
    void decode(std::string_view line, T& into) { reader_.read(line, detail::text_type_of<T>::value, &into); }

    /// Looks through many lines at once, which is quicker than one by one. Lines must end with '\n' (the last one may
    /// end with the block), and the block must stay as it is until `decode_prepared` has been called for all of them.
    /// Takes 4 bytes of memory for each byte of the block; 16 to 64 KB are best. Bad lines are found when they are
    /// decoded. A call of `decode` ends the preparation.
    void prepare(std::string_view block) { reader_.prepare(block); }

    /// `decode` for a line of the prepared block, in any order, with the same results.
    void decode_prepared(std::string_view line, T& into) {
        reader_.read_prepared(line, detail::text_type_of<T>::value, &into);
    }

private:
    detail::json_reader reader_;
};

/// Appends `value` as JSON on one line: members in order of description, doubles as short as they can be read back,
/// times in ISO 8601. NaN, infinity and an empty optional become `null`; bytes that are not UTF-8 become U+FFFD.
/// Thread safety: safe.
template <class T>
void append_json(std::string& out, const T& value) {
    detail::write_json(out, detail::text_type_of<T>::value, &value, nullptr);
}

/// The same with times as integers of `unit`, rounded down.
template <class T>
void append_json(std::string& out, const T& value, time_unit unit) {
    detail::write_json(out, detail::text_type_of<T>::value, &value, &unit);
}

}  // namespace runnel
