#pragma once

#include <memory>
#include <type_traits>

namespace runnel::detail {

/// Stands for a constant that a hot loop uses: a copy if that fits into a few registers, else a pointer.
template <class F>
class by_value_or_pointer {
    static constexpr bool small = std::is_trivially_copyable_v<F> && sizeof(F) <= 32;

public:
    explicit by_value_or_pointer(const F& f) noexcept : held_(hold(f)) {}
    const F& operator*() const noexcept {
        if constexpr (small)
            return held_;
        else
            return *held_;
    }

private:
    static auto hold(const F& f) noexcept {
        if constexpr (small)
            return f;
        else
            return std::addressof(f);
    }
    std::conditional_t<small, F, const F*> held_;
};

template <class F>
by_value_or_pointer<F> by_value_if_small(const F& f) noexcept {
    return by_value_or_pointer<F>(f);
}

}  // namespace runnel::detail
