#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "runnel/core/error.hpp"
#include "runnel/core/output.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/state/broadcast_state.hpp"
#include "runnel/state/key_scope.hpp"

namespace runnel {

namespace detail {

template <class K, class Fn>
class process_core;

/// What the contexts of a process function have in common: the way out.
template <class Out, class... Sides>
class output_context {
public:
    /// Puts records into one side output.
    template <class L>
    class side_emitter {
    public:
        side_emitter(output<L>& to, timestamp t) : to_(to), time_(t) {}
        void emit(L value) { to_.emit(std::move(value), time_); }
        void emit(L value, timestamp t) { to_.emit(std::move(value), t); }

    private:
        output<L>& to_;
        timestamp time_;
    };

    /// Event time of the record, or the time of the timer, in hand.
    timestamp time() const noexcept { return time_; }
    /// Sends a result on, at the time of what is in hand.
    void emit(Out value) { out_->emit(std::move(value), time_); }
    /// The same at a time of one's own. At or below the watermark it may be late further down.
    void emit(Out value, timestamp t) { out_->emit(std::move(value), t); }
    /// Side output number I, of the function's `side_types`.
    template <std::size_t I>
    auto side() {
        return side_emitter<std::tuple_element_t<I, std::tuple<Sides...>>>(*std::get<I>(sides_), time_);
    }

protected:
    template <class, class>
    friend class process_core;

    output<Out>* out_ = nullptr;
    std::tuple<output<Sides>*...> sides_{};
    timestamp time_ = timestamp::min();
};

}  // namespace detail

/// What a process function is told of the record or timer in hand, and where its results go. With side outputs their
/// types follow: `process_context<alert, tx>`.
///
/// Thread safety: unsafe; one subtask owns it.
/// Lifetime: of use inside the callback only.
template <class Out, class... Sides>
class process_context : public detail::output_context<Out, Sides...> {
public:
    /// The operator's watermark: no later record has a time at or below, unless it is late. While timers are called
    /// because of a watermark, it is that one. In event-time order it goes forward with the records and timers.
    timestamp watermark() const noexcept { return watermark_; }
    /// The time of the job's clock, read once per record or timer.
    timestamp processing_time() const { return scope_->processing_time(); }
    /// The key in hand. Errors: `error` if K is not the type that `key_by` gave.
    template <class K>
    const K& key() const {
        if (*key_type_ != typeid(K))
            throw error("key: the key has another type than the one asked for. Ask for the type that key_by returned.");
        return *static_cast<const K*>(key_);
    }

private:
    template <class, class>
    friend class detail::process_core;

    timestamp watermark_ = timestamp::min();
    detail::key_scope* scope_ = nullptr;
    const void* key_ = nullptr;
    const std::type_info* key_type_ = nullptr;
};

/// The same for a record of a broadcast stream: there is no key in hand, and broadcast state can be written.
template <class Out, class... Sides>
class broadcast_context : public detail::output_context<Out, Sides...> {
public:
    timestamp watermark() const noexcept { return watermark_; }
    template <class K2, class V>
    void put(const broadcast_state<K2, V>& state, const std::type_identity_t<K2>& key, std::type_identity_t<V> value) {
        state.column().put(key, std::move(value));
    }
    template <class K2, class V>
    void erase(const broadcast_state<K2, V>& state, const std::type_identity_t<K2>& key) {
        state.column().erase(key);
    }
    template <class K2, class V>
    void clear(const broadcast_state<K2, V>& state) {
        state.column().clear();
    }

private:
    template <class, class>
    friend class detail::process_core;

    timestamp watermark_ = timestamp::min();
};

namespace detail {

template <template <class, class...> class Context, class Out, class Sides>
struct context_with;
template <template <class, class...> class Context, class Out, class... Sides>
struct context_with<Context, Out, std::tuple<Sides...>> {
    using type = Context<Out, Sides...>;
};

/// The context that a function's `on_record` and `on_timer` get.
template <class Fn>
using process_context_of =
    typename context_with<process_context, typename Fn::output_type, typename side_types_of<Fn>::type>::type;
/// The context that its `on_broadcast` gets.
template <class Fn>
using broadcast_context_of =
    typename context_with<broadcast_context, typename Fn::output_type, typename side_types_of<Fn>::type>::type;

}  // namespace detail

}  // namespace runnel
