#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

/// How a generated source is cut up and paced.
struct generator_options {
    /// Number of splits; each can be read by another subtask.
    std::size_t splits = 1;
    /// false: split s makes events s, s + splits, s + 2 * splits, ..., so that all splits stand at about the same
    /// event time. true: each split makes a contiguous range; only for a bounded source.
    bool contiguous = false;
    /// Events per second of the clock, all splits together; 0: as fast as they are taken. Event k is due k / rate
    /// after the start; what is overdue after a stall is made at once.
    double rate = 0;
};

namespace detail {

/// The schedule of one split: when its events are due. Thread safety: unsafe.
class pacer {
public:
    /// Event k of this split is due at `start` + (k * stride + offset) / rate seconds.
    pacer(timestamp start, double rate, std::size_t stride, std::size_t offset)
        : start_(start), rate_(rate), stride_(stride), offset_(offset) {}
    timestamp due(std::uint64_t k) const noexcept;
    /// How many of the events from k on, at most `limit`, are due at `now`.
    std::size_t count_due(std::uint64_t k, std::size_t limit, timestamp now) const noexcept;

private:
    timestamp start_;
    double rate_;
    std::size_t stride_;
    std::size_t offset_;
};

std::vector<std::string> generator_problems(std::uint64_t count, const generator_options& options);
/// Index of the first event of a contiguous split.
std::uint64_t contiguous_first(std::uint64_t count, std::size_t splits, std::size_t split) noexcept;
std::string encode_generator_position(std::uint64_t done, std::size_t splits);
/// Throws `error` if the position belongs to another number of splits or lies behind `total` events.
std::uint64_t decode_generator_position(const std::string& position, std::size_t splits, std::uint64_t total);

}  // namespace detail

/// Calls a function with 0, 1, 2, ... and reads what it returns. See `generate`.
///
/// Replayable if the function's result depends on its argument alone: a split's position is a count.
/// Thread safety: distinct objects: safe, shared objects: unsafe. Each split works on a copy of the function.
template <class F>
class generator_source : public source<std::remove_cvref_t<std::invoke_result_t<F&, std::uint64_t>>> {
public:
    using value_type = std::remove_cvref_t<std::invoke_result_t<F&, std::uint64_t>>;

    generator_source(std::uint64_t count, F f, generator_options options)
        : f_(std::move(f)), count_(count), options_(options) {}

    std::string name() const override { return "generate"; }
    std::vector<std::string> problems() const override { return detail::generator_problems(count_, options_); }
    std::vector<std::string> splits() override {
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < options_.splits; ++i) ids.push_back(std::to_string(i));
        return ids;
    }
    std::unique_ptr<split_reader<value_type>> open(const std::string& id, const std::string* position,
                                                   const reader_context& context) override {
        const std::size_t split = std::stoul(id);
        const std::size_t n = options_.splits;
        std::uint64_t first = split;
        std::uint64_t stride = n;
        std::uint64_t total = count_ / n + (split < count_ % n ? 1 : 0);
        if (options_.contiguous) {
            first = detail::contiguous_first(count_, n, split);
            stride = 1;
            total = detail::contiguous_first(count_, n, split + 1) - first;
        }
        const std::uint64_t done = position ? detail::decode_generator_position(*position, n, total) : 0;
        return std::make_unique<reader>(f_, first, stride, done, total, options_, split, context);
    }

private:
    class reader final : public split_reader<value_type> {
    public:
        reader(const F& f, std::uint64_t first, std::uint64_t stride, std::uint64_t done, std::uint64_t total,
               const generator_options& options, std::size_t split, const reader_context& context)
            : f_(f), first_(first), stride_(stride), done_(done), opened_at_(done), total_(total),
              splits_(options.splits), clock_(options.rate > 0 ? context.clock : nullptr),
              pacer_(clock_ ? clock_->now() : timestamp(), options.rate, options.splits, split) {}

        poll_result poll(batch<value_type>& into, std::size_t limit) override {
            std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(limit, total_ - done_));
            if (clock_) n = pacer_.count_due(done_ - opened_at_, n, clock_->now());
            if (stride_ == 1) fill(into, n, 1);
            else fill(into, n, stride_);
            done_ += n;
            if (done_ == total_) return poll_result::finished();
            if (n < limit) return poll_result::until(pacer_.due(done_ - opened_at_));
            return poll_result::more();
        }
        std::string position() const override { return detail::encode_generator_position(done_, splits_); }

    private:
        void fill(batch<value_type>& into, std::size_t n, std::uint64_t stride) {
            const std::uint64_t from = first_ + done_ * stride;
            into.append_made(
                n, [&](std::size_t k) -> value_type { return f_(from + k * stride); }, timestamp());
        }

        F f_;
        std::uint64_t first_;
        std::uint64_t stride_;
        std::uint64_t done_;
        std::uint64_t opened_at_;
        std::uint64_t total_;
        std::size_t splits_;
        const clock* clock_;
        detail::pacer pacer_;
    };

    F f_;
    std::uint64_t count_;
    generator_options options_;
};

/// A bounded source without end in sight: 2^64 - 1 events.
inline constexpr std::uint64_t unbounded = std::numeric_limits<std::uint64_t>::max();

/// Reads f(0), f(1), ..., f(count - 1); `f` takes a std::uint64_t and returns the record.
/// Example: `p.from(runnel::generate(1'000'000, [](std::uint64_t i) { return reading{i % 100, i}; }))`
template <class F>
    requires std::is_invocable_v<F&, std::uint64_t>
generator_source<F> generate(std::uint64_t count, F f, generator_options options = {}) {
    static_assert(!std::is_void_v<std::invoke_result_t<F&, std::uint64_t>>,
                  "runnel::generate: the function returns nothing; it takes a std::uint64_t and returns a record");
    return {count, std::move(f), options};
}

}  // namespace runnel
