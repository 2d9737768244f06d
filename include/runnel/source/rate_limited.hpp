#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runnel/source/source.hpp"

namespace runnel {

namespace detail {

/// How many records may be read when. Thread safety: safe.
class rate_limiter {
public:
    explicit rate_limiter(double records_per_second);
    /// At most `wanted`, and at least `least`, which is then owed.
    std::size_t take(std::size_t wanted, std::size_t least, timestamp now);
    /// Of what was taken, `n` records were not needed.
    void give_back(std::size_t n);
    /// When it is worth asking again, after a `take` that gave nothing.
    timestamp next(std::size_t wanted) const;

private:
    const double rate_;
    mutable std::mutex mutex_;
    double credit_ = 1;
    timestamp credited_until_ = timestamp::min();
};

std::string rate_limited_name(const std::string& inner, double records_per_second);
std::vector<std::string> rate_limit_problems(double records_per_second);

}  // namespace detail

/// A source read at a limited rate. See `rate_limited`.
template <class T>
class rate_limited_source final : public source<T> {
public:
    rate_limited_source(std::shared_ptr<source<T>> inner, double records_per_second)
        : inner_(std::move(inner)), rate_(records_per_second),
          limiter_(std::make_shared<detail::rate_limiter>(records_per_second)) {}

    std::string name() const override { return detail::rate_limited_name(inner_->name(), rate_); }
    std::vector<std::string> problems() const override {
        std::vector<std::string> found = inner_->problems();
        for (std::string& p : detail::rate_limit_problems(rate_)) found.push_back(std::move(p));
        return found;
    }
    bool is_replayable() const override { return inner_->is_replayable(); }
    std::vector<std::string> splits() override { return inner_->splits(); }
    std::unique_ptr<split_watch> watch(std::size_t known, const reader_context& context) override {
        return inner_->watch(known, context);
    }
    void passed(const std::vector<split_position>& positions) override { inner_->passed(positions); }
    source_condition condition() const override { return inner_->condition(); }
    std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                          const reader_context& context) override {
        return std::make_unique<reader>(inner_->open(id, position, context), limiter_, *context.clock);
    }

private:
    class reader final : public split_reader<T> {
    public:
        reader(std::unique_ptr<split_reader<T>> inner, std::shared_ptr<detail::rate_limiter> limiter, const clock& by)
            : inner_(std::move(inner)), limiter_(std::move(limiter)), clock_(by) {}

        poll_result poll(batch<T>& into, std::size_t limit) override {
            // Whether an idle split has become active is asked in any case: event time may hang on it.
            const std::size_t n = limiter_->take(limit, idle_ ? 1 : 0, clock_.now());
            if (n == 0) return poll_result::until(limiter_->next(limit));
            const std::size_t before = into.size();
            const poll_result r = inner_->poll(into, n);
            limiter_->give_back(n - (into.size() - before));
            idle_ = r.what == poll_result::kind::idle;
            return r;
        }
        std::string position() const override { return inner_->position(); }

    private:
        std::unique_ptr<split_reader<T>> inner_;
        std::shared_ptr<detail::rate_limiter> limiter_;
        const clock& clock_;
        bool idle_ = false;
    };

    std::shared_ptr<source<T>> inner_;
    double rate_;
    std::shared_ptr<detail::rate_limiter> limiter_;
};

/// Reads `from`, a source or a shared_ptr to one, at no more than `records_per_second` of the job's clock, all splits
/// together.
///
/// What was missed in the last tenth of a second is made up for, so that the rate is reached on average: in any d
/// seconds come at most `rate * d` records and those of a tenth of a second, at least one.
/// Checkpointed state: that of `from`.
template <class S>
auto rate_limited(S from, double records_per_second) {
    auto inner = detail::shared_source(std::move(from));
    using T = typename decltype(inner)::element_type::value_type;
    return rate_limited_source<T>(std::move(inner), records_per_second);
}

}  // namespace runnel
