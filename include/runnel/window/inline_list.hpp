#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace runnel::detail {

/// A list whose only element lies inline, since most have no more; several are an array.
/// Thread safety: unsafe.
/// Complexity: as std::vector.
/// Lifetime: an element stays where it is until one is inserted or erased, or the list is moved.
template <class T>
class inline_list {
public:
    inline_list() = default;
    inline_list(const inline_list& other)
        : only_(other.only_),
          several_(other.several_ ? std::make_unique<std::vector<T>>(*other.several_) : nullptr) {}
    inline_list(inline_list&&) = default;
    inline_list& operator=(inline_list&&) = default;

    T* begin() noexcept { return several_ ? several_->data() : only_ ? std::addressof(*only_) : nullptr; }
    T* end() noexcept { return begin() + size(); }
    const T* begin() const noexcept { return const_cast<inline_list*>(this)->begin(); }
    const T* end() const noexcept { return const_cast<inline_list*>(this)->end(); }
    std::size_t size() const noexcept { return several_ ? several_->size() : only_.has_value(); }
    bool empty() const noexcept { return size() == 0; }

    /// Puts a value in front of `at`; returns where it is.
    T* insert(T* at, T value) {
        if (empty() && !several_) {
            only_.emplace(std::move(value));
            return begin();
        }
        const std::ptrdiff_t index = at - begin();
        if (!several_) {
            auto both = std::make_unique<std::vector<T>>();
            both->reserve(2);
            both->push_back(std::move(*only_));
            several_ = std::move(both);
            only_.reset();
        }
        several_->insert(several_->begin() + index, std::move(value));
        return begin() + index;
    }
    void push_back(T value) { insert(end(), std::move(value)); }

    void erase(T* first, T* last) {
        if (first == last) return;
        if (several_)
            several_->erase(several_->begin() + (first - begin()), several_->begin() + (last - begin()));
        else
            only_.reset();
    }

private:
    std::optional<T> only_;
    std::unique_ptr<std::vector<T>> several_;
};

}  // namespace runnel::detail
