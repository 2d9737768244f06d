#pragma once

#include <cstddef>
#include <stdexcept>
#include <utility>

namespace runnel::tests {

/// A value that counts how many of its kind live, and throws at the n-th copy or move if told so. Each object owns
/// memory, so that a sanitizer sees what is lost or destroyed twice.
class tracked {
public:
    static inline std::size_t living = 0;
    /// Copies and moves until one throws; negative: never.
    static inline int throw_after = -1;

    tracked() : tracked(0) {}
    explicit tracked(int value) : value_(new int(value)) { ++living; }
    tracked(const tracked& other) : value_((count(), new int(*other.value_))) { ++living; }
    tracked(tracked&& other) : value_((count(), std::exchange(other.value_, new int(-1)))) { ++living; }
    tracked& operator=(tracked other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~tracked() {
        delete value_;
        --living;
    }
    int value() const noexcept { return *value_; }
    friend bool operator==(const tracked& a, const tracked& b) noexcept { return *a.value_ == *b.value_; }

private:
    static void count() {
        if (throw_after >= 0 && throw_after-- == 0) throw std::runtime_error("copy or move refused");
    }
    int* value_;
};

}  // namespace runnel::tests
