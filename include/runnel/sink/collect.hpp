#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/timed.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// Appends to a vector of the caller. See `collect`.
template <class T, class Element>
class collect_sink final : public sink<T> {
public:
    explicit collect_sink(std::vector<Element>& into) : into_(&into) {}
    std::string name() const override { return "collect"; }
    std::unique_ptr<sink_writer<T>> open(const sink_context&) override { return std::make_unique<writer>(*into_); }

private:
    class writer final : public sink_writer<T> {
    public:
        explicit writer(std::vector<Element>& into) : into_(into) {}
        progress write(batch<T>& records) override {
            if constexpr (std::is_same_v<T, Element> && std::is_trivially_copyable_v<T>) {
                into_.insert(into_.end(), records.values() + records.cursor(), records.values() + records.size());
            } else {
                for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                    if constexpr (std::is_same_v<T, Element>) into_.push_back(records.take(i));
                    else into_.push_back({records.take(i), records.time(i)});
                }
            }
            records.consume_until(records.size());
            return progress::done;
        }

    private:
        std::vector<Element>& into_;
    };

    std::vector<Element>* into_;
};

/// Appends all records to `into`, in order; with their times if its elements are `timed<T>`.
///
/// Thread safety: `into` may be looked at once `job.wait()` has returned. Lifetime: `into` outlives the job.
/// Example: `std::vector<std::string> out; stream.to(runnel::collect(out));`
template <class T>
collect_sink<T, T> collect(std::vector<T>& into) {
    return collect_sink<T, T>(into);
}
template <class T>
collect_sink<T, timed<T>> collect(std::vector<timed<T>>& into) {
    return collect_sink<T, timed<T>>(into);
}

/// Keeps all records, in order, and shows them also while the job runs. Copies are the same collection.
///
/// Thread safety: safe.
/// Lifetime: the records live as long as the last copy.
/// Example: `runnel::collected<int> out; stream.to(out); ... job.wait(); use(out.values());`
template <class T>
class collected final : public sink<T> {
public:
    collected() : held_(std::make_shared<held>()) {}

    std::string name() const override { return "collected"; }
    std::unique_ptr<sink_writer<T>> open(const sink_context&) override { return std::make_unique<writer>(held_); }

    /// A copy of what has come so far.
    std::vector<T> values() const {
        const std::lock_guard lock(held_->mutex);
        return held_->values;
    }
    /// The same with the records' times.
    std::vector<timed<T>> timed_values() const {
        const std::lock_guard lock(held_->mutex);
        std::vector<timed<T>> all;
        all.reserve(held_->values.size());
        for (std::size_t i = 0; i < held_->values.size(); ++i) all.push_back({held_->values[i], held_->times[i]});
        return all;
    }
    /// Moves out what has come so far.
    std::vector<T> take() {
        const std::lock_guard lock(held_->mutex);
        held_->times.clear();
        return std::exchange(held_->values, {});
    }
    std::size_t size() const {
        const std::lock_guard lock(held_->mutex);
        return held_->values.size();
    }

private:
    struct held {
        mutable std::mutex mutex;
        std::vector<T> values;          // under mutex
        std::vector<timestamp> times;   // under mutex
    };
    class writer final : public sink_writer<T> {
    public:
        explicit writer(std::shared_ptr<held> to) : to_(std::move(to)) {}
        progress write(batch<T>& records) override {
            const std::lock_guard lock(to_->mutex);
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                to_->times.push_back(records.time(i));
                to_->values.push_back(records.take(i));
            }
            records.consume_until(records.size());
            return progress::done;
        }

    private:
        std::shared_ptr<held> to_;
    };

    std::shared_ptr<held> held_;
};

}  // namespace runnel
