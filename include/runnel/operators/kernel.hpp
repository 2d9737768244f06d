#pragma once

#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/operators/operator.hpp"

namespace runnel {

/// Replaces a record by f(record).
template <class F>
struct map_step {
    static constexpr const char* kind = "map";
    static constexpr bool at_most_one = true;
    template <class T>
    using result = std::remove_cvref_t<std::invoke_result_t<F&, T&&>>;
    F f;
    template <class T, class Next>
    void operator()(T&& value, timestamp t, Next next) {
        next(std::invoke(f, std::forward<T>(value)), t);
    }
};

/// Keeps the records for which f(record) is true.
template <class F>
struct filter_step {
    static constexpr const char* kind = "filter";
    static constexpr bool at_most_one = true;
    template <class T>
    using result = T;
    F f;
    template <class T, class Next>
    void operator()(T&& value, timestamp t, Next next) {
        if (std::invoke(f, std::as_const(value))) next(std::forward<T>(value), t);
    }
};

/// Shows each record to f and passes it on.
template <class F>
struct peek_step {
    static constexpr const char* kind = "peek";
    static constexpr bool at_most_one = true;
    template <class T>
    using result = T;
    F f;
    template <class T, class Next>
    void operator()(T&& value, timestamp t, Next next) {
        std::invoke(f, std::as_const(value));
        next(std::forward<T>(value), t);
    }
};

/// Replaces a record by the elements of the range f(record).
template <class F>
struct flat_map_step {
    static constexpr const char* kind = "flat_map";
    static constexpr bool at_most_one = false;
    template <class T>
    using range = std::invoke_result_t<F&, T&&>;
    template <class T>
    using result = std::remove_cvref_t<decltype(*std::begin(std::declval<range<T>&>()))>;
    F f;
    template <class T, class Next>
    void operator()(T&& value, timestamp t, Next next) {
        decltype(auto) elements = std::invoke(f, std::forward<T>(value));
        for (auto&& element : elements) {
            // The range is a temporary of ours unless f returned a reference: then its elements stay where they are.
            if constexpr (std::is_reference_v<range<T>>)
                next(std::as_const(element), t);
            else
                next(std::move(element), t);
        }
    }
};

namespace detail {

template <class T, class... Steps>
struct chain_result {
    using type = T;
};
template <class T, class Step, class... Rest>
struct chain_result<T, Step, Rest...> {
    using type = typename chain_result<typename Step::template result<T>, Rest...>::type;
};

}  // namespace detail

/// A run of stateless steps, fused: one pass over the batch, each record through all steps, without a call
/// or a copy in between that the compiler cannot see through.
///
/// Order: kept. Checkpointed state: none.
template <class In, class... Steps>
class kernel {
public:
    using input_type = In;
    using output_type = typename detail::chain_result<In, Steps...>::type;

    kernel(std::tuple<Steps...> steps, std::vector<std::string> names)
        : steps_(std::move(steps)), names_(std::move(names)) {}

    void open(const operator_context& context) {
        subtask_ = context.subtask;
        keep_ = context.keeps_failed();
    }

    progress process(batch<In>& in, output<output_type>& out) {
        batch<output_type>& to = out.current();
        while (!in.empty()) {
            if (!out.ready()) return progress::blocked;
            to.reserve(out.batch_size());  // Each time: who got the last batch may have kept its columns.
            to.widen(in.min_time(), in.max_time());
            if constexpr ((Steps::at_most_one && ...)) {
                // Not more results than records: room for `n` is known to be there.
                const std::size_t n = std::min(in.remaining(), out.batch_size() - to.size());
                run_as_told<slot_writer>(in, in.cursor() + n, to);
            } else {
                run_as_told<appender>(in, in.cursor() + 1, to);
            }
        }
        return progress::done;
    }

private:
    /// Constructs results in reserved slots; pointers in registers, the size is set at the end.
    class slot_writer {
    public:
        explicit slot_writer(batch<output_type>& to)
            : to_(to), value_(to.mutable_values() + to.size()), time_(to.times() + to.size()), first_(value_) {}
        slot_writer(const slot_writer&) = delete;
        slot_writer& operator=(const slot_writer&) = delete;
        ~slot_writer() { to_.commit(static_cast<std::size_t>(value_ - first_)); }
        template <class V>
        void put(V&& value, timestamp t) {
            std::construct_at(value_, std::forward<V>(value));
            *time_ = t;
            ++value_;
            ++time_;
        }

    private:
        batch<output_type>& to_;
        output_type* value_;
        timestamp* time_;
        output_type* first_;
    };

    class appender {
    public:
        explicit appender(batch<output_type>& to) : to_(to) {}
        template <class V>
        void put(V&& value, timestamp t) {
            to_.append_raw(std::forward<V>(value), t);
        }

    private:
        batch<output_type>& to_;
    };

    template <std::size_t I, class Writer>
    struct next_step {
        std::tuple<Steps...>& steps;
        Writer& to;
        std::size_t& at;
        template <class V>
        void operator()(V&& value, timestamp t) const {
            if constexpr (I == sizeof...(Steps)) {
                to.put(std::forward<V>(value), t);
            } else {
                at = I;
                std::get<I>(steps)(std::forward<V>(value), t, next_step<I + 1, Writer>{steps, to, at});
            }
        }
    };

    template <class Writer>
    void run_as_told(batch<In>& in, std::size_t end, batch<output_type>& to) {
        // What is copied anyway stays as it was.
        if constexpr (!std::is_trivially_copyable_v<In> && std::is_copy_constructible_v<In>)
            if (keep_) [[unlikely]] return run<Writer, true>(in, end, to);
        run<Writer, false>(in, end, to);
    }

    /// `Keep`: the record that fails stays as it was. No results of it are left.
    template <class Writer, bool Keep>
    void run(batch<In>& in, std::size_t end, batch<output_type>& to) {
        std::size_t i = in.cursor();
        std::size_t at = 0;
        const std::size_t results = to.size();
        try {
            Writer writer(to);
            const next_step<0, Writer> first{steps_, writer, at};
            for (; i < end; ++i) {
                if constexpr (Keep)
                    first(In(std::as_const(in).value(i)), in.time(i));
                else
                    first(in.take(i), in.time(i));
            }
        } catch (...) {
            // Records with several results come one at a time; of the others none has been written yet.
            if constexpr (!(Steps::at_most_one && ...)) to.truncate(results);
            in.consume_until(i);
            detail::rethrow_with_place(names_[at], subtask_, in.time(i));
        }
        in.consume_until(end);
    }

    std::tuple<Steps...> steps_;
    std::vector<std::string> names_;
    std::size_t subtask_ = 0;
    bool keep_ = false;
};

/// A kernel without steps is never built; streams without steps are lowered as they are.
template <class In>
class kernel<In>;

}  // namespace runnel
