#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "../codec/text_value.hpp"
#include "runnel/codec/json.hpp"
#include "runnel/connect/sqlite.hpp"

/// How a value becomes columns: a struct, tuple or optional those of its parts, anything else one.
namespace runnel::detail {

inline bool is_blob(const text_type& type) {
    return type.kind == text_kind::list && type.element->kind == text_kind::uint8;
}

inline std::string_view sql_type_of(const text_type& type, sqlite_time times) {
    switch (type.kind) {
        case text_kind::float32:
        case text_kind::float64: return "REAL";
        case text_kind::string:
        case text_kind::enumeration:
        case text_kind::map: return "TEXT";
        case text_kind::list: return is_blob(type) ? "BLOB" : "TEXT";
        case text_kind::time: return times == sqlite_time::text ? "TEXT" : "INTEGER";
        default: return "INTEGER";
    }
}

/// Calls `f(name, type, nullable)` for each column.
template <class F>
void each_column(const text_type& type, const std::string& name, bool nullable, const F& f) {
    if (type.kind == text_kind::optional) return each_column(*type.element, name, true, f);
    if (type.kind != text_kind::object && type.kind != text_kind::tuple)
        return f(name.empty() ? "value" : name, type, nullable);
    for (std::size_t i = 0; i < type.count; ++i) {
        const text_member& member = type.members[i];
        const std::string inner = member.name.empty() ? std::to_string(i) : std::string(member.name);
        each_column(*member.type, name.empty() ? inner : name + "_" + inner, nullable, f);
    }
}

/// Calls `f(type, from)` for the value of each column, in the same order; `from` is null for NULL.
template <class F>
void each_value(const text_type& type, const void* from, const F& f) {
    if (type.kind == text_kind::optional) {
        const void* held = nullptr;
        const auto note = [](void* into, const std::string*, const void* element) {
            *static_cast<const void**>(into) = element;
        };
        if (from) type.visit(from, &held, note);
        return each_value(*type.element, held, f);
    }
    if (type.kind != text_kind::object && type.kind != text_kind::tuple) return f(type, from);
    for (std::size_t i = 0; i < type.count; ++i)
        // The accessor serves readers too; nothing is changed here.
        each_value(*type.members[i].type, from ? type.members[i].at(const_cast<void*>(from)) : nullptr, f);
}

inline int bind_text(sqlite3_stmt* s, int at, std::string_view text, sqlite3_destructor_type lifetime) {
    return sqlite3_bind_text64(s, at, text.data(), text.size(), lifetime, SQLITE_UTF8);
}

/// Sets a parameter of a statement to the value of a column; `from` is to stay until the statement has run. Returns
/// SQLite's code.
inline int bind(sqlite3_stmt* s, int at, const text_type& type, const void* from, sqlite_time times) {
    if (from == nullptr) return sqlite3_bind_null(s, at);
    switch (type.kind) {
        case text_kind::boolean: return sqlite3_bind_int64(s, at, *static_cast<const bool*>(from));
        case text_kind::float32: return sqlite3_bind_double(s, at, *static_cast<const float*>(from));
        case text_kind::float64: return sqlite3_bind_double(s, at, *static_cast<const double*>(from));
        case text_kind::string: return bind_text(s, at, *static_cast<const std::string*>(from), SQLITE_STATIC);
        case text_kind::time: {
            const timestamp t = *static_cast<const timestamp*>(from);
            if (times == sqlite_time::text) return bind_text(s, at, to_string(t), SQLITE_TRANSIENT);
            return sqlite3_bind_int64(s, at, t.ns());
        }
        case text_kind::enumeration: {
            if (const auto* e = find_value(type, load_integer(type.element->kind, from)))
                return bind_text(s, at, e->name, SQLITE_STATIC);
            std::string number;
            append_integer(number, type.element->kind, from);
            return bind_text(s, at, number, SQLITE_TRANSIENT);
        }
        case text_kind::list:
        case text_kind::map: {
            std::string text;
            if (!is_blob(type)) {
                write_json(text, type, from, nullptr);
                return bind_text(s, at, text, SQLITE_TRANSIENT);
            }
            type.visit(from, &text, [](void* into, const std::string*, const void* byte) {
                *static_cast<std::string*>(into) += *static_cast<const char*>(byte);
            });
            return sqlite3_bind_blob64(s, at, text.data(), text.size(), SQLITE_TRANSIENT);
        }
        default: return sqlite3_bind_int64(s, at, load_integer(type.kind, from));
    }
}

}  // namespace runnel::detail
