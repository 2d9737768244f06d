#include "runnel/codec/layout_conversion.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "runnel/codec/binary.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

/// Finds the steps. A pair of layouts that is being looked at counts as possible, so that structs which hold themselves
/// come to an end; if it turns out not to be, all that was found meanwhile is forgotten.
class layout_conversion::compiler {
public:
    compiler(std::vector<step>& steps, const layout& saved, const layout& wanted)
        : steps_(steps), saved_(saved), wanted_(wanted) {}

    /// The step that makes `w` of `s`, or `nothing`. `distinct`: values that differ must not become equal.
    std::uint32_t convert(layout::index s, layout::index w, bool distinct) { return find({&wanted_, s, w, distinct}); }
    const std::string& reason() const noexcept { return reason_; }

private:
    struct pair {
        const layout* to;
        layout::index s, w;
        bool distinct;
        auto operator<=>(const pair&) const = default;
    };

    std::uint32_t find(const pair& p) {
        if (const auto known = found_.find(p); known != found_.end()) return known->second;
        if (impossible_.contains(p)) return nothing;
        const auto mine = static_cast<std::uint32_t>(steps_.size());
        steps_.emplace_back();
        found_[p] = mine;
        const layout::node& w = p.to->at(p.w);
        const bool migrates = w.migrate != nullptr && p.to == &wanted_;
        step made;
        if ((migrates && same_layout(saved_, p.s, *p.to, w.from) && migrate(p, made)) || direct(p, made) ||
            (migrates && migrate(p, made))) {
            steps_[mine] = std::move(made);
            return mine;
        }
        steps_.resize(mine);
        std::erase_if(found_, [mine](const auto& f) { return f.second >= mine; });
        impossible_.insert(p);
        return nothing;
    }

    bool migrate(const pair& p, step& made) {
        const layout::node& w = p.to->at(p.w);
        const std::uint32_t part = find({p.to, p.s, w.from, p.distinct});
        if (part == nothing) return false;
        made = {.what = action::migrate, .parts = {part}, .migrate = w.migrate};
        return true;
    }

    bool no(const std::string& why) {
        if (!reason_.empty()) return false;
        for (const std::string& name : path_) reason_ += (reason_.empty() ? "member '" : ".") + name;
        reason_ += (reason_.empty() ? "it " : "' ") + why;
        return false;
    }
    bool differ(const layout::node& s, const layout::node& w) {
        return no("was saved as " + word_of(s) + " and is " + word_of(w) + " now");
    }

    bool direct(const pair& p, step& made) {
        const layout::node& s = saved_.at(p.s);
        const layout::node& w = p.to->at(p.w);
        if (s.kind != w.kind) return differ(s, w);
        switch (s.kind) {
            case layout_kind::empty:
            case layout_kind::boolean: made = {.what = action::bytes, .from = 1}; return true;
            case layout_kind::time: made = {.what = action::bytes, .from = 8}; return true;
            case layout_kind::text: made = {.what = action::text}; return true;
            case layout_kind::signed_integer: return number(action::widen_signed, s, w, made);
            case layout_kind::unsigned_integer: return number(action::widen_unsigned, s, w, made);
            case layout_kind::floating: return number(action::to_double, s, w, made);
            case layout_kind::span:
                if (s.names != w.names)
                    return no("counted units of " + s.names[0] + " s and counts " + w.names[0] + " s now");
                return parts(p, action::tuple, made);
            case layout_kind::enumeration: return enumeration(p, made);
            case layout_kind::optional: return parts(p, action::optional, made);
            case layout_kind::list: return parts(p, action::list, made);
            case layout_kind::set: return parts({p.to, p.s, p.w, true}, action::list, made);
            case layout_kind::map: return parts(p, action::map, made);
            case layout_kind::array:
                if (s.number != w.number)
                    return no("had " + std::to_string(s.number) + " elements and has " + std::to_string(w.number) +
                              " now");
                if (!parts(p, action::array, made)) return false;
                made.from = s.number;
                if (s.number == 0) made = {.what = action::bytes, .from = 1};
                return true;
            case layout_kind::tuple:
                if (s.parts.size() != w.parts.size()) return no("had another number of parts");
                if (s.parts.empty()) made = {.what = action::bytes, .from = 1};
                return s.parts.empty() || parts(p, action::tuple, made);
            case layout_kind::variant:
                if (s.parts.size() > w.parts.size()) return no("had more alternatives than it has now");
                return parts(p, action::variant, made);
            case layout_kind::structure: return structure(p, made);
            case layout_kind::own:
                if (s.number != w.number)
                    return no("was saved by version " + std::to_string(s.number) + " of its codec, which is " +
                              std::to_string(w.number) + " now");
                if (w.pass == nullptr) return no("is gone, and its codec that would be needed to read over it, too");
                made = {.what = action::own, .pass = w.pass};
                return true;
        }
        return differ(s, w);
    }

    bool number(action how, const layout::node& s, const layout::node& w, step& made) {
        if (s.number > w.number) return differ(s, w);
        made = {.what = s.number == w.number ? action::bytes : how, .from = s.number, .to = w.number};
        return true;
    }

    bool enumeration(const pair& p, step& made) {
        const layout::node& s = saved_.at(p.s);
        const layout::node& w = p.to->at(p.w);
        if (!w.names.empty())
            for (const std::string& name : s.names)
                if (std::find(w.names.begin(), w.names.end(), name) == w.names.end())
                    return no("had the enumerator " + name + ", which it has not now");
        return parts(p, action::tuple, made);
    }

    bool parts(const pair& p, action how, step& made) {
        made = {.what = how};
        const layout::node& s = saved_.at(p.s);
        const layout::node& w = p.to->at(p.w);
        for (std::size_t i = 0; i < s.parts.size(); ++i) {
            const bool is_key = s.kind == layout_kind::map && i == 0;
            const std::uint32_t part = find({p.to, s.parts[i], w.parts[i], p.distinct || is_key});
            if (part == nothing) return false;
            made.parts.push_back(part);
        }
        return true;
    }

    bool structure(const pair& p, step& made) {
        const layout::node& s = saved_.at(p.s);
        const layout::node& w = p.to->at(p.w);
        made = {.what = action::structure, .defaults = w.defaults};
        bool has_common = s.parts.empty() || w.parts.empty();
        std::uint32_t next = 0;
        for (std::size_t i = 0; i < s.parts.size(); ++i) {
            const auto same = std::find(w.names.begin(), w.names.end(), s.names[i]);
            const bool is_gone = same == w.names.end();
            has_common |= !is_gone;
            const auto target = static_cast<std::uint32_t>(same - w.names.begin());
            path_.push_back(s.names[i]);
            if (is_gone && p.distinct)
                no("is gone, and without it keys of a map or set that were different would be equal");
            const std::uint32_t part = !is_gone     ? find({p.to, s.parts[i], w.parts[target], p.distinct})
                                       : p.distinct ? nothing
                                                    : find({&saved_, s.parts[i], s.parts[i], false});
            path_.pop_back();
            if (part == nothing) return false;
            made.parts.push_back(part);
            made.targets.push_back(is_gone ? nothing : target);
            if (is_gone) continue;
            made.in_order &= target >= next;
            next = target + 1;
        }
        if (!has_common) return no("has no member that it had when it was saved");
        made.from = s.parts.size();
        made.to = w.parts.size();
        return true;
    }

    std::vector<step>& steps_;
    const layout& saved_;
    const layout& wanted_;
    std::map<pair, std::uint32_t> found_;
    std::set<pair> impossible_;
    std::vector<std::string> path_;
    std::string reason_;
};

layout_conversion::layout_conversion(const layout& saved, const layout& wanted, bool distinct) {
    compiler c(steps_, saved, wanted);
    root_ = c.convert(saved.root(), wanted.root(), distinct);
    if (root_ == nothing) throw error(c.reason());
}

namespace {

/// Integers lie in memory as they are encoded, the lowest byte first.
void widen(std::string_view bytes, std::uint64_t to, bool is_signed, std::string& out) {
    out += bytes;
    const bool is_negative = is_signed && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
    out.append(static_cast<std::size_t>(to) - bytes.size(), is_negative ? '\xff' : '\0');
}

}  // namespace

void layout_conversion::convert(std::uint32_t at, byte_reader& in, std::string& out) const {
    const byte_reader::nested guard(in);
    const step& s = steps_[at];
    switch (s.what) {
        case action::bytes: out += in.take(s.from); return;
        case action::widen_signed:
        case action::widen_unsigned: widen(in.take(s.from), s.to, s.what == action::widen_signed, out); return;
        case action::to_double: codec<double>::encode(static_cast<double>(in.take_raw<float>()), out); return;
        case action::text: {
            const auto size = in.take_raw<std::uint32_t>();
            const std::string_view bytes = in.take(size);
            codec<std::uint32_t>::encode(size, out);
            out += bytes;
            return;
    }
    case action::optional: {
        const bool has_value = codec<bool>::decode(in);
        codec<bool>::encode(has_value, out);
        if (has_value) convert(s.parts[0], in, out);
        return;
    }
    case action::list:
    case action::map: {
        const std::size_t count = in.take_size(s.parts.size());
        encode_size(count, out);
        for (std::size_t i = 0; i < count; ++i)
            for (const std::uint32_t part : s.parts) convert(part, in, out);
        return;
    }
    case action::array:
        for (std::uint64_t i = 0; i < s.from; ++i) convert(s.parts[0], in, out);
        return;
    case action::tuple:
        for (const std::uint32_t part : s.parts) convert(part, in, out);
        return;
    case action::variant: {
        const std::size_t alternative = in.take_raw<unsigned char>();
        if (alternative >= s.parts.size())
            throw decode_error("encoded variant holds alternative " + std::to_string(alternative) + " of " +
                               std::to_string(s.parts.size()) + ": the bytes are damaged or of another type");
        out += static_cast<char>(alternative);
        convert(s.parts[alternative], in, out);
        return;
    }
    case action::structure: convert_structure(s, in, out); return;
    case action::own: {
        byte_reader ahead = in;
        s.pass(ahead);
        out += in.take(in.remaining() - ahead.remaining());
        return;
    }
    case action::migrate: {
        std::string old;
        convert(s.parts[0], in, old);
        byte_reader old_in(old);
        s.migrate(old_in, out);
        return;
    }
    }
}

void layout_conversion::convert_structure(const step& s, byte_reader& in, std::string& out) const {
    if (s.from == 0) decode_nothing(in);
    std::string unused;
    std::vector<std::string> members;  // Only if they come in another order.
    std::uint32_t next = 0;            // The first member that has not been written.
    const auto write_defaults = [&](std::uint32_t until) {
        for (; next < until; ++next) out += s.defaults[next];
    };
    if (!s.in_order) members = s.defaults;
    for (std::size_t i = 0; i < s.parts.size(); ++i) {
        const std::uint32_t target = s.targets[i];
        if (target == nothing) {
            unused.clear();
            convert(s.parts[i], in, unused);
        } else if (s.in_order) {
            write_defaults(target);
            convert(s.parts[i], in, out);
            ++next;
        } else {
            members[target].clear();
            convert(s.parts[i], in, members[target]);
        }
    }
    if (s.in_order) write_defaults(static_cast<std::uint32_t>(s.to));
    for (const std::string& member : members) out += member;
    if (s.to == 0) encode_nothing(out);
}

}  // namespace runnel::detail
