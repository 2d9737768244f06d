#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/codec/binary.hpp"
#include "runnel/codec/layout_conversion.hpp"

// Local state "layouts": name of a state (string) and the layout of its values (string), an entry for each. "key" is
// that of the operator's keys. State that was saved without is taken for what it is now.

namespace runnel {

namespace detail {

void save_layout(snapshot_writer& to, std::string_view name, const layout& of);
/// Null if nothing needs to be converted. Errors: `checkpoint_error` with the state and both layouts if it can't be.
std::unique_ptr<const layout_conversion> conversion_to(const layout& wanted, const snapshot_reader& from,
                                                       std::string_view name, bool distinct = false);
/// Errors: `checkpoint_error` if the operator's keys were of another layout.
void check_key_layout(const layout& wanted, const snapshot_reader& from);
/// Errors: `checkpoint_error` if a record of state `name` has come to another key group than it was saved in.
void check_group(std::string_view name, key_group saved, key_group now);
/// Takes one value. Errors: `decode_error` if the bytes are not as its layout says.
std::string converted(const layout_conversion& how, byte_reader& in);
/// Errors: `decode_error` if `rest` is not empty.
void check_converted(const byte_reader& rest);

template <class T>
T decode_saved(const layout_conversion* how, byte_reader& in) {
    if (how == nullptr) [[likely]] return codec<T>::decode(in);
    const std::string bytes = converted(*how, in);
    byte_reader as_now(bytes);
    T value = codec<T>::decode(as_now);
    check_converted(as_now);
    return value;
}

}  // namespace detail

/// Says in a snapshot what the values of type T in state `name` mean, so that T may change until they are loaded.
template <encodable T>
void save_layout(snapshot_writer& to, std::string_view name) {
    detail::save_layout(to, name, layout_builder::build<T>());
}

/// Decodes values of type T in state `name`, which may have been saved when T was another: see `migration`.
///
/// Thread safety: const members may be called by several threads.
/// Complexity: layouts are compared once, when it is made; if they are equal, decoding is `codec<T>`'s.
/// Errors: `checkpoint_error` with the state and both layouts, when it is made, if the one can't become the other.
template <encodable T>
class saved_values {
public:
    saved_values(const snapshot_reader& from, std::string_view name)
        : how_(detail::conversion_to(layout_builder::build<T>(), from, name)) {}
    T decode(byte_reader& in) const { return detail::decode_saved<T>(how_.get(), in); }
    /// True if the layouts differ.
    bool converts() const noexcept { return how_ != nullptr; }

private:
    std::unique_ptr<const detail::layout_conversion> how_;
};

/// Says in a snapshot what the keys of an operator mean.
template <encodable K>
void save_key_layout(snapshot_writer& to) {
    save_layout<K>(to, "key");
}
/// Errors: `checkpoint_error` if the keys were saved with another layout: they would belong to other key groups.
template <encodable K>
void check_key_layout(const snapshot_reader& from) {
    detail::check_key_layout(layout_builder::build<K>(), from);
}

}  // namespace runnel
