#pragma once

#include <exception>
#include <string>

namespace runnel::tests {

/// The text of an exception, and behind it those nested in it, from the outermost in.
inline std::string error_text(const std::exception& e) {
    std::string text = e.what();
    try {
        std::rethrow_if_nested(e);
    } catch (const std::exception& inner) {
        text += " | " + error_text(inner);
    }
    return text;
}

/// The same of what `f()` throws; "none" if it does not.
template <class F>
std::string failure_of(F f) {
    try {
        f();
    } catch (const std::exception& e) {
        return error_text(e);
    }
    return "none";
}

}  // namespace runnel::tests
