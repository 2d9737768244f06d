#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "runnel/sink/sink.hpp"

namespace runnel {

namespace detail {

template <class F, class T>
inline constexpr bool for_each_function =
    std::is_invocable_v<F&, const T&> || std::is_invocable_v<F&, const T&, timestamp>;

template <class T, class F>
class for_each_sink final : public sink<T> {
public:
    explicit for_each_sink(std::shared_ptr<F> f) : f_(std::move(f)) {}
    std::string name() const override { return "for_each"; }
    std::unique_ptr<sink_writer<T>> open(const sink_context&) override { return std::make_unique<writer>(f_); }

private:
    class writer final : public sink_writer<T> {
    public:
        explicit writer(std::shared_ptr<F> f) : f_(std::move(f)) {}
        progress write(batch<T>& records) override {
            const batch<T>& all = records;
            const T* const values = all.values();
            F& f = *f_;
            std::size_t i = all.cursor();
            try {
                for (const std::size_t n = all.size(); i < n; ++i) {
                    if constexpr (std::is_invocable_v<F&, const T&, timestamp>) f(values[i], all.time(i));
                    else f(values[i]);
                }
            } catch (...) {
                records.consume_until(i);  // Names the record.
                throw;
            }
            records.consume_until(i);
            return progress::done;
        }

    private:
        std::shared_ptr<F> f_;
    };

    std::shared_ptr<F> f_;
};

}  // namespace detail

/// See `for_each`.
template <class F>
class for_each_recipe {
public:
    explicit for_each_recipe(F f) : f_(std::make_shared<F>(std::move(f))) {}

    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        static_assert(detail::for_each_function<F, T>,
                      "runnel::for_each: the function cannot be called with a record of this stream; it takes "
                      "(const T&) or (const T&, runnel::timestamp)");
        if constexpr (detail::for_each_function<F, T>) return std::make_shared<detail::for_each_sink<T, F>>(f_);
        else return nullptr;
    }

private:
    std::shared_ptr<F> f_;
};

/// Calls `f(const T&)` or `f(const T&, timestamp)` for each record, one at a time, in order, on the job's threads.
///
/// Errors: an exception ends the job; the records after it are not seen.
/// Example: `stream.to(runnel::for_each([&](const click& c) { total += c.amount; }))`
template <class F>
for_each_recipe<F> for_each(F f) {
    return for_each_recipe<F>(std::move(f));
}

}  // namespace runnel
