#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runnel/state/frozen_table.hpp"
#include "runnel/window/slice_store.hpp"

namespace runnel::detail {

/// What all slices of a store held at one moment, while they go on changing; see `frozen_table`.
///
/// Thread safety and lifetime: as of `frozen_table`.
template <class K, class A>
class frozen_slices {
public:
    /// Without the keys of the first slice in slots before `first_slot`.
    explicit frozen_slices(const slice_store<K, A>& from, std::size_t first_slot = 0) : first_slot_(first_slot) {
        for (std::size_t i = from.begin_index(); i != from.end_index(); ++i) {
            from[i].keys.unwatch();
            slices_.emplace_back();
            slices_.back().reset(new copied{from[i].span, frozen_table<K, A>(from[i].keys)});
        }
    }

    bool step(std::size_t bytes) {
        for (const auto& s : slices_)
            if (!s->keys.step(bytes)) return false;
        return true;
    }

    /// Calls `f(const slice_span&, const K&, const A&)` in order of slices.
    template <class F>
    void consume(F f) {
        for (const auto& s : slices_)
            s->keys.consume([&](const K& key, const A& a) { f(s->span, key, a); },
                            s == slices_.front() ? first_slot_ : 0);
    }

private:
    struct copied {
        slice_span span;
        frozen_table<K, A> keys;
    };
    std::vector<std::unique_ptr<copied>> slices_;
    std::size_t first_slot_;
};

}  // namespace runnel::detail
