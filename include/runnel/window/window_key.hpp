#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include "runnel/core/error.hpp"
#include "runnel/state/key_group.hpp"

namespace runnel::detail {

/// The user's key function, as the window operators use it; called as const, since it has no state of its own.
template <class K, class T, class KeyFn>
class window_key {
    using given = std::invoke_result_t<const KeyFn&, const T&>;
    static constexpr bool by_reference =
        std::is_lvalue_reference_v<given> && std::is_same_v<std::remove_cvref_t<given>, K>;

public:
    using type = std::conditional_t<by_reference, const K&, K>;

    explicit window_key(KeyFn function) : function_(std::move(function)) {}

    /// Errors: `error` for a key that equals nothing (NaN): it could never be found again.
    type operator()(const T& record) const {
        if constexpr (std::is_floating_point_v<K>) {
            const K key = std::invoke(function_, record);
            if (is_unusable_key(key))
                throw error("a record's key is NaN, which equals no key: filter such records out");
            return key;
        } else {
            return std::invoke(function_, record);
        }
    }

private:
    [[no_unique_address]] KeyFn function_;
};

}  // namespace runnel::detail
