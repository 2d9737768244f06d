#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/core/timed.hpp"

namespace runnel {

namespace detail {

/// Values with their times, in order of arrival, many of which cost little to copy: all but the last few lie in chunks
/// that do not change, and that copies share.
///
/// So what a window keeps for a key can be copied at a barrier, however much that is.
/// Thread safety: unsafe; but a copy may be another thread's. So V and what it refers to may be read by two threads at
/// a time.
/// Complexity: push_back amortised O(1); copy and append O(chunks).
template <class V>
class timed_list {
public:
    timed_list() = default;
    timed_list(const timed_list& other)
        : full_(other.full_ ? std::make_unique<chunks>(*other.full_) : nullptr), last_(other.last_) {}
    timed_list(timed_list&&) noexcept = default;
    timed_list& operator=(const timed_list& other) { return *this = timed_list(other); }
    timed_list& operator=(timed_list&&) noexcept = default;

    void push_back(timed<V> value) {
        if (last_.size() == most) {
            seal();
            last_.reserve(most);
        }
        last_.push_back(std::move(value));
    }
    void append(const timed_list& later) {
        if (later.full_) {
            seal();
            if (!full_) full_ = std::make_unique<chunks>();
            full_->insert(full_->end(), later.full_->begin(), later.full_->end());
        }
        if (last_.size() + later.last_.size() <= most)
            last_.insert(last_.end(), later.last_.begin(), later.last_.end());
        else
            for (const timed<V>& value : later.last_) push_back(value);
    }

    /// Counts them: O(chunks).
    std::size_t size() const noexcept {
        std::size_t n = last_.size();
        if (full_)
            for (const auto& c : *full_) n += c->size();
        return n;
    }
    /// Calls `f(const timed<V>&)` for each.
    template <class F>
    void for_each(F f) const {
        if (full_)
            for (const auto& c : *full_) std::for_each(c->begin(), c->end(), f);
        std::for_each(last_.begin(), last_.end(), f);
    }
    std::vector<timed<V>> to_vector() const {
        std::vector<timed<V>> all;
        all.reserve(size());
        if (full_)
            for (const auto& c : *full_) all.insert(all.end(), c->begin(), c->end());
        all.insert(all.end(), last_.begin(), last_.end());
        return all;
    }

private:
    using chunk = std::vector<timed<V>>;
    using chunks = std::vector<std::shared_ptr<const chunk>>;
    /// A power of two, as the sizes by which a vector grows.
    static constexpr std::size_t most = std::bit_floor(std::max<std::size_t>(16, 4096 / sizeof(timed<V>)));

    /// No more comes to the last chunk.
    void seal() {
        if (last_.empty()) return;
        if (!full_) full_ = std::make_unique<chunks>();
        const auto sealed = std::make_shared<chunk>();
        full_->push_back(sealed);
        sealed->swap(last_);
    }

    std::unique_ptr<chunks> full_;  // null if there are none, as for most keys
    chunk last_;
};

}  // namespace detail

template <class V>
    requires encodable<V>
struct codec<detail::timed_list<V>> {
    static void encode(const detail::timed_list<V>& all, std::string& out) {
        encode_size(all.size(), out);
        all.for_each([&](const timed<V>& each) {
            codec<V>::encode(each.value, out);
            codec<timestamp>::encode(each.time, out);
        });
    }
    static detail::timed_list<V> decode(byte_reader& in) {
        detail::timed_list<V> all;
        for (std::size_t n = in.take_size(sizeof(timestamp)); n != 0; --n) {
            V value = codec<V>::decode(in);
            all.push_back({std::move(value), codec<timestamp>::decode(in)});
        }
        return all;
    }
    static auto layout(layout_builder& to) { return to.add<std::vector<std::pair<V, timestamp>>>(); }
};

}  // namespace runnel
