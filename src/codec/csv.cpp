#include "runnel/codec/csv.hpp"

#include <algorithm>

#include "runnel/codec/utf8.hpp"
#include "runnel/core/error.hpp"
#include "text_value.hpp"

namespace runnel::detail {
namespace {

struct field {
    std::string_view text;  ///< Without quotes.
    std::size_t start = 0;
    bool quoted = false;
};

[[noreturn]] void fail_at(std::size_t byte, std::string_view column, const std::string& why) {
    std::string text = "byte " + std::to_string(byte + 1);
    if (!column.empty()) text += ", column '" + excerpt(column) + "'";
    throw decode_error(text + ": " + why);
}

/// Numbers and times are written without quotes, so none of their characters can separate fields.
void check_delimiter(char delimiter) {
    const auto byte = static_cast<unsigned char>(delimiter);
    const bool is_alphanumeric = (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
    if (byte >= 0x80 || is_alphanumeric || std::string_view("\"\r\n+-.:").find(delimiter) != std::string_view::npos)
        throw error("CSV: " + show(delimiter) + " cannot be the delimiter; take a comma, semicolon, tab or bar");
}

/// Takes a line apart, field by field.
class splitter {
public:
    splitter(std::string_view line, char delimiter, std::string& unquoted)
        : line_(line), delimiter_(delimiter), unquoted_(unquoted) {}

    /// The next field; its text is valid until the following one. False after the last. `column` is for messages.
    bool next(field& f, std::string_view column = {}) {
        if (done_) return false;
        f.start = at_;
        f.quoted = at_ < line_.size() && line_[at_] == '"';
        if (f.quoted) {
            f.text = quoted(column);
        } else {
            const std::size_t end = std::min(line_.find(delimiter_, at_), line_.size());
            f.text = line_.substr(at_, end - at_);
            if (const std::size_t quote = f.text.find('"'); quote != std::string_view::npos)
                fail_at(at_ + quote, column, "quote inside a field that does not start with one");
            at_ = end;
        }
        done_ = at_ == line_.size();
        ++at_;
        return true;
    }

private:
    std::string_view quoted(std::string_view column) {
        const std::size_t start = at_++;
        unquoted_.clear();
        for (;;) {
            const std::size_t quote = line_.find('"', at_);
            if (quote == std::string_view::npos)
                fail_at(start, column, "the quoted field that starts here does not end");
            unquoted_.append(line_, at_, quote - at_);
            at_ = quote + 1;
            if (at_ == line_.size() || line_[at_] == delimiter_) return unquoted_;
            if (line_[at_] != '"')
                fail_at(at_, column, "expected the delimiter behind a quoted field, found " + show(line_[at_]));
            unquoted_ += '"';
            ++at_;
        }
    }

    std::string_view line_;
    char delimiter_;
    std::string& unquoted_;
    std::size_t at_ = 0;
    bool done_ = false;
};

std::string_view checked_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) throw decode_error("the line is empty");
    if (const std::size_t valid = valid_utf8_prefix(line); valid != line.size()) fail_at(valid, {}, "not UTF-8");
    return line;
}

[[noreturn]] void expected(const std::string& what, const field& f, std::string_view column) {
    fail_at(f.start, column, "expected " + what + ", found '" + excerpt(f.text) + "'");
}

template <class Float>
void read_float(const field& f, std::string_view column, void* into) {
    const std::errc result = parse_float<Float>(f.text, into);
    if (result == std::errc::result_out_of_range)
        fail_at(f.start, column, excerpt(f.text) + " is outside of the range of a floating-point number");
    if (result != std::errc()) expected("a number", f, column);
}

void read_field(const text_type& type, const field& f, std::string_view column, time_unit unit, void* into) {
    switch (type.kind) {
        case text_kind::string: static_cast<std::string*>(into)->assign(f.text); return;
        case text_kind::float32: return read_float<float>(f, column, into);
        case text_kind::float64: return read_float<double>(f, column, into);
        case text_kind::boolean: {
            const bool yes = f.text == "true" || f.text == "1";
            if (!yes && f.text != "false" && f.text != "0") expected("true or false", f, column);
            *static_cast<bool*>(into) = yes;
            return;
        }
        case text_kind::time: {
            const auto t = parse_timestamp(f.text, unit);
            if (!t)
                expected("a time (an integer of " + std::string(to_string(unit)) +
                             " or ISO 8601, in the years 1677 to 2262)", f, column);
            *static_cast<timestamp*>(into) = *t;
            return;
        }
        case text_kind::enumeration: {
            const text_enumerator* e = find_name(type, f.text);
            std::int64_t n = 0;
            if (e == nullptr && store_integer(parse_integer(f.text), type.element->kind, &n))
                e = find_value(type, load_integer(type.element->kind, &n));
            if (e == nullptr) expected(names_of(type), f, column);
            store_enumerator(type, *e, into);
            return;
        }
        case text_kind::optional:
            if (f.text.empty() && !f.quoted) type.clear(into);
            else read_field(*type.element, f, column, unit, type.add(into));
            return;
        default: {
            const integer_text read = parse_integer(f.text);
            if (read.is == integer_text::status::not_an_integer) expected("an integer", f, column);
            if (!store_integer(read, type.kind, into)) expected("an integer " + range_of(type.kind), f, column);
        }
    }
}

class writer {
public:
    writer(std::string& out, csv_options options, bool unit_is_asked)
        : out_(out), options_(options), unit_is_asked_(unit_is_asked) {}

    /// An empty optional is an empty field, so an empty string inside one is quoted.
    void field_of(const text_type& type, const void* from, bool quote_empty) {
        switch (type.kind) {
            case text_kind::string: return string(*static_cast<const std::string*>(from), quote_empty);
            case text_kind::float32: return append_number(out_, *static_cast<const float*>(from));
            case text_kind::float64: return append_number(out_, *static_cast<const double*>(from));
            case text_kind::boolean: out_ += *static_cast<const bool*>(from) ? "true" : "false"; return;
            case text_kind::time: {
                const timestamp t = *static_cast<const timestamp*>(from);
                if (unit_is_asked_) append_number(out_, count_units(t, options_.unit));
                else out_ += to_string(t);
                return;
            }
            case text_kind::enumeration:
                if (const auto* e = find_value(type, load_integer(type.element->kind, from))) string(e->name, true);
                else append_integer(out_, type.element->kind, from);
                return;
            case text_kind::optional: {
                struct context {
                    writer& self;
                    const text_type& type;
                } held{*this, *type.element};
                type.visit(from, &held, [](void* opaque, const std::string*, const void* element) {
                    auto& [self, element_type] = *static_cast<context*>(opaque);
                    self.field_of(element_type, element, true);
                });
                return;
            }
            default: append_integer(out_, type.kind, from);
        }
    }
    void string(std::string_view text, bool quote_empty) {
        const bool plain = text.find_first_of("\"\r\n") == std::string_view::npos &&
                           text.find(options_.delimiter) == std::string_view::npos && !(text.empty() && quote_empty);
        if (plain) {
            out_ += text;
            return;
        }
        out_ += '"';
        for (char c : text) {
            if (c == '"') out_ += '"';
            out_ += c;
        }
        out_ += '"';
    }

private:
    std::string& out_;
    csv_options options_;
    bool unit_is_asked_;
};

}  // namespace

csv_reader::csv_reader(const text_type& type, csv_options options) : type_(&type), options_(options) {
    check_delimiter(options.delimiter);
    for (std::size_t i = 0; i < type.count; ++i) columns_.push_back(i);
}

void csv_reader::set_header(std::string_view line) {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
    splitter fields(checked_line(line), options_.delimiter, unquoted_);
    columns_.clear();
    std::vector<bool> found(type_->count);
    for (field f; fields.next(f);) {
        std::size_t i = 0;
        while (i < type_->count && type_->members[i].name != f.text) ++i;
        if (i != type_->count) {
            if (found[i]) fail_at(f.start, f.text, "occurs twice in the header");
            found[i] = true;
        }
        columns_.push_back(i);
    }
    std::string missing;
    for (std::size_t i = 0; i < type_->count; ++i)
        if (!found[i] && type_->members[i].type->kind != text_kind::optional)
            missing += std::string(missing.empty() ? "" : ", ") + "'" + std::string(type_->members[i].name) + "'";
    if (!missing.empty()) throw decode_error("the header has no column " + missing);
}

void csv_reader::read(std::string_view line, void* into) {
    splitter fields(checked_line(line), options_.delimiter, unquoted_);
    std::size_t column = 0;
    std::uint64_t seen = 0;
    const auto name_of = [&](std::size_t c) {
        const bool is_known = c < columns_.size() && columns_[c] < type_->count;
        return is_known ? type_->members[columns_[c]].name : std::string_view();
    };
    for (field f; fields.next(f, name_of(column)); ++column) {
        if (column == columns_.size())
            fail_at(f.start, {}, "more than the " + std::to_string(column) + " fields that were expected");
        const std::size_t i = columns_[column];
        if (i == type_->count) continue;
        seen |= std::uint64_t{1} << i;
        const text_member& member = type_->members[i];
        read_field(*member.type, f, member.name, options_.unit, member.at(into));
    }
    if (column < columns_.size())
        throw decode_error("expected " + std::to_string(columns_.size()) + " fields, found " + std::to_string(column));
    for (std::size_t i = 0; i < type_->count; ++i)
        if ((seen >> i & 1) == 0) type_->members[i].type->clear(type_->members[i].at(into));
}

void write_csv(std::string& out, const text_type& type, const void* from, csv_options options, bool unit_is_asked) {
    check_delimiter(options.delimiter);
    writer to(out, options, unit_is_asked);
    for (std::size_t i = 0; i < type.count; ++i) {
        if (i != 0) out += options.delimiter;
        // A single empty field would make an empty line, which is no record.
        // The accessor serves readers too; nothing is changed here.
        to.field_of(*type.members[i].type, type.members[i].at(const_cast<void*>(from)), type.count == 1);
    }
}

void write_csv_header(std::string& out, const text_type& type, char delimiter) {
    check_delimiter(delimiter);
    writer to(out, {.delimiter = delimiter}, false);
    for (std::size_t i = 0; i < type.count; ++i) {
        if (i != 0) out += delimiter;
        to.string(type.members[i].name, false);
    }
}

}  // namespace runnel::detail
