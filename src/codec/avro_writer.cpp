#include <bit>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "avro_schema.hpp"
#include "json_text.hpp"
#include "runnel/codec/avro.hpp"
#include "runnel/codec/utf8.hpp"
#include "runnel/core/error.hpp"
#include "text_value.hpp"

namespace runnel::detail {
namespace {

bool is_byte_list(const text_type& type) noexcept {
    return type.kind == text_kind::list && type.element->kind == text_kind::uint8;
}

class schema_writer {
public:
    explicit schema_writer(time_unit unit) : unit_(unit) {}

    std::string text = {};

    /// `name`: of the type, if it gets one.
    void type(const text_type& t, const std::string& name) {
        switch (t.kind) {
            case text_kind::boolean: text += "\"boolean\""; return;
            case text_kind::int8:
            case text_kind::int16:
            case text_kind::int32:
            case text_kind::uint8:
            case text_kind::uint16: text += "\"int\""; return;
            case text_kind::int64:
            case text_kind::uint32:
            case text_kind::uint64: text += "\"long\""; return;
            case text_kind::float32: text += "\"float\""; return;
            case text_kind::float64: text += "\"double\""; return;
            case text_kind::string: text += "\"string\""; return;
            case text_kind::time: return time();
            case text_kind::enumeration: return enumeration(t, name);
            case text_kind::optional:
                if (t.element->kind == text_kind::optional)
                    throw error("Avro has no schema for an optional in an optional, which '" + name +
                                "' has. Give the member another type");
                text += "[\"null\",";
                type(*t.element, name);
                text += ']';
                return;
            case text_kind::list:
                if (is_byte_list(t)) {
                    text += "\"bytes\"";
                    return;
                }
                text += "{\"type\":\"array\",\"items\":";
                type(*t.element, name);
                text += '}';
                return;
            case text_kind::map:
                text += "{\"type\":\"map\",\"values\":";
                type(*t.element, name);
                text += '}';
                return;
            case text_kind::tuple:
            case text_kind::object: return record(t, name);
        }
    }

private:
    void time() {
        switch (unit_) {
            case time_unit::seconds: text += "\"long\""; return;
            case time_unit::milliseconds: return logical("timestamp-millis");
            case time_unit::microseconds: return logical("timestamp-micros");
            case time_unit::nanoseconds: return logical("timestamp-nanos");
        }
    }
    void logical(const char* name) {
        text += "{\"type\":\"long\",\"logicalType\":\"";
        text += name;
        text += "\"}";
    }
    /// True if the type has a name already, which is then what stands for it.
    bool refer(const text_type& t, const std::string& name, const char* kind) {
        auto [at, is_new] = names_.emplace(&t, name);
        if (is_new) {
            for (int n = 2; !used_.insert(at->second).second; ++n) at->second = name + '_' + std::to_string(n);
            text += std::string("{\"type\":\"") + kind + "\",\"name\":";
        }
        append_json_string(text, at->second);
        return !is_new;
    }
    void enumeration(const text_type& t, const std::string& name) {
        if (refer(t, name, "enum")) return;
        text += ",\"symbols\":[";
        for (std::size_t i = 0; i != t.count; ++i) {
            if (i != 0) text += ',';
            append_json_string(text, t.names[i].name);
        }
        text += "]}";
    }
    void record(const text_type& t, const std::string& name) {
        if (refer(t, name, "record")) return;
        const std::string own = names_.at(&t);
        text += ",\"fields\":[";
        for (std::size_t i = 0; i != t.count; ++i) {
            if (i != 0) text += ',';
            text += "{\"name\":";
            append_json_string(text, avro_field_name(t, i));
            text += ",\"type\":";
            type(*t.members[i].type, own + '_' + avro_field_name(t, i));
            // Null is the first branch, so that it may be the default.
            if (t.members[i].type->kind == text_kind::optional) text += ",\"default\":null";
            text += '}';
        }
        text += "]}";
    }

    const time_unit unit_;
    std::map<const text_type*, std::string> names_;
    std::set<std::string> used_;
};

class writer {
public:
    writer(std::string& out, time_unit unit) : out_(out), unit_(unit) {}

    void value(const text_type& type, const void* from) {
        switch (type.kind) {
            case text_kind::boolean: out_ += *static_cast<const bool*>(from) ? '\1' : '\0'; return;
            case text_kind::float32: return floating<std::uint32_t>(*static_cast<const float*>(from));
            case text_kind::float64: return floating<std::uint64_t>(*static_cast<const double*>(from));
            case text_kind::string: return text(*static_cast<const std::string*>(from));
            case text_kind::time: return number(count_units(*static_cast<const timestamp*>(from), unit_));
            case text_kind::enumeration: return enumeration(type, from);
            case text_kind::optional: {
                const std::size_t before = out_.size();
                each(type, from, [&](const std::string*, const void* element) {
                    number(1);
                    value(*type.element, element);
                });
                if (out_.size() == before) number(0);
                return;
            }
            case text_kind::list:
                if (is_byte_list(type)) {
                    number(count(type, from));
                    each(type, from, [&](const std::string*, const void* element) {
                        out_ += *static_cast<const char*>(element);
                    });
                    return;
                }
                [[fallthrough]];
            case text_kind::map: return items(type, from);
            case text_kind::tuple:
            case text_kind::object:
                for (std::size_t i = 0; i != type.count; ++i) member(type, i, from);
                return;
            default: return integer(type, from);
        }
    }

private:
    [[noreturn]] static void refuse(const std::string& why) { throw error(why); }
    void member(const text_type& type, std::size_t i, const void* from) {
        try {
            // The accessor serves readers too; nothing is changed here.
            value(*type.members[i].type, type.members[i].at(const_cast<void*>(from)));
        } catch (const error& e) {
            const std::string_view why = e.what(), inner = "member '";
            const bool is_inner = why.starts_with(inner);
            throw error(std::string(inner) + avro_field_name(type, i) + (is_inner ? "." : "': ") +
                        std::string(is_inner ? why.substr(inner.size()) : why));
        }
    }
    template <class F>
    static void each(const text_type& type, const void* from, F f) {
        type.visit(from, &f, [](void* context, const std::string* key, const void* element) {
            (*static_cast<F*>(context))(key, element);
        });
    }
    static std::int64_t count(const text_type& type, const void* from) {
        std::int64_t n = 0;
        each(type, from, [&](const std::string*, const void*) { ++n; });
        return n;
    }

    void number(std::int64_t n) {
        auto bits = static_cast<std::uint64_t>(n) << 1 ^ static_cast<std::uint64_t>(n >> 63);
        for (; bits >= 0x80; bits >>= 7) out_ += static_cast<char>(bits | 0x80);
        out_ += static_cast<char>(bits);
    }
    template <class Bits, class Float>
    void floating(Float f) {
        auto bits = std::bit_cast<Bits>(f);
        for (std::size_t i = 0; i != sizeof bits; ++i, bits = static_cast<Bits>(bits >> 8))
            out_ += static_cast<char>(bits);
    }
    void text(const std::string& s) {
        if (!is_valid_utf8(s)) refuse("Avro's strings are UTF-8, and this one is not. Make it a vector of "
                                       "std::uint8_t");
        number(static_cast<std::int64_t>(s.size()));
        out_ += s;
    }
    void integer(const text_type& type, const void* from) {
        const std::int64_t n = load_integer(type.kind, from);
        if (type.kind == text_kind::uint64 && n < 0)
            refuse("Avro's largest integer is 9223372036854775807, and this is " +
                   std::to_string(static_cast<std::uint64_t>(n)));
        number(n);
    }
    void enumeration(const text_type& type, const void* from) {
        const std::int64_t n = load_integer(type.element->kind, from);
        const text_enumerator* const e = find_value(type, n);
        if (e == nullptr) refuse("the enum has no name for " + std::to_string(n) + ", only " + names_of(type));
        number(e - type.names);
    }
    /// As one block, which tells the number of its items but not its size.
    void items(const text_type& type, const void* from) {
        if (const std::int64_t n = count(type, from); n != 0) number(n);
        each(type, from, [&](const std::string* key, const void* element) {
            if (key != nullptr) text(*key);
            value(*type.element, element);
        });
        number(0);
    }

    std::string& out_;
    const time_unit unit_;
};

}  // namespace

std::string avro_schema_text(const text_type& type, std::string_view name, const avro_options& options) {
    schema_writer w(options.unit);
    w.type(type, std::string(name));
    return w.text;
}

void write_avro(std::string& out, const text_type& type, const void* from, const avro_options& options) {
    const std::size_t before = out.size();
    try {
        writer(out, options.unit).value(type, from);
    } catch (...) {
        out.resize(before);
        throw;
    }
}

}  // namespace runnel::detail
