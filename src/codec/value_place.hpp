#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "text_value.hpp"

namespace runnel::detail {

/// The way from the whole to the value in hand, for messages: each place is in the one outside of it.
struct value_place {
    const value_place* outer = nullptr;
    std::string_view name = {};  ///< Empty: an element, by its index.
    std::size_t index = 0;
};

/// "user.tags[3]"
inline std::string path(const value_place* p) {
    if (p == nullptr) return {};
    std::string text = path(p->outer);
    if (p->name.empty()) return text + '[' + std::to_string(p->index) + ']';
    if (!text.empty()) text += '.';
    return text + excerpt(p->name);
}

/// "byte 7, member 'user.tags[3]': why". Bytes are counted from 1.
inline std::string at_place(std::size_t byte, const value_place* p, const std::string& why) {
    const std::string member = path(p);
    return "byte " + std::to_string(byte) + (member.empty() ? "" : ", member '" + member + "'") + ": " + why;
}

}  // namespace runnel::detail
