#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/codec/text_type.hpp"

/// Avro's schemas, as its specification 1.12 has them.
namespace runnel::detail {

enum class avro_kind : unsigned char {
    null, boolean, int32, int64, float32, float64, bytes, string, fixed, enumeration, array, map, record, choice,
};

/// A type of a schema. Others are named by their places, since types may contain themselves.
struct avro_node {
    avro_kind kind = avro_kind::null;
    std::string name = {};               ///< record, enum, fixed: the whole name, with its namespace.
    std::string logical = {};            ///< The logical type; empty: none.
    std::size_t size = 0;                ///< fixed
    std::vector<std::string> names = {};  ///< Fields or symbols.
    std::vector<std::size_t> parts = {};  ///< Of fields, branches, items or values.
};

struct avro_schema {
    std::vector<avro_node> nodes;
    std::size_t root = 0;
};

/// Throws `decode_error` if it is no schema.
avro_schema parse_avro_schema(std::string_view json);

/// For messages: "long", "record shop.click".
std::string avro_name(const avro_node& n);

/// A member as a field: elements of tuples are _0, _1, ...
inline std::string avro_field_name(const text_type& type, std::size_t i) {
    return type.members[i].name.empty() ? '_' + std::to_string(i) : std::string(type.members[i].name);
}

/// Levels of nesting, in values as in schemas.
inline constexpr int avro_max_depth = 256;

}  // namespace runnel::detail
