#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

/// The elements of a vector, in order. `Element` is T, or `timed<T>` for records that bring their event time
/// along. See `collection` and `timed_collection`.
///
/// The records are dealt to the splits in contiguous parts. Replayable: a split's position is an index.
/// Thread safety: distinct objects: safe, shared objects: safe for const members.
template <class T, class Element = T>
class collection_source final : public source<T> {
public:
    collection_source(std::shared_ptr<const std::vector<Element>> elements, std::size_t splits)
        : elements_(std::move(elements)), splits_(splits) {}

    std::string name() const override { return "collection"; }
    std::vector<std::string> problems() const override {
        std::vector<std::string> found;
        if (!elements_) found.emplace_back("collection: the pointer to the elements is null");
        if (splits_ == 0) found.emplace_back("collection: 0 splits; at least 1 is needed");
        return found;
    }
    std::vector<std::string> splits() override {
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < splits_; ++i) ids.push_back(std::to_string(i));
        return ids;
    }
    std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                          const reader_context&) override {
        const std::size_t split = std::stoul(id);
        std::size_t from = first(split);
        if (position) {
            byte_reader in(*position);
            from = codec<std::uint64_t>::decode(in);
            if (from < first(split) || from > first(split + 1))
                throw error("collection: saved position " + std::to_string(from) + " is not within split " + id +
                            ". Restore with the same elements and number of splits");
        }
        return std::make_unique<reader>(elements_, from, first(split + 1));
    }

private:
    class reader final : public split_reader<T> {
    public:
        reader(std::shared_ptr<const std::vector<Element>> elements, std::size_t next, std::size_t last)
            : elements_(std::move(elements)), next_(next), last_(last) {}

        poll_result poll(batch<T>& into, std::size_t limit) override {
            const std::size_t n = std::min(limit, last_ - next_);
            const Element* from = elements_->data() + next_;
            if constexpr (std::is_same_v<T, Element>) {
                // The vector outlives every batch that is filled here: the source holds it.
                if constexpr (std::is_trivially_copyable_v<T>)
                    if (into.size() == 0) return lend(into, n);
                into.append_copies(from, n, timestamp());
            } else {
                into.reserve(into.size() + n);
                for (std::size_t i = 0; i < n; ++i) into.append(from[i].value, from[i].time);
            }
            next_ += n;
            return next_ == last_ ? poll_result::finished() : poll_result::more();
        }
        std::string position() const override {
            std::string bytes;
            codec<std::uint64_t>::encode(next_, bytes);
            return bytes;
        }

    private:
        poll_result lend(batch<T>& into, std::size_t n) {
            into.borrow(elements_->data() + next_, n);
            std::fill_n(into.times(), n, timestamp());
            next_ += n;
            return next_ == last_ ? poll_result::finished() : poll_result::more();
        }

        std::shared_ptr<const std::vector<Element>> elements_;
        std::size_t next_;
        std::size_t last_;
    };

    /// Index of the first element of a split; the sizes differ by at most one.
    std::size_t first(std::size_t split) const noexcept {
        const std::size_t size = elements_->size();
        return size / splits_ * split + std::min(split, size % splits_);
    }

    std::shared_ptr<const std::vector<Element>> elements_;
    std::size_t splits_;
};

/// Reads the elements of a vector, dealt to `splits` contiguous parts of equal size.
template <class T>
collection_source<T> collection(std::vector<T> elements, std::size_t splits = 1) {
    return {std::make_shared<const std::vector<T>>(std::move(elements)), splits};
}
template <class T>
collection_source<T> collection(std::initializer_list<T> elements, std::size_t splits = 1) {
    return {std::make_shared<const std::vector<T>>(elements), splits};
}
/// The same without a copy of the vector.
template <class T>
collection_source<T> collection(std::shared_ptr<const std::vector<T>> elements, std::size_t splits = 1) {
    return {std::move(elements), splits};
}
template <class T>
collection_source<T> collection(std::shared_ptr<std::vector<T>> elements, std::size_t splits = 1) {
    return {std::move(elements), splits};
}

/// Reads values with an event time of their own, which the extractor `time_of_source` takes over.
template <class T>
collection_source<T, timed<T>> timed_collection(std::vector<timed<T>> elements, std::size_t splits = 1) {
    return {std::make_shared<const std::vector<timed<T>>>(std::move(elements)), splits};
}
template <class T>
collection_source<T, timed<T>> timed_collection(std::initializer_list<timed<T>> elements, std::size_t splits = 1) {
    return {std::make_shared<const std::vector<timed<T>>>(elements), splits};
}
template <class T>
collection_source<T, timed<T>> timed_collection(std::vector<std::pair<T, timestamp>> elements,
                                                std::size_t splits = 1) {
    std::vector<timed<T>> all;
    all.reserve(elements.size());
    for (auto& [value, time] : elements) all.push_back({std::move(value), time});
    return timed_collection(std::move(all), splits);
}

}  // namespace runnel
