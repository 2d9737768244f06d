#include <cmath>

#include "runnel/codec/json.hpp"
#include "json_text.hpp"
#include "text_value.hpp"

namespace runnel::detail {
namespace {

template <class Float>
void append_float(std::string& out, const void* from) {
    const Float value = *static_cast<const Float*>(from);
    if (std::isfinite(value)) append_number(out, value);
    else out += "null";
}

class writer {
public:
    writer(std::string& out, const time_unit* unit) : out_(out), unit_(unit) {}

    void value(const text_type& type, const void* from) {
        switch (type.kind) {
            case text_kind::boolean: out_ += *static_cast<const bool*>(from) ? "true" : "false"; return;
            case text_kind::float32: return append_float<float>(out_, from);
            case text_kind::float64: return append_float<double>(out_, from);
            case text_kind::string: return append_json_string(out_, *static_cast<const std::string*>(from));
            case text_kind::time: return time(*static_cast<const timestamp*>(from));
            case text_kind::enumeration: return enumeration(type, from);
            case text_kind::optional: {
                const std::size_t before = out_.size();
                elements(type, from);
                if (out_.size() == before) out_ += "null";
                return;
            }
            case text_kind::list:
                out_ += '[';
                elements(type, from);
                out_ += ']';
                return;
            case text_kind::map:
                out_ += '{';
                elements(type, from);
                out_ += '}';
                return;
            case text_kind::tuple:
                out_ += '[';
                members(type, from);
                out_ += ']';
                return;
            case text_kind::object:
                out_ += '{';
                members(type, from);
                out_ += '}';
                return;
            default: return append_integer(out_, type.kind, from);
        }
    }

private:
    void time(timestamp t) {
        if (unit_ != nullptr) append_number(out_, count_units(t, *unit_));
        else append_json_string(out_, to_string(t));
    }
    void enumeration(const text_type& type, const void* from) {
        if (const auto* e = find_value(type, load_integer(type.element->kind, from))) append_json_string(out_, e->name);
        else append_integer(out_, type.element->kind, from);
    }
    void members(const text_type& type, const void* from) {
        for (std::size_t i = 0; i < type.count; ++i) {
            const text_member& member = type.members[i];
            if (i != 0) out_ += ',';
            if (!member.name.empty()) {
                append_json_string(out_, member.name);
                out_ += ':';
            }
            // The accessor serves readers too; nothing is changed here.
            value(*member.type, member.at(const_cast<void*>(from)));
        }
    }
    void elements(const text_type& type, const void* from) {
        struct context {
            writer& self;
            const text_type& type;
            bool first;
        } state{*this, *type.element, true};
        type.visit(from, &state, [](void* opaque, const std::string* key, const void* element) {
            auto& [self, element_type, first] = *static_cast<context*>(opaque);
            if (!first) self.out_ += ',';
            first = false;
            if (key != nullptr) {
                append_json_string(self.out_, *key);
                self.out_ += ':';
            }
            self.value(element_type, element);
        });
    }

    std::string& out_;
    const time_unit* unit_;
};

}  // namespace

void write_json(std::string& out, const text_type& type, const void* from, const time_unit* unit) {
    writer(out, unit).value(type, from);
}

}  // namespace runnel::detail
