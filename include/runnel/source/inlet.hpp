#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/source/inlet_queue.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

/// How much an inlet takes ahead of its job. Use designated initialisers.
struct inlet_options {
    /// Records that may wait for the job, each at the cost of a batch's slot; what comes then blocks or is refused.
    std::size_t capacity = 4096;
};

/// A source that the host program pushes into, from any thread. Copies are handles of the same inlet: one goes into
/// the pipeline.
///
///     runnel::inlet<click> clicks({.capacity = 10'000});
///     p.from(clicks)...
///     clicks.push({"ann", "/"});
///     clicks.close();
///
/// Records wait in the inlet until the job reads them, at most `capacity`: what comes then waits its turn (`push`,
/// `push_async`) or is refused (`try_push`). That is so before the start, too. One job reads an inlet, once; when it
/// has ended, however, every push throws or reports `inlet_closed`, those that wait included.
///
/// A record has the event time that was pushed with it if the pipeline takes times from the source,
/// `event_time(strategy)`; one that was pushed without is then a bad record. `timestamp::min()` counts as no time.
/// Thread safety: safe.
/// Order: records of one thread keep their order; pushes that wait are served in the order in which they came.
/// Complexity: O(1); some 30 ns when nobody else pushes, more when the job sleeps and has to be woken.
/// Delivery: at most once. What was pushed cannot be read again, so restoring is refused.
template <class T>
class inlet final : public source<T> {
public:
    explicit inlet(inlet_options options = {})
        : options_(options), queue_(std::make_shared<queue>(options.capacity)) {}

    /// Hands a record over; waits for room. Not to be called from inside the job that reads.
    /// Errors: `inlet_closed`.
    void push(T value) { queue_->push(std::move(value), queue::no_time); }
    void push(T value, timestamp t) { queue_->push(std::move(value), t); }

    /// Hands a record over unless there is no room: then false, and `value` is as it was.
    /// Errors: `inlet_closed`.
    bool try_push(T&& value) { return queue_->try_push(std::move(value), queue::no_time); }
    bool try_push(T&& value, timestamp t) { return queue_->try_push(std::move(value), t); }
    bool try_push(const T& value) { return queue_->try_push(value, queue::no_time); }
    bool try_push(const T& value, timestamp t) { return queue_->try_push(value, t); }

    /// Hands a record over as soon as there is room, without waiting, and then calls `done(std::exception_ptr)` once:
    /// with null, or with an `inlet_closed`. The call comes from inside this function or from another thread, a thread
    /// of the job for one; it must be quick, must not throw, and may push, but not wait for it.
    /// What waits is kept without bound: who pushes much waits for one call before the next.
    template <class Done>
    void push_async(T value, Done done) {
        push_async(std::move(value), queue::no_time, std::move(done));
    }
    template <class Done>
    void push_async(T value, timestamp t, Done done) {
        queue_->push_async(std::move(value), t, [done = std::move(done)](detail::push_end how) mutable {
            done(detail::refusal(how));
        });
    }

    /// Ends the input: what has been taken is still read, pushes that wait are refused. Once is enough.
    void close() { queue_->close(); }
    /// False once pushes throw. True may be out of date at once.
    bool is_open() const { return queue_->is_open(); }
    /// Records that were taken and are not in the pipeline yet; after the end of the job: that never came into it.
    std::size_t unread() const { return queue_->unread(); }

    std::string name() const override { return "inlet"; }
    std::vector<std::string> problems() const override {
        if (options_.capacity == 0) return {"inlet: the capacity is 0; at least 1 is needed"};
        return {};
    }
    bool is_replayable() const override { return false; }
    std::vector<std::string> splits() override { return {"0"}; }
    std::unique_ptr<split_reader<T>> open(const std::string&, const std::string* position,
                                          const reader_context& context) override {
        auto made = std::make_unique<reader>(queue_, context);
        // That ends it, so that nobody waits for the job.
        if (position && !context.at_most_once) detail::refuse_inlet_restore();
        return made;
    }

private:
    using queue = detail::inlet_queue<T>;

    class reader final : public split_reader<T> {
    public:
        reader(std::shared_ptr<queue> from, const reader_context& context)
            : from_(std::move(from)), context_(context) {
            from_->start(context.wake);
        }
        ~reader() override { from_->end(); }
        poll_result poll(batch<T>& into, std::size_t limit) override { return from_->poll(into, limit, context_); }
        std::string position() const override { return {}; }

    private:
        std::shared_ptr<queue> from_;
        reader_context context_;
    };

    inlet_options options_;
    std::shared_ptr<queue> queue_;
};

}  // namespace runnel
