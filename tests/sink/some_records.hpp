#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runnel/core/batch.hpp"

namespace test {

/// 0, 1, ..., n - 1 as text, with times 10, 20, ...; the first `consumed` are consumed.
inline runnel::batch<std::string> some_records(std::size_t n, std::size_t consumed = 0) {
    runnel::batch<std::string> b;
    for (std::size_t i = 0; i < n; ++i)
        b.append(std::to_string(i), runnel::timestamp(static_cast<std::int64_t>(i + 1) * 10));
    b.consume_until(consumed);
    return b;
}

}  // namespace test
