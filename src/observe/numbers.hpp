#pragma once

#include <charconv>
#include <cmath>
#include <string>

namespace runnel::observe::detail {

/// As short as it can be read back.
inline void append_number(std::string& out, double value) {
    if (!std::isfinite(value)) {
        out += std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
        return;
    }
    char text[32];
    // Counts are written in full.
    const bool whole = std::trunc(value) == value && std::abs(value) < 1e15;
    const auto end = whole ? std::to_chars(text, text + sizeof text, static_cast<long long>(value))
                           : std::to_chars(text, text + sizeof text, value);
    out.append(text, end.ptr);
}

}  // namespace runnel::observe::detail
