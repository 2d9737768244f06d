#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runnel/codec/text_type.hpp"
#include "runnel/codec/time_text.hpp"

namespace runnel {

/// How values of described types and Avro's are matched, beyond what their schemas say.
struct avro_options {
    /// Read: what an integer counts that stands for a `timestamp`, where the schema has no logical type that says so
    /// (timestamp-millis, timestamp-micros, timestamp-nanos, the local ones, date). Written: what it counts, as the
    /// logical type says; seconds have none.
    time_unit unit = time_unit::milliseconds;
    /// Members that the schema does not have keep the value that `T{}` gives them. Else that is an error, unless they
    /// are std::optional.
    bool keep_missing = false;
};

namespace detail {

/// How values written with a schema become values of a type. Thread safety: const members may be called by several.
class avro_plan;

/// Throws `decode_error` if the text is no schema, or none of what it describes can become a `type`.
std::shared_ptr<const avro_plan> plan_avro(std::string_view schema, const text_type& type, const avro_options& options);
/// `into` is as its type makes it. Throws `decode_error`.
void read_avro(const avro_plan& plan, std::string_view bytes, void* into);
std::string avro_schema_text(const text_type& type, std::string_view name, const avro_options& options);
void write_avro(std::string& out, const text_type& type, const void* from, const avro_options& options);

}  // namespace detail

/// Turns Avro's binary encoding (Avro 1.12), written with one schema, into values of T: a described struct, as for
/// JSON, or anything else that is part of one.
///
/// The schemas need not be the same: members are found by name, in any order; fields that T lacks are read over, and
/// of members that the schema lacks `avro_options` tells. Integers are taken where they fit, also into floating-point
/// numbers; float into double; text and bytes into std::string, bytes and fixed into a vector of std::uint8_t; symbols
/// by name into a described enum; the branches of a union one by one, and null into std::optional. Records need not
/// have the name of the type. What cannot be matched is an error when the decoder is made, within a union when such a
/// value comes.
/// Nesting is limited to 256 levels, and what is built is at most some constant times as large as the bytes.
/// Thread safety: const members may be called by several threads.
/// Errors: `decode_error` with the byte (counted from 1), the member and the cause.
/// Programs that use it link runnel::connect.
template <class T>
class avro_decoder {
public:
    /// Throws `decode_error` if `schema`, as JSON, is none, or does not fit T.
    explicit avro_decoder(std::string_view schema, const avro_options& options = {})
        : plan_(detail::plan_avro(schema, detail::text_type_of<T>::value, options)) {}

    T decode(std::string_view bytes) const {
        T value{};
        detail::read_avro(*plan_, bytes, &value);
        return value;
    }

private:
    std::shared_ptr<const detail::avro_plan> plan_;
};

/// The schema, as JSON, of what `append_avro` writes. Records and enums inside of T are named after `name` and the
/// member where they come first: "click", "click_address". A vector of std::uint8_t is bytes, std::optional a union
/// with null, and a tuple a record with the fields _0, _1, ...
/// Throws: `error` if Avro has no schema for it: an optional in an optional.
/// Thread safety: safe.
template <class T>
std::string avro_schema_of(std::string_view name, const avro_options& options = {}) {
    return detail::avro_schema_text(detail::text_type_of<T>::value, name, options);
}

/// Appends `value` in Avro's binary encoding. Throws: `error` with the member for text that is not UTF-8, an integer
/// above 2^63 - 1, and an enum without a name; then `out` is as before.
/// Thread safety: safe.
template <class T>
void append_avro(std::string& out, const T& value, const avro_options& options = {}) {
    detail::write_avro(out, detail::text_type_of<T>::value, &value, options);
}

}  // namespace runnel
