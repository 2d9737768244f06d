#include "runnel/codec/layout.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "runnel/core/error.hpp"

namespace runnel {

namespace {

constexpr std::size_t most_levels = 256;

/// By kind; those of numbers have their size behind.
constexpr std::array<std::string_view, 18> words = {
    "empty", "bool", "i",   "u",   "f",     "string",  "timestamp", "duration", "enum", "optional",
    "list",  "array", "set", "map", "tuple", "variant", "{",        "own"};

bool is_number(layout_kind k) {
    return k == layout_kind::signed_integer || k == layout_kind::unsigned_integer || k == layout_kind::floating;
}

/// How many parts a layout of that kind has; any number: SIZE_MAX.
std::size_t parts_of(layout_kind k) {
    switch (k) {
        case layout_kind::span:
        case layout_kind::enumeration:
        case layout_kind::optional:
        case layout_kind::list:
        case layout_kind::array:
        case layout_kind::set: return 1;
        case layout_kind::map: return 2;
        case layout_kind::tuple:
        case layout_kind::variant: return SIZE_MAX;
        default: return 0;
    }
}

void write(const layout& of, layout::index at, std::vector<layout::index>& around, std::string& out) {
    const layout::node& n = of.at(at);
    if (n.kind == layout_kind::structure) {
        if (const auto same = std::find(around.rbegin(), around.rend(), at); same != around.rend()) {
            out += '^' + std::to_string(same - around.rbegin() + 1);
            return;
        }
        around.push_back(at);
        out += '{';
        for (std::size_t i = 0; i < n.parts.size(); ++i) {
            out.append(i == 0 ? "" : ",").append(n.names[i]) += ':';
            write(of, n.parts[i], around, out);
        }
        out += '}';
        around.pop_back();
        return;
    }
    out += detail::word_of(n);
    if (n.kind == layout_kind::own && n.number != 0) out += '<' + std::to_string(n.number) + '>';
    if (parts_of(n.kind) == 0) return;
    out += '<';
    const char* separator = "";
    if (n.kind == layout_kind::array) {
        out += std::to_string(n.number);
        separator = ",";
    }
    for (const layout::index part : n.parts) {
        out += std::exchange(separator, ",");
        write(of, part, around, out);
    }
    for (const std::string& name : n.names) out.append(",").append(name);
    out += '>';
}

/// Reads a layout's text from front to back.
class parser {
public:
    explicit parser(std::string_view text) : rest_(text) {}
    std::vector<layout::node> nodes;

    layout::index all() {
        const layout::index root = value();
        if (!rest_.empty()) fail();
        return root;
    }

private:
    [[noreturn]] static void fail() { throw decode_error("text of a layout is damaged"); }

    bool skip(char c) {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void expect(char c) {
        if (!skip(c)) fail();
    }
    std::string_view word() {
        const std::size_t n = std::min(rest_.find_first_of("{}<>,:^"), rest_.size());
        if (n == 0) fail();
        const std::string_view taken = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return taken;
    }
    std::uint64_t number() {
        const std::string_view digits = word();
        std::uint64_t n = 0;
        const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), n);
        if (end.ec != std::errc() || end.ptr != digits.data() + digits.size()) fail();
        return n;
    }
    layout::index add(layout::node n) {
        nodes.push_back(std::move(n));
        return static_cast<layout::index>(nodes.size() - 1);
    }

    layout::index value() {
        if (++level_ > most_levels) fail();
        const layout::index at = skip('^') ? above() : skip('{') ? structure() : named(word());
        --level_;
        return at;
    }
    layout::index above() {
        const std::uint64_t levels = number();
        if (levels == 0 || levels > around_.size()) fail();
        return around_[around_.size() - levels];
    }
    layout::index structure() {
        const layout::index at = add({layout_kind::structure});
        around_.push_back(at);
        std::set<std::string> names;
        while (!skip('}')) {
            if (!names.empty()) expect(',');
            std::string name(word());
            if (!names.insert(name).second) fail();
            expect(':');
            const layout::index part = value();
            nodes[at].parts.push_back(part);
            nodes[at].names.push_back(std::move(name));
        }
        around_.pop_back();
        return at;
    }
    layout::index named(std::string_view w) {
        for (std::size_t i = 0; i < words.size(); ++i) {
            layout::node n{static_cast<layout_kind>(i)};
            if (is_number(n.kind)) {
                n.number = size_of_number(w, words[i]);
                if (n.number != 0) return add(std::move(n));
            } else if (w == words[i]) {
                arguments(n);
                return add(std::move(n));
            }
        }
        fail();
    }
    static std::uint64_t size_of_number(std::string_view w, std::string_view kind) {
        for (const std::uint64_t bytes : {1, 2, 4, 8})
            if (w.substr(0, 1) == kind && w.substr(1) == std::to_string(bytes * 8) && (kind != "f" || bytes >= 4))
                return bytes;
        return 0;
    }
    void arguments(layout::node& n) {
        if (n.kind == layout_kind::own) {
            if (!skip('<')) return;
            n.number = number();
            expect('>');
            return;
        }
        const std::size_t parts = parts_of(n.kind);
        if (parts == 0) return;
        expect('<');
        if (n.kind == layout_kind::array) {
            n.number = number();
            expect(',');
        }
        while (n.parts.size() != parts && !(parts == SIZE_MAX && skip('>'))) {
            if (!n.parts.empty()) expect(',');
            n.parts.push_back(value());
        }
        if (parts == SIZE_MAX) return;
        if (n.kind == layout_kind::enumeration || n.kind == layout_kind::span)
            while (skip(',')) n.names.emplace_back(word());
        if (n.kind == layout_kind::span && n.names.size() != 1) fail();
        expect('>');
    }

    std::string_view rest_;
    std::vector<layout::index> around_;
    std::size_t level_ = 0;
};

}  // namespace

layout layout::parse(std::string_view text) {
    parser p(text);
    layout made;
    made.root_ = p.all();
    made.nodes_ = std::move(p.nodes);
    return made;
}

std::string layout::text() const {
    std::string out;
    std::vector<index> around;
    write(*this, root_, around, out);
    return out;
}

layout_builder::index layout_builder::make(layout_kind kind, std::vector<index> parts, std::uint64_t number) {
    made_.nodes_.push_back({kind, number, std::move(parts)});
    return static_cast<index>(made_.nodes_.size() - 1);
}

layout_builder::index layout_builder::own(std::uint64_t version, void (*pass)(byte_reader&)) {
    const index at = make(layout_kind::own, {}, version);
    made_.nodes_[at].pass = pass;
    return at;
}

void layout_builder::migrates(index at, index from, void (*migrate)(byte_reader&, std::string&)) {
    made_.nodes_[at].from = from;
    made_.nodes_[at].migrate = migrate;
}

void layout_builder::name_part(index at, std::string name) { made_.nodes_[at].names.push_back(std::move(name)); }

layout_builder::index layout_builder::begin_structure(std::type_index type, bool& is_new) {
    if (const auto known = structures_.find(type); known != structures_.end()) return known->second;
    is_new = true;
    return structures_[type] = make(layout_kind::structure);
}

void layout_builder::add_member(index at, std::string_view name, index part, std::string default_bytes) {
    layout::node& n = made_.nodes_[at];
    n.names.emplace_back(name);
    n.parts.push_back(part);
    n.defaults.push_back(std::move(default_bytes));
}

layout layout_builder::finish(index root) {
    made_.root_ = root;
    for (index i = 0; i < made_.nodes_.size(); ++i) {
        const index from = made_.nodes_[i].from;
        if (from == layout::none || !detail::same_layout(made_, i, made_, from)) continue;
        made_.root_ = i;
        throw error("a runnel::migration would never be asked, since both its types are saved as " + made_.text() +
                    ". Rename a member of the new one, or give the codec of the new one another version");
    }
    return std::move(made_);
}

namespace detail {

std::string word_of(const layout::node& n) {
    if (n.kind == layout_kind::structure) return "struct";
    std::string word(words[static_cast<std::size_t>(n.kind)]);
    if (is_number(n.kind)) word += std::to_string(n.number * 8);
    return word;
}

bool same_layout(const layout& a, layout::index at_a, const layout& b, layout::index at_b) {
    // Pairs that are the same unless another pair says no: so structs that hold themselves come to an end.
    std::set<std::pair<layout::index, layout::index>> seen;
    std::vector<std::pair<layout::index, layout::index>> open{{at_a, at_b}};
    while (!open.empty()) {
        const auto pair = open.back();
        open.pop_back();
        if (!seen.insert(pair).second) continue;
        const layout::node& x = a.at(pair.first);
        const layout::node& y = b.at(pair.second);
        if (x.kind != y.kind || x.number != y.number || x.names != y.names || x.parts.size() != y.parts.size())
            return false;
        for (std::size_t i = 0; i < x.parts.size(); ++i) open.emplace_back(x.parts[i], y.parts[i]);
    }
    return true;
}

}  // namespace detail

}  // namespace runnel
