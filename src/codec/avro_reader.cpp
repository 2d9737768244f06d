// Reads Avro's binary encoding by a plan: what each type of the writer's schema is made into, or that it is read over.
// So Avro's schema resolution is done once per pair of types, and values go from the bytes into their places.
//
// Why not by the C library: the resolver of avro-c 1.11 knows no defaults (a field that the writer lacks is an error),
// wants records to have the same names, and its schemas forget logical types, so that microseconds would be taken for
// milliseconds; and it allocates what a string's length says before it looks what is there: 1 GB for six bytes. The
// tests have it as the judge of what is written and read here.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "avro_schema.hpp"
#include "runnel/codec/avro.hpp"
#include "runnel/codec/utf8.hpp"
#include "runnel/core/error.hpp"
#include "text_value.hpp"
#include "value_place.hpp"

namespace runnel::detail {

namespace {

/// What is done with a value of the schema.
enum class avro_act : unsigned char {
    skip,
    boolean, integer, floating, time, text, byte_list, enumeration, list, map, record,
    none,        ///< null for an optional
    some,        ///< any other for an optional
    choice,
    impossible,  ///< It cannot become what is wanted: an error if it comes.
};

struct avro_step {
    avro_act act = avro_act::skip;
    const avro_node* from = nullptr;
    const text_type* to = nullptr;
    std::vector<std::size_t> parts = {};              ///< Of fields, branches, items or values.
    std::vector<const text_member*> members = {};     ///< Of fields; null: read over.
    std::vector<std::string> names = {};              ///< Of fields.
    std::vector<const text_enumerator*> symbols = {};
    time_unit unit = time_unit::milliseconds;
    std::string problem = {};
};

std::string name_of(const text_type& type) {
    switch (type.kind) {
        case text_kind::boolean: return "a bool";
        case text_kind::float32: return "a float";
        case text_kind::float64: return "a double";
        case text_kind::string: return "a string";
        case text_kind::time: return "a timestamp";
        case text_kind::enumeration: return "an enum";
        case text_kind::optional: return name_of(*type.element);
        case text_kind::list: return "a list";
        case text_kind::tuple: return "a tuple";
        case text_kind::object: return "a struct";
        case text_kind::map: return "a map";
        default: return "an integer " + range_of(type.kind);
    }
}

bool is_number(avro_kind k) { return k >= avro_kind::int32 && k <= avro_kind::float64; }
bool is_integer(avro_kind k) { return k == avro_kind::int32 || k == avro_kind::int64; }
bool is_bytes(avro_kind k) { return k >= avro_kind::bytes && k <= avro_kind::fixed; }

constexpr std::string_view date = "date";

}  // namespace

class avro_plan {
public:
    avro_schema schema;
    std::vector<avro_step> steps;
    std::size_t root = 0;
    avro_options options;

    /// The step for a type of the schema that is to become `to`; null: read over.
    std::size_t match(std::size_t node, const text_type* to, int depth) {
        if (depth > avro_max_depth)
            throw decode_error("the schema is nested deeper than " + std::to_string(avro_max_depth) + " levels");
        const auto [known, is_new] = known_.emplace(std::pair(node, to), steps.size());
        const std::size_t at = known->second;
        if (!is_new) {
            if (steps[at].act == avro_act::impossible) throw decode_error(steps[at].problem);
            return at;
        }
        steps.push_back({.from = &schema.nodes[node], .to = to});
        try {
            // Made aside: the steps move while parts are added.
            avro_step s = to == nullptr ? over(node, depth) : make(node, *to, depth);
            steps[at] = std::move(s);
        } catch (const decode_error& e) {
            steps[at].act = avro_act::impossible;
            steps[at].problem = e.what();
            throw;
        }
        return at;
    }

private:
    avro_step over(std::size_t node, int depth) {
        avro_step s{.from = &schema.nodes[node]};
        for (const std::size_t part : s.from->parts) s.parts.push_back(match(part, nullptr, depth + 1));
        return s;
    }

    avro_step make(std::size_t node, const text_type& to, int depth) {
        avro_step s{.from = &schema.nodes[node], .to = &to};
        const avro_node& from = *s.from;
        if (from.kind == avro_kind::choice) return choose(std::move(s), depth);
        if (to.kind == text_kind::optional) {
            s.act = from.kind == avro_kind::null ? avro_act::none : avro_act::some;
            if (s.act == avro_act::some) s.parts.push_back(match(node, to.element, depth + 1));
            return s;
        }
        if (from.kind == avro_kind::boolean && to.kind == text_kind::boolean) {
            s.act = avro_act::boolean;
        } else if (is_integer(from.kind) && detail::is_integer(to.kind)) {
            s.act = avro_act::integer;
        } else if (is_number(from.kind) && from.kind != avro_kind::float64 && to.kind == text_kind::float32) {
            s.act = avro_act::floating;
        } else if (is_number(from.kind) && to.kind == text_kind::float64) {
            s.act = avro_act::floating;
        } else if (is_integer(from.kind) && to.kind == text_kind::time && !from.logical.starts_with("time-")) {
            s.act = avro_act::time;
            s.unit = unit_of(from);
        } else if (is_bytes(from.kind) && to.kind == text_kind::string) {
            s.act = avro_act::text;
        } else if ((from.kind == avro_kind::bytes || from.kind == avro_kind::fixed) && to.kind == text_kind::list &&
                   to.element->kind == text_kind::uint8) {
            s.act = avro_act::byte_list;
        } else if (from.kind == avro_kind::enumeration && to.kind == text_kind::enumeration) {
            s.act = avro_act::enumeration;
            for (const std::string& symbol : from.names) s.symbols.push_back(find_name(to, symbol));
        } else if (from.kind == avro_kind::array && to.kind == text_kind::list) {
            s.act = avro_act::list;
            s.parts.push_back(match(from.parts[0], to.element, depth + 1));
        } else if (from.kind == avro_kind::map && to.kind == text_kind::map) {
            s.act = avro_act::map;
            s.parts.push_back(match(from.parts[0], to.element, depth + 1));
        } else if (from.kind == avro_kind::record && (to.kind == text_kind::object || to.kind == text_kind::tuple)) {
            return fields(std::move(s), depth);
        } else {
            throw decode_error("the schema has " + avro_name(from) + " where " + name_of(to) + " is wanted");
        }
        return s;
    }

    time_unit unit_of(const avro_node& from) const {
        if (from.logical.ends_with("timestamp-millis")) return time_unit::milliseconds;
        if (from.logical.ends_with("timestamp-micros")) return time_unit::microseconds;
        if (from.logical.ends_with("timestamp-nanos")) return time_unit::nanoseconds;
        return options.unit;
    }

    avro_step choose(avro_step s, int depth) {
        s.act = avro_act::choice;
        // One branch must fit, and null alone does not count where there are others.
        bool fits = false, null_fits = false, is_null = true;
        std::string problem = "the schema has an empty union";
        for (const std::size_t branch : s.from->parts) {
            const bool null = schema.nodes[branch].kind == avro_kind::null;
            if (!null && is_null) problem.clear();
            is_null = is_null && null;
            try {
                s.parts.push_back(match(branch, s.to, depth + 1));
                (null ? null_fits : fits) = true;
            } catch (const decode_error& e) {
                s.parts.push_back(known_.at({branch, s.to}));
                if (problem.empty() || is_null) problem = e.what();
            }
        }
        if (!fits && !(is_null && null_fits)) throw decode_error(problem);
        return s;
    }

    avro_step fields(avro_step s, int depth) {
        s.act = avro_act::record;
        const text_type& to = *s.to;
        std::vector<bool> found(to.count);
        for (std::size_t i = 0; i != s.from->names.size(); ++i) {
            const std::string& name = s.from->names[i];
            std::size_t m = 0;
            while (m != to.count && avro_field_name(to, m) != name) ++m;
            const text_member* const member = m == to.count ? nullptr : &to.members[m];
            if (member != nullptr) found[m] = true;
            try {
                s.parts.push_back(match(s.from->parts[i], member ? member->type : nullptr, depth + 1));
            } catch (const decode_error& e) {
                throw decode_error("field '" + name + "': " + e.what());
            }
            s.members.push_back(member);
            s.names.push_back(name);
        }
        for (std::size_t m = 0; m != to.count; ++m)
            if (!found[m] && !options.keep_missing && to.members[m].type->kind != text_kind::optional)
                throw decode_error("the schema's " + avro_name(*s.from) + " has no field '" + avro_field_name(to, m) +
                                   "'. Make it a std::optional, or set avro_options::keep_missing");
        return s;
    }

    std::map<std::pair<std::size_t, const text_type*>, std::size_t> known_;
};

namespace {

class reader {
public:
    reader(const avro_plan& plan, std::string_view bytes)
        : plan_(plan), bytes_(bytes), empties_(1024 + 64 * static_cast<std::uint64_t>(bytes.size())) {}

    void document(void* into) {
        value(plan_.root, into, 0);
        if (at_ != bytes_.size()) fail("the value has ended, and more follows");
    }

private:
    class inside {
    public:
        inside(reader& of, value_place p) : of_(of), here_(p) { of_.place_ = &here_; }
        ~inside() { of_.place_ = here_.outer; }
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;

    private:
        reader& of_;
        value_place here_;
    };

    [[noreturn, gnu::cold, gnu::noinline]] void fail(const std::string& why) const {
        throw decode_error(at_place(at_ + 1, place_, why));
    }

    std::size_t rest() const noexcept { return bytes_.size() - at_; }
    /// Variable length, seven bits in a byte, the lowest first; the lowest bit is the sign.
    std::int64_t number() {
        std::uint64_t bits = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (at_ == bytes_.size()) fail("the bytes end in a number");
            const auto byte = static_cast<unsigned char>(bytes_[at_++]);
            if (shift == 63 && byte > 1) break;
            bits |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return static_cast<std::int64_t>(bits >> 1) ^ -static_cast<std::int64_t>(bits & 1);
        }
        fail("a number has more than 64 bits");
    }
    std::int64_t integer(const avro_node& from) {
        const std::int64_t n = number();
        if (from.kind == avro_kind::int32 && n != static_cast<std::int32_t>(n)) fail("an int has more than 32 bits");
        return n;
    }
    std::string_view take(std::uint64_t size) {
        if (size > rest())
            fail(std::to_string(size) + " bytes are said to follow, and " + std::to_string(rest()) + " do");
        at_ += size;
        return bytes_.substr(at_ - size, size);
    }
    std::string_view sized() {
        const std::int64_t size = number();
        if (size < 0) fail("a length is negative");
        return take(static_cast<std::uint64_t>(size));
    }
    template <class Float, class Bits>
    Float floating() {
        const std::string_view bytes = take(sizeof(Bits));
        Bits bits = 0;
        for (std::size_t i = sizeof bits; i-- != 0;)
            bits = static_cast<Bits>(bits << 8) | static_cast<unsigned char>(bytes[i]);
        return std::bit_cast<Float>(bits);
    }
    template <class T>
    static void store(void* into, T value) {
        std::memcpy(into, &value, sizeof value);
    }

    void value(std::size_t step, void* into, int depth) {
        if (depth > avro_max_depth) fail("nested deeper than " + std::to_string(avro_max_depth) + " levels");
        const std::size_t before = at_;
        act(plan_.steps[step], into, depth);
        // What takes no bytes could come without end.
        if (at_ == before && empties_-- == 0) fail("too many values that take no bytes");
    }

    void act(const avro_step& s, void* into, int depth) {
        switch (s.act) {
            case avro_act::skip: return skip(s, depth);
            case avro_act::boolean: return store(into, boolean());
            case avro_act::integer: return integer(s, into);
            case avro_act::floating:
                if (s.to->kind == text_kind::float32) return store(into, as_float<float>(*s.from));
                return store(into, as_float<double>(*s.from));
            case avro_act::time: return time(s, into);
            case avro_act::text: return text(s, *static_cast<std::string*>(into));
            case avro_act::byte_list:
                s.to->clear(into);
                for (const char c : s.from->kind == avro_kind::fixed ? take(s.from->size) : sized())
                    store(s.to->add(into), static_cast<std::uint8_t>(c));
                return;
            case avro_act::enumeration: {
                const std::size_t n = index(s.symbols.size(), "symbol");
                if (s.symbols[n] == nullptr)
                    fail("the symbol " + excerpt(s.from->names[n]) + " is not " + names_of(*s.to));
                return store_enumerator(*s.to, *s.symbols[n], into);
            }
            case avro_act::list:
                s.to->clear(into);
                return blocks(false, [&](std::uint64_t i) {
                    const inside at(*this, {place_, {}, i});
                    value(s.parts[0], s.to->add(into), depth + 1);
                });
            case avro_act::map:
                s.to->clear(into);
                return blocks(false, [&](std::uint64_t) {
                    const std::string_view key = sized();
                    if (!is_valid_utf8(key)) fail("a key is not UTF-8");
                    void* const element = s.to->insert(into, key);
                    const inside at(*this, {place_, key.empty() ? std::string_view("''") : key});
                    if (element == nullptr) fail("the key comes twice");
                    value(s.parts[0], element, depth + 1);
                });
            case avro_act::record:
                for (std::size_t i = 0; i != s.parts.size(); ++i) {
                    const inside at(*this, {place_, s.names[i]});
                    value(s.parts[i], s.members[i] ? s.members[i]->at(into) : nullptr, depth + 1);
                }
                return;
            case avro_act::none: return s.to->clear(into);
            case avro_act::some: return value(s.parts[0], s.to->add(into), depth + 1);
            case avro_act::choice: return value(s.parts[index(s.parts.size(), "branch")], into, depth + 1);
            case avro_act::impossible: fail(s.problem);
        }
    }

    bool boolean() {
        const char c = take(1)[0];
        if (c != 0 && c != 1) fail("a boolean is neither 0 nor 1");
        return c == 1;
    }
    std::size_t index(std::size_t count, const char* what) {
        const std::int64_t n = number();
        if (n < 0 || static_cast<std::uint64_t>(n) >= count)
            fail(what + (" " + std::to_string(n)) + " of " + std::to_string(count));
        return static_cast<std::size_t>(n);
    }
    void integer(const avro_step& s, void* into) {
        const std::int64_t n = integer(*s.from);
        const auto magnitude = n < 0 ? 0 - static_cast<std::uint64_t>(n) : static_cast<std::uint64_t>(n);
        if (!store_integer({integer_text::status::ok, n < 0, magnitude}, s.to->kind, into))
            fail(std::to_string(n) + " is not an integer " + range_of(s.to->kind));
    }
    template <class Float>
    Float as_float(const avro_node& from) {
        if (from.kind == avro_kind::float32) return static_cast<Float>(floating<float, std::uint32_t>());
        if (from.kind == avro_kind::float64) return static_cast<Float>(floating<double, std::uint64_t>());
        return static_cast<Float>(integer(from));
    }
    void time(const avro_step& s, void* into) {
        std::int64_t n = integer(*s.from);
        time_unit unit = s.unit;
        if (s.from->logical == date && s.from->kind == avro_kind::int32) {
            n *= 86'400;  // No overflow: days have 32 bits.
            unit = time_unit::seconds;
        }
        const std::optional<timestamp> t = to_timestamp(n, unit);
        if (!t) fail(std::to_string(n) + " " + std::string(to_string(unit)) + " lie outside of the years 1677 to 2262");
        store(into, *t);
    }
    void text(const avro_step& s, std::string& into) {
        const std::string_view bytes = s.from->kind == avro_kind::fixed ? take(s.from->size) : sized();
        if (s.from->kind == avro_kind::string && !is_valid_utf8(bytes)) fail("a string is not UTF-8");
        into = bytes;
    }
    /// `f` reads an item, or a key and its value. Blocks that tell their size may be passed over as a whole.
    template <class F>
    void blocks(bool over, F f) {
        for (std::uint64_t i = 0;;) {
            const std::int64_t count = number();
            if (count == 0) return;
            std::uint64_t items = static_cast<std::uint64_t>(count);
            if (count < 0) {
                items = 0 - items;
                const std::int64_t size = number();
                if (size < 0) fail("a length is negative");
                if (static_cast<std::uint64_t>(size) > rest()) (void)take(static_cast<std::uint64_t>(size));
                if (over) {
                    (void)take(static_cast<std::uint64_t>(size));
                    continue;
                }
            }
            for (; items != 0; --items) f(i++);
        }
    }

    void skip(const avro_step& s, int depth) {
        switch (s.from->kind) {
            case avro_kind::null: return;
            case avro_kind::boolean: (void)boolean(); return;
            case avro_kind::int32:
            case avro_kind::int64: (void)integer(*s.from); return;
            case avro_kind::float32: (void)take(4); return;
            case avro_kind::float64: (void)take(8); return;
            case avro_kind::bytes:
            case avro_kind::string: (void)sized(); return;
            case avro_kind::fixed: (void)take(s.from->size); return;
            case avro_kind::enumeration: (void)index(s.from->names.size(), "symbol"); return;
            case avro_kind::array:
                return blocks(true, [&](std::uint64_t) { value(s.parts[0], nullptr, depth + 1); });
            case avro_kind::map:
                return blocks(true, [&](std::uint64_t) {
                    (void)sized();
                    value(s.parts[0], nullptr, depth + 1);
                });
            case avro_kind::record:
                for (const std::size_t part : s.parts) value(part, nullptr, depth + 1);
                return;
            case avro_kind::choice:
                return value(s.parts[index(s.parts.size(), "branch")], nullptr, depth + 1);
        }
    }

    const avro_plan& plan_;
    const std::string_view bytes_;
    std::size_t at_ = 0;
    std::uint64_t empties_;
    const value_place* place_ = nullptr;
};

}  // namespace

std::shared_ptr<const avro_plan> plan_avro(std::string_view schema, const text_type& type,
                                           const avro_options& options) {
    auto plan = std::make_shared<avro_plan>();
    plan->schema = parse_avro_schema(schema);
    plan->options = options;
    plan->root = plan->match(plan->schema.root, &type, 0);
    return plan;
}

void read_avro(const avro_plan& plan, std::string_view bytes, void* into) { reader(plan, bytes).document(into); }

}  // namespace runnel::detail
