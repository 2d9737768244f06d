// A schema's text, by simdjson's tree: schemas come once for many records.
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "avro_schema.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {
namespace {

namespace dom = simdjson::dom;

constexpr std::array<std::pair<std::string_view, avro_kind>, 8> primitives{{
    {"null", avro_kind::null},
    {"boolean", avro_kind::boolean},
    {"int", avro_kind::int32},
    {"long", avro_kind::int64},
    {"float", avro_kind::float32},
    {"double", avro_kind::float64},
    {"bytes", avro_kind::bytes},
    {"string", avro_kind::string},
}};

[[noreturn]] void refuse(const std::string& why) { throw decode_error("not an Avro schema: " + why); }

class schema_parser {
public:
    explicit schema_parser(avro_schema& into) : into_(into) {}

    std::size_t type(dom::element e, const std::string& space, int depth) {
        if (depth > avro_max_depth) refuse("it is nested deeper than " + std::to_string(avro_max_depth) + " levels");
        std::string_view name;
        if (!e.get(name)) return named(name, space);
        dom::array branches;
        if (!e.get(branches)) return choice(branches, space, depth);
        dom::object o;
        if (e.get(o)) refuse("a type is a name, an object or an array");
        dom::element inner;
        if (o["type"].get(inner)) refuse("an object without \"type\"");
        // {"type": {"type": ...}}: the inner one says all.
        if (inner.get(name)) return type(inner, space, depth + 1);
        if (name == "record" || name == "error") return record(o, space, depth);
        if (name == "enum") return enumeration(o, space);
        if (name == "fixed") return fixed(o, space);
        if (name == "array") return container(avro_kind::array, o, "items", space, depth);
        if (name == "map") return container(avro_kind::map, o, "values", space, depth);
        const std::size_t at = named(name, space);
        std::string_view logical;
        if (into_.nodes[at].name.empty() && !o["logicalType"].get(logical)) into_.nodes[at].logical = logical;
        return at;
    }

private:
    std::size_t add(avro_node n) {
        into_.nodes.push_back(std::move(n));
        return into_.nodes.size() - 1;
    }
    std::size_t named(std::string_view name, const std::string& space) {
        for (const auto& [known, kind] : primitives)
            if (name == known) return add({kind});
        if (!space.empty() && name.find('.') == name.npos)
            if (const auto at = names_.find(space + '.' + std::string(name)); at != names_.end()) return at->second;
        if (const auto at = names_.find(std::string(name)); at != names_.end()) return at->second;
        refuse("it does not define \"" + std::string(name) + "\". Schemas that refer to others are not offered");
    }
    /// A record, enum or fixed: known by its name from here on. Gives its namespace, too.
    std::pair<std::size_t, std::string> define(avro_kind kind, dom::object o, const std::string& outer) {
        std::string_view name, given;
        if (o["name"].get(name) || name.empty()) refuse("a record, enum or fixed without a name");
        std::string space = outer;
        if (!o["namespace"].get(given)) space = given;
        if (const std::size_t dot = name.rfind('.'); dot != name.npos) {
            space = name.substr(0, dot);
            name.remove_prefix(dot + 1);
        }
        std::string whole = space.empty() ? std::string(name) : space + '.' + std::string(name);
        const std::size_t at = add({kind, whole});
        if (!names_.emplace(whole, at).second) refuse("\"" + whole + "\" is defined twice");
        std::string_view logical;
        if (!o["logicalType"].get(logical)) into_.nodes[at].logical = logical;
        return {at, std::move(space)};
    }

    std::size_t record(dom::object o, const std::string& outer, int depth) {
        const auto [at, space] = define(avro_kind::record, o, outer);
        dom::array fields;
        if (o["fields"].get(fields)) refuse("record \"" + into_.nodes[at].name + "\" without fields");
        std::map<std::string_view, bool> seen;
        for (const dom::element e : fields) {
            dom::object field;
            std::string_view name;
            dom::element of;
            if (e.get(field) || field["name"].get(name) || field["type"].get(of))
                refuse("a field of \"" + into_.nodes[at].name + "\" has no name or no type");
            if (!seen.emplace(name, true).second)
                refuse("field \"" + std::string(name) + "\" of \"" + into_.nodes[at].name + "\" comes twice");
            const std::size_t part = type(of, space, depth + 1);
            into_.nodes[at].names.emplace_back(name);
            into_.nodes[at].parts.push_back(part);
        }
        return at;
    }
    std::size_t enumeration(dom::object o, const std::string& outer) {
        const std::size_t at = define(avro_kind::enumeration, o, outer).first;
        dom::array symbols;
        if (o["symbols"].get(symbols)) refuse("enum \"" + into_.nodes[at].name + "\" without symbols");
        for (const dom::element e : symbols) {
            std::string_view symbol;
            if (e.get(symbol)) refuse("a symbol of \"" + into_.nodes[at].name + "\" is not a name");
            into_.nodes[at].names.emplace_back(symbol);
        }
        return at;
    }
    std::size_t fixed(dom::object o, const std::string& outer) {
        const std::size_t at = define(avro_kind::fixed, o, outer).first;
        std::uint64_t size = 0;
        if (o["size"].get(size)) refuse("fixed \"" + into_.nodes[at].name + "\" without a size");
        into_.nodes[at].size = size;
        return at;
    }
    std::size_t container(avro_kind kind, dom::object o, const char* of, const std::string& space, int depth) {
        dom::element e;
        if (o[of].get(e)) refuse("an " + std::string(kind == avro_kind::array ? "array" : "map") + " without " + of);
        const std::size_t part = type(e, space, depth + 1);
        return add({.kind = kind, .parts = {part}});
    }
    std::size_t choice(dom::array branches, const std::string& space, int depth) {
        avro_node n{avro_kind::choice};
        for (const dom::element e : branches) {
            const std::size_t part = type(e, space, depth + 1);
            if (into_.nodes[part].kind == avro_kind::choice) refuse("a union in a union");
            n.parts.push_back(part);
        }
        return add(std::move(n));
    }

    avro_schema& into_;
    std::map<std::string, std::size_t> names_;
};

}  // namespace

avro_schema parse_avro_schema(std::string_view json) {
    dom::parser parser;
    dom::element root;
    // The bare name of a type, as registries may give it, is taken for text in quotes.
    const bool is_bare = !json.empty() && json.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == json.npos;
    const std::string quoted = is_bare ? '"' + std::string(json) + '"' : std::string(json);
    if (const auto failure = parser.parse(quoted).get(root)) refuse(simdjson::error_message(failure));
    avro_schema schema;
    schema.root = schema_parser(schema).type(root, {}, 0);
    return schema;
}

std::string avro_name(const avro_node& n) {
    switch (n.kind) {
        case avro_kind::fixed: return "fixed " + n.name;
        case avro_kind::enumeration: return "enum " + n.name;
        case avro_kind::array: return "array";
        case avro_kind::map: return "map";
        case avro_kind::record: return "record " + n.name;
        case avro_kind::choice: return "union";
        default: break;
    }
    const auto is_it = [&](const auto& p) { return p.second == n.kind; };
    const auto at = std::find_if(primitives.begin(), primitives.end(), is_it);
    return std::string(at->first) + (n.logical.empty() ? "" : " (" + n.logical + ")");
}

}  // namespace runnel::detail
