#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"

namespace runnel::detail {

/// What a map held at one moment, while it goes on changing.
///
/// As a `frozen_slots` of keyed state, encoded: an element after the other by `step`, in order of their keys, and one
/// that changes before its turn then.
/// Thread safety: unsafe until `step` has answered true: used by the thread that uses the map. From then on safe.
/// Complexity: `step` O(bytes); the first change of an element O(its bytes + log n).
/// Lifetime: the map is there until `step` has answered true; may be destroyed earlier.
template <class K, class V>
class frozen_map {
public:
    /// `registered`: where whoever changes the map finds this one, as long as it has to be told.
    /// Precondition: it is null.
    frozen_map(const std::map<K, V>& from, frozen_map*& registered)
        : from_(&from), registered_(registered), next_(from.begin()) {
        encode_size(from.size(), blocks_.emplace_back());
        registered_ = this;
        if (next_ == from.end()) complete();
    }
    ~frozen_map() {
        if (from_) complete();
    }
    frozen_map(const frozen_map&) = delete;
    frozen_map& operator=(const frozen_map&) = delete;

    /// Encodes about so many bytes; true when all is there, or could not be encoded.
    bool step(std::size_t bytes) noexcept {
        try {
            for (std::size_t done = 0; from_ && done < bytes;) done += copy_next();
        } catch (...) {
            fail();
        }
        return !from_;
    }
    /// The element with this key is about to come, to change or to go.
    void before_change(const K& key) noexcept {
        try {
            if (before(key, next_->first)) return;
            if (!before(next_->first, key)) {
                copy_next();
                return;
            }
            if (changed_.contains(key)) return;
            std::optional<std::string> was;
            if (const auto at = from_->find(key); at != from_->end()) append(*at, was.emplace());
            changed_.emplace(key, std::move(was));
        } catch (...) {
            fail();
        }
    }

    /// Appends what `codec<std::map<K, V>>` would have, and frees it. Precondition: `step` has answered true.
    /// Errors: what encoding has thrown.
    void write(std::string& to) {
        if (failure_) std::rethrow_exception(failure_);
        for (std::string& block : blocks_) {
            to += block;
            block = std::string();
        }
        blocks_.clear();
    }

private:
    static constexpr std::size_t block_bytes = 64 * 1024;

    static bool before(const K& a, const K& b) { return std::less<K>()(a, b); }
    static void append(const std::pair<const K, V>& element, std::string& out) {
        codec<K>::encode(element.first, out);
        codec<V>::encode(element.second, out);
    }
    /// Where the next element goes: blocks, since a text that grows would be copied again and again.
    std::string& place() {
        if (blocks_.back().size() < block_bytes) return blocks_.back();
        blocks_.emplace_back().reserve(block_bytes + block_bytes / 8);
        return blocks_.back();
    }
    /// Gives about the number of bytes.
    std::size_t copy_next() {
        std::size_t bytes = put_changed(&next_->first);
        const auto changed = changed_.begin();
        if (changed != changed_.end() && !before(next_->first, changed->first)) {
            bytes += put_first_changed();
        } else {
            std::string& to = place();
            const std::size_t before = to.size();
            append(*next_, to);
            bytes += to.size() - before;
        }
        if (++next_ == from_->end()) {
            bytes += put_changed(nullptr);
            complete();
        }
        return std::max(bytes, sizeof(*next_));  // A step comes to its end whatever elements consist of.
    }
    /// Puts those that have gone before their turn, up to the one with key `until`; null: all.
    std::size_t put_changed(const K* until) {
        std::size_t bytes = 0;
        while (!changed_.empty() && (!until || before(changed_.begin()->first, *until))) bytes += put_first_changed();
        return bytes;
    }
    std::size_t put_first_changed() {
        const auto first = changed_.begin();
        const std::size_t bytes = first->second ? first->second->size() : 0;
        if (bytes != 0) place() += *first->second;
        changed_.erase(first);
        return bytes;
    }

    /// What matters is the map: it goes on, without this copy.
    void fail() noexcept {
        failure_ = std::current_exception();
        complete();
    }
    void complete() noexcept {
        registered_ = nullptr;
        from_ = nullptr;
        changed_.clear();
    }

    const std::map<K, V>* from_;  // null when all is encoded
    frozen_map*& registered_;
    typename std::map<K, V>::const_iterator next_;
    /// Behind `next_`: what is no longer as it was, and what has come since (nothing).
    std::map<K, std::optional<std::string>> changed_;
    std::vector<std::string> blocks_;
    std::exception_ptr failure_;
};

}  // namespace runnel::detail
