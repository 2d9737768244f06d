// How JSON is read: simdjson's first stage finds the tokens of a text (vectorised; it also checks UTF-8 and that
// strings are closed), and the walk over these tokens below fills the object from its table. The first stage may look
// through a whole block of lines at once, which saves most of its cost on short lines.
//
// Measured with bench/json_parsers.cpp, {"user":"u123","page":"/a","at":1700000000000} and the same with a page of 150
// bytes, on an AMD EPYC with g++ 12 -O3; best of 11 rounds, ns per line at 51 and at 201 bytes:
//   this, in prepared blocks of 32 KB               51     64
//   this, line by line                              64     74
//   simdjson 3.0.1 on-demand, strings not copied    65     76
//   simdjson on-demand, get_string                  82     95
//   simdjson, tree                                  69     75
//   Boost.JSON 1.81, events                         68     72
//   Boost.JSON, tree                               123    132
// Beside the speed: the walk is strict where on-demand is lenient (unknown members, text behind the end), knows the
// byte of each error, rounds numbers correctly where Boost.JSON 1.81 does not, and never reads behind the text, so
// that lines need neither padding nor a copy. The price: the first stage is an inner interface of simdjson.

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "runnel/codec/json.hpp"
#include "runnel/codec/utf8.hpp"
#include "runnel/core/error.hpp"
#include "json_text.hpp"
#include "text_value.hpp"
#include "value_place.hpp"

namespace runnel::detail {
namespace {

constexpr int max_depth = 256;

/// Names are a few bytes long, and a call of memcmp costs more than they do.
bool same_bytes(const char* a, const char* b, std::size_t size) noexcept {
    const auto differ = [&]<class Word>(std::size_t at, Word x) {
        Word y = 0;
        std::memcpy(&x, a + at, sizeof x);
        std::memcpy(&y, b + at, sizeof y);
        return x != y;
    };
    std::size_t at = 0;
    for (; at + 8 <= size; at += 8)
        if (differ(at, std::uint64_t{})) return false;
    if ((size & 4) != 0) {
        if (differ(at, std::uint32_t{})) return false;
        at += 4;
    }
    for (; at < size; ++at)
        if (a[at] != b[at]) return false;
    return true;
}

/// Goes once over the tokens of a text. A token starts at its index and ends, but for white space, at the next index.
class walker {
public:
    /// The line is `text` from byte `start` on. `next` is its first token; the one behind its last is at the end of the
    /// text or later.
    walker(std::string_view text, std::size_t start, const std::uint32_t* next, time_unit unit, std::string& scratch)
        : text_(text), start_(start), next_(next), unit_(unit), scratch_(scratch) {}

    void document(const text_type& type, void* into) {
        if (peek() == '\xEF') skip_byte_order_mark();
        if (at_end()) throw decode_error("the line is empty");
        value(type, into, 0);
        if (!at_end()) fail("text follows the end of the value: " + found());
    }

    /// Throws `decode_error`.
    [[noreturn, gnu::cold, gnu::noinline]] void fail_at(std::size_t byte, const std::string& why) const {
        throw decode_error(at_place(byte - start_ + 1, place_, why));
    }

private:
    bool at_end() const noexcept { return *next_ >= text_.size(); }
    std::size_t position() const noexcept { return std::min<std::size_t>(*next_, text_.size()); }
    /// First character of the next token; a line break at the end, where no token can start.
    char peek() const noexcept { return at_end() ? '\n' : text_[*next_]; }
    std::string_view token() noexcept {
        const std::size_t start = *next_++;
        std::size_t end = position();
        while (is_space(text_[end - 1])) --end;
        return text_.substr(start, end - start);
    }

    // Out of line, so that messages take neither registers nor stack where nothing is wrong.
    [[noreturn, gnu::cold, gnu::noinline]] void fail(const std::string& why) const { fail_at(position(), why); }
    [[noreturn, gnu::cold, gnu::noinline]] void expected(const char* what) const {
        fail(std::string("expected ") + what + ", found " + found());
    }
    [[noreturn, gnu::cold, gnu::noinline]] void expected_in_range(text_kind kind) const {
        expected(("an integer " + range_of(kind)).c_str());
    }
    [[noreturn, gnu::cold, gnu::noinline]] void not_a_time() const {
        fail(found() + " is not a time: neither an integer of " + std::string(to_string(unit_)) +
             " nor ISO 8601, or outside of the years 1677 to 2262");
    }
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

    void skip_byte_order_mark() {
        const auto* const here = next_;
        if (*here != start_ || token() != "\xEF\xBB\xBF") next_ = here;
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
        const bool padded = text.size() > read.negative + std::size_t{1} && text[read.negative] == '0';
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
        expected_in_range(kind);
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
        not_a_time();
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
            expected(names_of(type).c_str());
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
               same_bytes(text_.data() + start + 1, name.data(), name.size());
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
        value_place here{place_};
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
        value_place here{place_};
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
        value_place here{place_};
        if (!closes(']')) {
            place_ = &here;
            do {
                if (here.index == type.count)
                    expected(("no more than " + std::to_string(type.count) + " values").c_str());
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
        value_place here{place_};
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
    std::size_t start_;
    const std::uint32_t* next_;
    time_unit unit_;
    std::string& scratch_;
    const value_place* place_ = nullptr;
};

}  // namespace

struct json_reader::parser {
    explicit parser(time_unit t) : unit(t) {
        // The portable implementation looks up to three bytes behind a text that ends within a character.
        needs_copy = simdjson::get_active_implementation()->name() == "fallback";
        reserve(1);
    }

    /// Finds the tokens of the text, and puts its size behind the last one.
    simdjson::error_code find_tokens(std::string_view text) {
        if (text.size() > simdjson::SIMDJSON_MAXSIZE_BYTES) return simdjson::CAPACITY;
        if (needs_copy) {
            copy.assign(text).append(simdjson::SIMDJSON_PADDING, ' ');
            text = std::string_view(copy).substr(0, text.size());
        }
        reserve(text.size());
        const auto status = tokens->stage1(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                           simdjson::stage1_mode::regular);
        if (status == simdjson::SUCCESS)
            tokens->structural_indexes[tokens->n_structural_indexes] = static_cast<std::uint32_t>(text.size());
        return status;
    }
    const std::uint32_t* first() const noexcept { return tokens->structural_indexes.get(); }
    const std::uint32_t* last() const noexcept { return first() + tokens->n_structural_indexes; }

    void reserve(std::size_t size) {
        if (tokens && size <= tokens->capacity()) return;
        const std::size_t wanted = std::max<std::size_t>({size, 1024, tokens ? tokens->capacity() * 2 : 0});
        tokens.reset();
        if (simdjson::get_active_implementation()->create_dom_parser_implementation(
                std::min(wanted, simdjson::SIMDJSON_MAXSIZE_BYTES), 1, tokens) != simdjson::SUCCESS)
            throw std::bad_alloc();
    }

    time_unit unit;
    bool needs_copy = false;
    std::unique_ptr<simdjson::internal::dom_parser_implementation> tokens;
    std::string scratch;
    std::string copy;
    /// The block whose tokens are at hand, if any, and the token to go on with.
    std::string_view block;
    const std::uint32_t* next = nullptr;
};

json_reader::json_reader(time_unit unit) : parser_(std::make_unique<parser>(unit)) {}
json_reader::json_reader(json_reader&&) noexcept = default;
json_reader& json_reader::operator=(json_reader&&) noexcept = default;
json_reader::~json_reader() = default;

void json_reader::read(std::string_view line, const text_type& type, void* into) {
    parser& p = *parser_;
    p.block = {};
    const auto status = p.find_tokens(line);
    walker walk(line, 0, p.first(), p.unit, p.scratch);
    switch (status) {
        case simdjson::SUCCESS: return walk.document(type, into);
        case simdjson::EMPTY: throw decode_error("the line is empty");
        case simdjson::UTF8_ERROR: walk.fail_at(valid_utf8_prefix(line), "not UTF-8");
        case simdjson::UNCLOSED_STRING: walk.fail_at(find_bad_string(line), "the string that starts here does not end");
        case simdjson::UNESCAPED_CHARS:
            walk.fail_at(find_bad_string(line), "control character inside a string; write it as an escape");
        case simdjson::CAPACITY: throw decode_error("the line is longer than 4 GB");
        default: throw decode_error(std::string("not JSON: ") + simdjson::error_message(status));
    }
}

void json_reader::prepare(std::string_view block) {
    parser& p = *parser_;
    // One line with an open string or broken UTF-8 spoils the whole block: then its lines are read one by one.
    p.block = p.find_tokens(block) == simdjson::SUCCESS ? block : std::string_view();
    p.next = p.first();
}

void json_reader::read_prepared(std::string_view line, const text_type& type, void* into) {
    parser& p = *parser_;
    if (p.block.empty()) return read(line, type, into);
    const auto start = static_cast<std::size_t>(line.data() - p.block.data());
    if (start > p.block.size() || line.size() > p.block.size() - start)
        throw error("JSON: the line lies outside of the block that was prepared");
    if (p.next != p.first() && p.next[-1] >= start) p.next = std::lower_bound(p.first(), p.last(), start);
    while (*p.next < start) ++p.next;
    walker(p.block.substr(0, start + line.size()), start, p.next, p.unit, p.scratch).document(type, into);
}

}  // namespace runnel::detail
