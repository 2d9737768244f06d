#include "runnel/state/saved_layout.hpp"

#include <optional>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/state/state_column.hpp"

namespace runnel::detail {

namespace {

/// The layout that state `name` was saved with, if it says so.
std::optional<std::string> saved_layout(const snapshot_reader& from, std::string_view name) {
    std::optional<std::string> found;
    from.local("layouts", [&](std::string_view entry) {
        byte_reader in(entry);
        if (codec<std::string>::decode(in) != name) return;
        std::string text = codec<std::string>::decode(in);
        if (found && *found != text)
            throw checkpoint_error("'" + std::string(name) + "' was saved as " + *found + " and as " + text +
                                   " in one checkpoint: it is damaged. Go on from another one");
        found = std::move(text);
    });
    return found;
}

}  // namespace

void save_layout(snapshot_writer& to, std::string_view name, const layout& of) {
    std::string& entry = to.local("layouts");
    codec<std::string>::encode(std::string(name), entry);
    codec<std::string>::encode(of.text(), entry);
}

std::unique_ptr<const layout_conversion> conversion_to(const layout& wanted, const snapshot_reader& from,
                                                       std::string_view name, bool distinct) {
    const std::optional<std::string> saved = saved_layout(from, name);
    const std::string now = wanted.text();
    if (!saved || *saved == now) return nullptr;
    try {
        return std::make_unique<const layout_conversion>(layout::parse(*saved), wanted, distinct);
    } catch (const error& e) {
        throw checkpoint_error("'" + std::string(name) + "' was saved as " + *saved + " and can't be loaded as " + now +
                               ": " + e.what() + ". Specialise runnel::migration for the type of now, with from = a "
                               "type as it was saved; or give it another name to start it empty");
    }
}

void check_key_layout(const layout& wanted, const snapshot_reader& from) {
    const std::optional<std::string> saved = saved_layout(from, "key");
    const std::string now = wanted.text();
    if (!saved || *saved == now) return;
    throw checkpoint_error("the keys were saved as " + *saved + " and can't be loaded as " + now +
                           ": a key of another type belongs to another key group. Keep the type of the key, or give "
                           "the operator another name to start it empty");
}

void check_group(std::string_view name, key_group saved, key_group now) {
    if (saved == now) return;
    throw checkpoint_error("a record of '" + std::string(name) +
                           "' has another key than when it was saved: key group " + std::to_string(now) +
                           " instead of " + std::to_string(saved) +
                           ". Keep what the key is made of in runnel::migration");
}

std::string converted(const layout_conversion& how, byte_reader& in) {
    std::string bytes;
    how.convert(in, bytes);
    return bytes;
}

void check_converted(const byte_reader& rest) {
    if (!rest.empty())
        throw decode_error("a value has more bytes than its layout says: what its codec says of it is wrong");
}

void state_column::save_layouts(snapshot_writer& to) const {
    const std::vector<layout> all = layouts();
    for (std::size_t i = 0; i < all.size(); ++i) save_layout(to, layout_name(i), all[i]);
}

void state_column::load_layouts(const snapshot_reader& from) {
    const std::vector<layout> all = layouts();
    for (std::size_t i = 0; i < all.size(); ++i)
        conversions_.push_back(conversion_to(all[i], from, layout_name(i), i != 0));
}

std::string state_column::layout_name(std::size_t i) const {
    return (i == 0 ? "state " : "map keys of state ") + declared_.name;
}

}  // namespace runnel::detail
