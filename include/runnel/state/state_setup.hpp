#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "runnel/state/aggregating_state.hpp"
#include "runnel/state/broadcast_state.hpp"
#include "runnel/state/list_state.hpp"
#include "runnel/state/map_state.hpp"
#include "runnel/state/reducing_state.hpp"
#include "runnel/state/state_store.hpp"
#include "runnel/state/timers.hpp"
#include "runnel/state/value_state.hpp"

namespace runnel {

/// Where a process function declares its state and its timers, by name, when it is opened. The names are what a
/// snapshot knows them by. The same declaration again gives the same state.
///
///     void open(runnel::state_setup& s) {
///         last_ = s.value<tx>("last", {.ttl = 24h});
///         forget_ = s.event_timer("forget");
///     }
///
/// Errors: `error` if a name is empty, or stands for something else already; if a time to live is not more than 0.
/// Lifetime: ends with `open`; what it gives lives as long as the function.
class state_setup {
public:
    explicit state_setup(detail::state_store& store) : store_(store) {}
    state_setup(const state_setup&) = delete;
    state_setup& operator=(const state_setup&) = delete;

    template <class V>
    value_state<V> value(std::string_view name, const state_options& options = {}) {
        return value_state<V>(store_.declare<detail::value_column<V>>(name, "value", options));
    }
    template <class V>
    list_state<V> list(std::string_view name, const state_options& options = {}) {
        return list_state<V>(store_.declare<detail::list_column<V>>(name, "list", options));
    }
    template <class K2, class V>
    map_state<K2, V> map(std::string_view name, const state_options& options = {}) {
        return map_state<K2, V>(store_.declare<detail::map_column<K2, V>>(name, "map", options));
    }
    /// `f(kept, next)`, both const V&, gives what is kept from then on.
    template <class V, class F>
    reducing_state<V> reducing(std::string_view name, F f, const state_options& options = {}) {
        return {store_.declare<detail::value_column<V>>(name, "value", options), std::move(f)};
    }
    /// `aggregate`: `count()`, `sum(f)`, ... or one of your own, of values of type In.
    template <class In, class Agg>
    auto aggregating(std::string_view name, const Agg& aggregate, const state_options& options = {}) {
        if constexpr (requires { aggregate.template bind<In>(); }) {
            return aggregating<In>(name, aggregate.template bind<In>(), options);
        } else {
            using bound = detail::aggregating_of<Agg>;
            using R = typename bound::result;
            auto& column = store_.declare<detail::value_column<typename bound::accumulator>>(name, "value", options);
            return aggregating_state<In, R>(std::make_shared<detail::aggregating<In, R, Agg>>(column, aggregate));
        }
    }
    /// The other end of a broadcast stream: see `broadcast_state`.
    template <class K2, class V>
    broadcast_state<K2, V> broadcast(std::string_view name) {
        return broadcast_state<K2, V>(store_.declare_broadcast<detail::broadcast_map<K2, V>>(name));
    }

    runnel::event_timer event_timer(std::string_view name) { return store_.declare_event_timer(name); }
    runnel::processing_timer processing_timer(std::string_view name) { return store_.declare_processing_timer(name); }

private:
    detail::state_store& store_;
};

}  // namespace runnel
