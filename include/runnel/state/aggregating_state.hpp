#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/state/value_state.hpp"

namespace runnel {

namespace detail {

/// The types of an aggregate.
template <class Agg>
struct aggregating_of {
    using accumulator = std::remove_cvref_t<decltype(std::declval<const Agg&>().create())>;
    using result = std::remove_cvref_t<decltype(std::declval<const Agg&>().result(std::declval<const accumulator&>()))>;
};

/// An aggregate and the column of its accumulators, without the types of either.
template <class In, class R>
class aggregating_base {
public:
    virtual ~aggregating_base() = default;
    virtual void add(const In& record) = 0;
    virtual std::optional<R> result() = 0;
    virtual void clear() = 0;
};

template <class In, class R, class Agg>
class aggregating final : public aggregating_base<In, R> {
public:
    using accumulator = typename aggregating_of<Agg>::accumulator;

    aggregating(value_column<accumulator>& column, Agg aggregate) : column_(column), agg_(std::move(aggregate)) {}
    void add(const In& record) override {
        agg_.add(column_.get_or_make([this] { return agg_.create(); }), record);
    }
    std::optional<R> result() override {
        const accumulator* a = column_.find();
        if (!a) return std::nullopt;
        return agg_.result(*a);
    }
    void clear() override { column_.clear(); }

private:
    value_column<accumulator>& column_;
    Agg agg_;
};

}  // namespace detail

/// An aggregate per key, `count()`, `sum(f)`, ... or one of your own, of what is added to it. Made by
/// `state_setup::aggregating`.
///
/// As `value_state` with the accumulator as its value; adding counts as a write.
/// Thread safety: unsafe; one subtask owns it.
template <class In, class R>
class aggregating_state {
public:
    aggregating_state() = default;
    explicit aggregating_state(std::shared_ptr<detail::aggregating_base<In, R>> of) : of_(std::move(of)) {}

    /// The result of what has been added so far; none if there is nothing.
    std::optional<R> get() const { return of().result(); }
    void add(const In& record) { of().add(record); }
    void clear() { of().clear(); }

private:
    detail::aggregating_base<In, R>& of() const { return detail::declared(of_.get(), "aggregating_state"); }

    std::shared_ptr<detail::aggregating_base<In, R>> of_;
};

}  // namespace runnel
