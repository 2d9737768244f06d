#pragma once

#include "relacy_atomics.hpp"

namespace model {

/// An executor's list that promises as little as the contract allows: what happened before a submission is visible in
/// the run that it causes, and nothing else is; each submission is taken once. `T` numbers what was submitted, from 1.
///
/// Its orders are the contract, not under test, so it is written against Relacy's own types.
template <int Most>
class handover {
public:
    void submit(int work) {
        const int place = used_.fetch_add(1, rl::mo_relaxed, $);
        RL_ASSERT(place < Most);
        places_[place].store(work, rl::mo_release, $);
    }
    /// Takes a submission, some time after it was made; 0: there is none to be seen.
    int take() {
        for (int i = 0; i < Most; ++i) {
            int work = places_[i].load(rl::mo_relaxed, $);
            if (work > 0 && places_[i].compare_exchange_strong(work, -1, rl::mo_acquire, $, rl::mo_relaxed, $))
                return work;
        }
        return 0;
    }
    /// True if there is a submission to be seen.
    bool any() const {
        for (const place& p : places_)
            if (p.load(rl::mo_relaxed, $) > 0) return true;
        return false;
    }

private:
    struct place : rl::atomic<int> {
        place() : rl::atomic<int>(0) {}
    };
    place places_[Most];
    place used_;
};

}  // namespace model
