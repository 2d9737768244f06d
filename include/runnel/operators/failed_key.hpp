#pragma once

#include <string>

#include "runnel/codec/display.hpp"

namespace runnel::detail {

/// "key 7": where something failed that concerns all of a key.
template <class K>
std::string key_text(const K& key) {
    if constexpr (displayable<K>) {
        std::string text = "key ";
        string_stream to(text);
        display(to, key);
        return text;
    } else {
        return "a key that cannot be shown";
    }
}

}  // namespace runnel::detail
