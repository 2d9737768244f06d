// How JSON is read: simdjson's first stage finds all tokens of a text at once (vectorised; it also checks UTF-8 and
// that strings are closed), and the walk over these tokens below fills the object from its table.
//
// Measured with bench/json_parsers.cpp on {"user":"u123","page":"/a","at":1700000000000}, one small struct per line,
// AMD EPYC, g++ 12 -O3; ns per line at 51 and at 201 bytes:
//   tokens by simdjson 3.0.1 and a walk (this)      44     58
//   simdjson on-demand, strings without copy        65     79
//   simdjson on-demand, get_string                  78    111
//   Boost.JSON 1.81, events                         68     72
//   simdjson, tree                                  67     81
//   Boost.JSON, tree                               124    134
// The walk is strict where on-demand is lenient (unknown members, text behind the end), knows the byte of each error,
// and never reads behind the text, so lines need neither padding nor a copy.

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "runnel/codec/json.hpp"
#include "runnel/codec/utf8.hpp"
#include "runnel/core/error.hpp"
#include "text_value.hpp"

namespace runnel::detail {
namespace {

constexpr int max_depth = 256;

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// RFC 8259, section 6.
bool is_number(std::string_view text) noexcept {
    std::size_t i = 0;
    const auto digits = [&] {
        const std::size_t from = i;
        while (i < text.size() && is_digit(text[i])) ++i;
        return i != from;
    };
    if (i < text.size() && text[i] == '-') ++i;
    if (i < text.size() && text[i] == '0') ++i;
    else if (!digits()) return false;
    if (i < text.size() && text[i] == '.' && (++i, !digits())) return false;
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
        if (!digits()) return false;
    }
    return i == text.size();
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto byte = [&](std::uint32_t bits) { out += static_cast<char>(bits); };
    if (code < 0x80) return byte(code);
    if (code < 0x800) {
        byte(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            byte(0xE0 | code >> 12);
        } else {
            byte(0xF0 | code >> 18);
            byte(0x80 | (code >> 12 & 0x3F));
        }
        byte(0x80 | (code >> 6 & 0x3F));
    }
    byte(0x80 | (code & 0x3F));
}

/// Four hexadecimal digits, or a number above 0xFFFF.
std::uint32_t parse_hex4(std::string_view text) noexcept {
    constexpr std::uint32_t bad = 0x10000;
    if (text.size() < 4) return bad;
    std::uint32_t code = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + 4, code, 16);
    return failure == std::errc() && end == text.data() + 4 ? code : bad;
}

/// Appends the text with its escapes resolved. Answers npos, or where a wrong escape starts.
std::size_t unescape(std::string_view text, std::string& out) {
    std::size_t at = 0;
    for (;;) {
        const std::size_t backslash = std::min(text.find('\\', at), text.size());
        out.append(text, at, backslash - at);
        if (backslash == text.size()) return std::string_view::npos;
        at = backslash + 2;
        switch (backslash + 1 < text.size() ? text[backslash + 1] : '\0') {
            case '"': out += '"'; break;
            case '\\': out += '\\'; break;
            case '/': out += '/'; break;
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'u': {
                std::uint32_t code = parse_hex4(text.substr(at));
                if (code > 0xFFFF || (code >= 0xDC00 && code <= 0xDFFF)) return backslash;
                at += 4;
                if (code >= 0xD800 && code <= 0xDBFF) {
                    if (text.substr(at, 2) != "\\u") return backslash;
                    const std::uint32_t low = parse_hex4(text.substr(at + 2));
                    if (low < 0xDC00 || low > 0xDFFF) return backslash;
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    at += 6;
                }
                append_utf8(out, code);
                break;
            }
            default: return backslash;
        }
    }
}

/// Where the first string that is not closed, or holds a control character, goes wrong; for messages only.
std::size_t find_bad_string(std::string_view text) noexcept {
    std::size_t start = std::string_view::npos;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool inside = start != std::string_view::npos;
        if (text[i] == '"') start = inside ? std::string_view::npos : i;
        else if (inside && static_cast<unsigned char>(text[i]) < 0x20) return i;
        else if (inside && text[i] == '\\') ++i;
    }
    return start;
}

/// Goes once over the tokens of a text. A token starts at its index and ends, but for white space, at the next index.
class walker {
public:
    /// `skipped` bytes of the line are in front of `text`.
    walker(std::string_view text, std::size_t skipped, const std::uint32_t* first, std::size_t count, time_unit unit,
           std::string& scratch)
        : text_(text), skipped_(skipped), next_(first), last_(first + count), unit_(unit), scratch_(scratch) {}

    void document(const text_type& type, void* into) {
        value(type, into, 0);
        if (next_ != last_) fail("text follows the end of the value: " + found());
    }

    /// Throws `decode_error`.
    [[noreturn]] void fail_at(std::size_t byte, const std::string& why) const {
        std::string text = "byte " + std::to_string(skipped_ + byte + 1);
        if (const std::string member = path(place_); !member.empty()) text += ", member '" + member + "'";
        throw decode_error(text + ": " + why);
    }

private:
    /// The way from the whole to the value in hand; for messages.
    struct place {
        const place* outer = nullptr;
        std::string_view name = {};
        std::size_t index = 0;
    };
    static std::string path(const place* p) {
        if (p == nullptr) return {};
        std::string text = path(p->outer);
        if (p->name.empty()) return text + '[' + std::to_string(p->index) + ']';
        if (!text.empty()) text += '.';
        return text + excerpt(p->name);
    }

    bool at_end() const noexcept { return next_ == last_; }
    std::size_t position() const noexcept { return at_end() ? text_.size() : *next_; }
    /// First character of the next token; a line break at the end, where no token can start.
    char peek() const noexcept { return at_end() ? '\n' : text_[*next_]; }
    std::string_view token() noexcept {
        const std::size_t start = *next_++;
        std::size_t end = position();
        while (is_space(text_[end - 1])) --end;
        return text_.substr(start, end - start);
    }

    [[noreturn]] void fail(const std::string& why) const { fail_at(position(), why); }
    [[noreturn]] void expected(const std::string& what) const { fail("expected " + what + ", found " + found()); }
    /// The next token in words.
    std::string found() const {
        if (at_end()) return "the end of the line";
        const std::string_view here = walker(*this).token();
        switch (here.front()) {
            case '{': return "an object";
            case '[': return "an array";
            case '"': return "the string " + excerpt(here);
            case '}': case ']': case ',': case ':': return show(here.front());
            default: break;
        }
        for (char c : here)
            if (static_cast<unsigned char>(c) < 0x20) return show(c);
        return excerpt(here);
    }

    void value(const text_type& type, void* into, int depth) {
        switch (type.kind) {
            case text_kind::string: return string(*static_cast<std::string*>(into), "a string");
            case text_kind::object: return object(type, into, depth);
            case text_kind::time: return time(*static_cast<timestamp*>(into));
            case text_kind::boolean: return boolean(*static_cast<bool*>(into));
            case text_kind::float32: return floating<float>(into);
            case text_kind::float64: return floating<double>(into);
            case text_kind::enumeration: return enumeration(type, into);
            case text_kind::optional: return optional(type, into, depth);
            case text_kind::list: return list(type, into, depth);
            case text_kind::tuple: return tuple(type, into, depth);
            case text_kind::map: return map(type, into, depth);
            default: return integer(type.kind, into);
        }
    }

    /// The inside of the string that comes next, escapes as they are.
    std::string_view raw_string(const char* what) {
        if (peek() != '"') expected(what);
        const auto* const here = next_;
        const std::string_view quoted = token();
        if (quoted.size() >= 2 && quoted.back() == '"') [[likely]] return quoted.substr(1, quoted.size() - 2);
        next_ = here;
        expected(what);
    }
    static bool has_escape(std::string_view text) noexcept {
        return std::memchr(text.data(), '\\', text.size()) != nullptr;
    }
    void append_unescaped(std::string_view raw, std::string& into) {
        if (const std::size_t bad = unescape(raw, into); bad != std::string_view::npos)
            fail_at(static_cast<std::size_t>(raw.data() - text_.data()) + bad,
                    "wrong escape in a string: " + excerpt(raw.substr(bad, 6)));
    }
    void string(std::string& into, const char* what) {
        const std::string_view raw = raw_string(what);
        if (!has_escape(raw)) [[likely]] {
            into.assign(raw);
        } else {
            into.clear();
            append_unescaped(raw, into);
        }
    }
    /// The string that comes next; valid until the next one is read.
    std::string_view short_string(const char* what) {
        const std::string_view raw = raw_string(what);
        if (!has_escape(raw)) return raw;
        scratch_.clear();
        append_unescaped(raw, scratch_);
        return scratch_;
    }

    /// The number that comes next, by JSON's grammar.
    std::string_view number(const char* what) {
        const char first = peek();
        if (!is_digit(first) && first != '-') expected(what);
        const auto* const here = next_;
        const std::string_view text = token();
        if (is_number(text)) return text;
        next_ = here;
        fail(excerpt(text) + " is not a number");
    }
    integer_text whole_number(const char* what) {
        const auto* const here = next_;
        const char first = peek();
        if (!is_digit(first) && first != '-') expected(what);
        const std::string_view text = token();
        const integer_text read = parse_integer(text);
        const bool padded = text[read.negative] == '0' && text.size() > read.negative + std::size_t{1};
        if (read.is == integer_text::status::ok && !padded) [[likely]] return read;
        next_ = here;
        number(what);
        if (read.is == integer_text::status::too_large) return read;
        next_ = here;
        expected(what);
    }
    void integer(text_kind kind, void* into) {
        const auto* const here = next_;
        if (store_integer(whole_number("an integer"), kind, into)) [[likely]] return;
        next_ = here;
        expected("an integer " + range_of(kind));
    }
    template <class Float>
    void floating(void* into) {
        const auto* const here = next_;
        if (parse_float<Float>(number("a number"), into) == std::errc()) [[likely]] return;
        next_ = here;
        fail(found() + " is outside of the range of a floating-point number");
    }
    void boolean(bool& into) {
        if (const char first = peek(); first == 't' || first == 'f') {
            const auto* const here = next_;
            const std::string_view text = token();
            into = first == 't';
            if (text == (into ? "true" : "false")) return;
            next_ = here;
        }
        expected("true or false");
    }
    void time(timestamp& into) {
        const auto* const here = next_;
        std::optional<timestamp> t;
        if (peek() == '"') {
            t = parse_timestamp(short_string("a time"), unit_);
        } else {
            std::int64_t count = 0;
            if (store_integer(whole_number("a time (an integer, or ISO 8601 text)"), text_kind::int64, &count))
                t = to_timestamp(count, unit_);
        }
        if (t) [[likely]] {
            into = *t;
            return;
        }
        next_ = here;
        fail(found() + " is not a time: neither an integer of " + std::string(to_string(unit_)) +
             " nor ISO 8601, or outside of the years 1677 to 2262");
    }
    void enumeration(const text_type& type, void* into) {
        const auto* const here = next_;
        const text_enumerator* e = nullptr;
        if (peek() == '"') {
            e = find_name(type, short_string("a name"));
        } else if (is_digit(peek()) || peek() == '-') {
            std::int64_t n = 0;
            const integer_text read = whole_number("an integer");
            if (store_integer(read, type.element->kind, &n)) e = find_value(type, load_integer(type.element->kind, &n));
        }
        if (e == nullptr) {
            next_ = here;
            expected(names_of(type));
        }
        store_enumerator(type, *e, into);
    }
    bool null() {
        if (peek() != 'n') return false;
        const auto* const here = next_;
        if (token() == "null") return true;
        next_ = here;
        return false;
    }
    void optional(const text_type& type, void* into, int depth) {
        if (null()) type.clear(into);
        else value(*type.element, type.add(into), depth);
    }

    void open(char bracket, const char* what, int depth) {
        if (peek() != bracket) expected(what);
        if (depth >= max_depth) fail("nested deeper than " + std::to_string(max_depth) + " levels");
        ++next_;
    }
    /// After an element: true if another one follows.
    bool more(char close, const char* what) {
        const char c = peek();
        if (c != ',' && c != close) expected(what);
        ++next_;
        return c == ',';
    }
    bool closes(char close) {
        if (peek() != close) return false;
        ++next_;
        return true;
    }
    void colon() {
        if (peek() != ':') expected("':' behind the name of a member");
        ++next_;
    }

    /// Whether the quoted text at `start` is exactly `name`, which holds neither quote nor backslash.
    bool is_name(std::size_t start, std::string_view name) const noexcept {
        return text_.size() - start > name.size() + 1 && text_[start + 1 + name.size()] == '"' &&
               std::memcmp(text_.data() + start + 1, name.data(), name.size()) == 0;
    }
    /// Consumes the name of a member; its index in the type, or the count if it is unknown.
    std::size_t member_index(const text_type& type, std::size_t guess) {
        if (peek() != '"') expected("the name of a member");
        if (guess < type.count && is_name(*next_, type.members[guess].name)) [[likely]] {
            ++next_;
            return guess;
        }
        const std::string_view name = short_string("the name of a member");
        std::size_t i = 0;
        while (i < type.count && type.members[i].name != name) ++i;
        return i;
    }
    void object(const text_type& type, void* into, int depth) {
        open('{', "an object", depth);
        place here{place_};
        std::uint64_t seen = 0;
        if (!closes('}')) {
            std::size_t guess = 0;
            do {
                const auto* const at = next_;
                const std::size_t i = member_index(type, guess);
                colon();
                if (i == type.count) {
                    skip(depth + 1);
                    continue;
                }
                const text_member& member = type.members[i];
                here.name = member.name;
                place_ = &here;
                if ((seen >> i & 1) != 0) fail_at(*at, "occurs twice");
                seen |= std::uint64_t{1} << i;
                value(*member.type, member.at(into), depth + 1);
                place_ = here.outer;
                guess = i + 1;
            } while (more('}', "',' or '}'"));
        }
        for (std::size_t i = 0; i < type.count; ++i) {
            if ((seen >> i & 1) != 0) [[likely]] continue;
            const text_member& member = type.members[i];
            here.name = member.name;
            if (member.type->kind != text_kind::optional)
                throw decode_error("member '" + path(&here) + "' is missing");
            member.type->clear(member.at(into));
        }
    }
    void list(const text_type& type, void* into, int depth) {
        open('[', "an array", depth);
        type.clear(into);
        if (closes(']')) return;
        place here{place_};
        place_ = &here;
        do {
            value(*type.element, type.add(into), depth + 1);
            ++here.index;
        } while (more(']', "',' or ']'"));
        place_ = here.outer;
    }
    void tuple(const text_type& type, void* into, int depth) {
        const std::string what = "an array of " + std::to_string(type.count) + " values";
        const auto* const start = next_;
        open('[', what.c_str(), depth);
        place here{place_};
        if (!closes(']')) {
            place_ = &here;
            do {
                if (here.index == type.count) expected("no more than " + std::to_string(type.count) + " values");
                value(*type.members[here.index].type, type.members[here.index].at(into), depth + 1);
                ++here.index;
            } while (more(']', "',' or ']'"));
            place_ = here.outer;
        }
        if (here.index != type.count) fail_at(*start, "expected " + what + ", found " + std::to_string(here.index));
    }
    void map(const text_type& type, void* into, int depth) {
        open('{', "an object", depth);
        type.clear(into);
        if (closes('}')) return;
        place here{place_};
        do {
            const auto* const at = next_;
            std::string key;
            string(key, "the name of a member");
            colon();
            here.name = key;
            place_ = &here;
            void* const element = type.insert(into, key);
            if (element == nullptr) fail_at(*at, "occurs twice");
            value(*type.element, element, depth + 1);
            place_ = here.outer;
        } while (more('}', "',' or '}'"));
    }

    /// Checks and leaves out a value that nobody asked for.
    void skip(int depth) {
        switch (peek()) {
            case '"': short_string("a string"); return;
            case '{':
                open('{', "an object", depth);
                if (closes('}')) return;
                do {
                    short_string("the name of a member");
                    colon();
                    skip(depth + 1);
                } while (more('}', "',' or '}'"));
                return;
            case '[':
                open('[', "an array", depth);
                if (closes(']')) return;
                do skip(depth + 1);
                while (more(']', "',' or ']'"));
                return;
            case 't': case 'f': {
                bool ignored = false;
                return boolean(ignored);
            }
            case 'n':
                if (null()) return;
                [[fallthrough]];
            default: number("a value");
        }
    }

    std::string_view text_;
    std::size_t skipped_;
    const std::uint32_t* next_;
    const std::uint32_t* last_;
    time_unit unit_;
    std::string& scratch_;
    const place* place_ = nullptr;
};

}  // namespace

struct json_reader::parser {
    explicit parser(time_unit t) : unit(t) {
        // The portable implementation looks up to three bytes behind a text that ends within a character.
        copies = simdjson::get_active_implementation()->name() == "fallback";
    }

    void reserve(std::size_t size) {
        if (index && size <= index->capacity()) return;
        const std::size_t capacity = std::max<std::size_t>({size, 1024, index ? index->capacity() * 2 : 0});
        index.reset();
        if (simdjson::get_active_implementation()->create_dom_parser_implementation(
                std::min(capacity, simdjson::SIMDJSON_MAXSIZE_BYTES), 1, index) != simdjson::SUCCESS)
            throw std::bad_alloc();
    }

    time_unit unit;
    bool copies = false;
    std::unique_ptr<simdjson::internal::dom_parser_implementation> index;
    std::string scratch;
    std::string copy;
};

json_reader::json_reader(time_unit unit) : parser_(std::make_unique<parser>(unit)) {}
json_reader::json_reader(json_reader&&) noexcept = default;
json_reader& json_reader::operator=(json_reader&&) noexcept = default;
json_reader::~json_reader() = default;

void json_reader::read(std::string_view text, const text_type& type, void* into) {
    parser& p = *parser_;
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (text.size() > simdjson::SIMDJSON_MAXSIZE_BYTES) throw decode_error("longer than 4 GB");
    p.reserve(text.size());
    std::string_view body = text;
    if (p.copies) {
        p.copy.assign(text).append(simdjson::SIMDJSON_PADDING, ' ');
        body = std::string_view(p.copy).substr(0, text.size());
    }
    const std::size_t mark = body.substr(0, 3) == byte_order_mark ? 3 : 0;
    if (mark != 0) body.remove_prefix(mark);
    const auto status = p.index->stage1(reinterpret_cast<const std::uint8_t*>(body.data()), body.size(),
                                        simdjson::stage1_mode::regular);
    walker walk(body, mark, p.index->structural_indexes.get(), p.index->n_structural_indexes, p.unit, p.scratch);
    switch (status) {
        case simdjson::SUCCESS: return walk.document(type, into);
        case simdjson::EMPTY: throw decode_error("the line is empty");
        case simdjson::UTF8_ERROR: walk.fail_at(valid_utf8_prefix(body), "not UTF-8");
        case simdjson::UNCLOSED_STRING: walk.fail_at(find_bad_string(body), "the string that starts here does not end");
        case simdjson::UNESCAPED_CHARS:
            walk.fail_at(find_bad_string(body), "control character inside a string; write it as an escape");
        default: throw decode_error(std::string("not JSON: ") + simdjson::error_message(status));
    }
}

}  // namespace runnel::detail
