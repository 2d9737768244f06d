#pragma once

#include <cstdint>
#include <utility>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel {

/// What some records of one key and one slice of time have in common: as a record it stands for all of them.
template <class K, class A>
struct partial_aggregate {
    K key;
    A value;
    timestamp time;         ///< The latest of theirs.
    std::uint64_t records;  ///< How many they are.
    friend bool operator==(const partial_aggregate&, const partial_aggregate&) = default;
};

/// How many records of the input a record stands for.
template <class K, class A>
constexpr std::uint64_t records_in(const partial_aggregate<K, A>& partial) noexcept {
    return partial.records;
}

/// The second stage of `Agg`: takes in what first stages have made of the records.
template <class Agg>
class merging_aggregate {
    using accumulator = accumulator_of<Agg>;

public:
    static constexpr bool creates_default = detail::creates_default<Agg>;
    /// The operator before it is the first stage.
    static constexpr bool is_second_stage = true;
    explicit merging_aggregate(Agg aggregate) : agg_(std::move(aggregate)) {}
    accumulator create() const { return agg_.create(); }
    template <class K>
    void add(accumulator& a, const partial_aggregate<K, accumulator>& partial) const {
        agg_.merge(a, partial.value);
    }
    void merge(accumulator& a, const accumulator& other) const { agg_.merge(a, other); }
    result_of<Agg> result(const accumulator& a) const { return agg_.result(a); }

private:
    [[no_unique_address]] Agg agg_;
};

}  // namespace runnel
