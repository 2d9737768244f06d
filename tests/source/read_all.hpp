#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runnel/source/source.hpp"

namespace test {

/// All records of one split, in polls of `limit`, from `position` on; the source needs neither clock nor wake-ups.
template <class T>
std::vector<T> read_all(runnel::source<T>& from, const std::string& split, std::size_t limit,
                        const std::string* position = nullptr) {
    auto reader = from.open(split, position, {});
    runnel::batch<T> b;
    while (reader->poll(b, limit).what == runnel::poll_result::kind::more) {}
    return std::vector<T>(b.values(), b.values() + b.size());
}

}  // namespace test
