#pragma once

#include <type_traits>
#include <utility>

#include "runnel/graph/keyed_stream.hpp"
#include "runnel/graph/stream.hpp"
#include "runnel/graph/windowed_stream.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/partial_aggregate.hpp"
#include "runnel/window/pre_aggregate_operator.hpp"

namespace runnel {

/// Aggregates over tumbling or sliding windows in two stages: before records are sent to where their key lives, those
/// of a batch that have key and slice in common become one. Worth it for keys that come many times in a batch ("hot"
/// ones, which one subtask alone would have to keep up with); where there are none, that is noticed, and records go by
/// themselves. It is not what `aggregate` does by itself, since each use would have to compile a second operator.
///
/// The results are those of `stream.key_by(key).window(spec).aggregate(aggregate)` if the aggregate's `merge` doesn't
/// mind that the records of the two accumulators lie among each other in time, which is so for all that are built in.
/// (Where an input wakes from idleness and brings records for windows that have fired meanwhile and are kept, those of
/// one batch make them fire once, not each.)
/// Late records are counted one by one; `late_to` is not offered, since they are no longer there to be handed out.
/// Checkpointed state: that of the windows; the first stage holds nothing.
/// Errors: as `aggregate`, in both stages. A record at which the first one throws is left out by itself; of those that
/// have become one the second one leaves out all, without a value.
template <class T, class Chain, class KeyFn, class Spec, class Agg>
auto aggregate_in_two_stages(const stream<T, Chain>& from, KeyFn key, const Spec& spec, const Agg& aggregate) {
    static_assert(lateness_chosen<Spec>,
                  "aggregate_in_two_stages: say what happens to late records: add .drop_late(), or "
                  ".lateness(duration)");
    using windows = typename Spec::windows_type;
    static_assert(std::is_same_v<windows, tumbling_windows> || std::is_same_v<windows, sliding_windows>,
                  "aggregate_in_two_stages: needs tumbling(...) or sliding(...): other windows have no slices that "
                  "all keys share");
    static_assert(!Spec::has_side,
                  "aggregate_in_two_stages: late records can't be handed out one by one: leave out .late_to(...)");
    static_assert(!Spec::firing_type::has_panes,
                  "aggregate_in_two_stages: early results would count sums of records for records: leave out "
                  ".early(...), .accumulating() and the like");
    using K = std::remove_cvref_t<std::invoke_result_t<const KeyFn&, const T&>>;
    using agg = bound_aggregate<T, Agg>;
    using first = pre_aggregate_operator<K, T, KeyFn, agg>;
    agg bound = bind_aggregate<T>(aggregate);
    return from.then(first(std::move(key), spec.windows().slices(spec.lateness()), bound), "pre-aggregate")
        .key_by(&first::output_type::key)
        .window(spec)
        .aggregate(merging_aggregate<agg>(std::move(bound)));
}

}  // namespace runnel
