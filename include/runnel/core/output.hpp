#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runnel/core/batch.hpp"
#include "runnel/core/receiver.hpp"

namespace runnel {

/// What is known of an output whatever the type of its records: sends them on, and signals behind them.
/// Thread safety: unsafe; one subtask owns it.
class output_base {
public:
    output_base(const output_base&) = delete;
    output_base& operator=(const output_base&) = delete;

    /// True if another record may be processed; sends the batch on when it is full.
    bool ready() { return (!sending_ && records_->size() < limit_) || send() == progress::done; }
    /// Sends what has been gathered, however little.
    progress send();
    /// Sends the gathered records, then the signal; the usual end of an operator's own signal handler.
    progress forward_watermark(timestamp w);
    progress forward_activity(activity a);
    progress forward_barrier(checkpoint_id id);
    progress flush();
    /// Sends the signal ahead of the gathered records.
    progress announce(activity a);

    /// The batch being filled.
    batch_base& gathered() noexcept { return *records_; }
    std::size_t batch_size() const noexcept { return limit_; }
    /// Records handed on so far.
    std::uint64_t count() const noexcept { return count_; }
    /// True once the receiver has thrown.
    bool failed() const noexcept { return failed_; }
    /// Before the first record. Precondition: `next` takes records of this output's type.
    void connect(receiver_base& next, std::size_t batch_size) noexcept {
        next_ = &next;
        limit_ = batch_size;
    }

protected:
    explicit output_base(std::size_t batch_size) noexcept : limit_(batch_size) {}
    ~output_base() = default;

    /// The batch of the derived class.
    batch_base* records_ = nullptr;
    receiver_base* next_ = nullptr;
    std::size_t limit_;
    std::uint64_t count_ = 0;
    /// The batch has been refused, perhaps half-way: nothing may be added until it is through.
    bool sending_ = false;

private:
    template <class F>
    progress to_next(F f);
    bool failed_ = false;
};

/// Where an operator puts its results: gathers them into batches and hands those to the next receiver.
///
/// `emit` always takes the record. An operator asks `ready()` before it starts on the next input record
/// (or the next window, timer, ...): `false` means that downstream has no room, and the operator returns
/// `progress::blocked`, to be called again. So the memory held is one batch plus the results of one record.
/// Thread safety: unsafe; one subtask owns it.
template <class T>
class output final : public output_base {
public:
    explicit output(std::size_t batch_size = 512) noexcept : output_base(batch_size) { records_ = &current_; }

    void emit(T value, timestamp t) { current_.append(std::move(value), t); }

    /// The same, a load shorter: operators ask before each record.
    bool ready() { return (!sending_ && current_.size() < limit_) || send() == progress::done; }

    /// The batch being filled, for operators that write columns directly; mind `ready()` and the bounds.
    batch<T>& current() noexcept { return current_; }

private:
    batch<T> current_;
};

/// The outputs of one stage, which all get every signal, each once, over as many calls as it takes.
/// Thread safety: unsafe; one subtask owns it.
class output_group {
public:
    void add(output_base& o) { outputs_.push_back(&o); }
    std::size_t size() const noexcept { return outputs_.size(); }
    /// True once one of the receivers has thrown.
    bool failed() const noexcept;
    output_base& operator[](std::size_t i) noexcept { return *outputs_[i]; }

    progress forward_watermark(timestamp w);
    progress forward_activity(activity a);
    progress forward_barrier(checkpoint_id id);
    progress flush();
    progress announce(activity a);

    /// Remembers how much the outputs hold.
    void mark();
    /// Takes away what has been emitted since. Precondition: none of it has been sent.
    void withdraw() noexcept;

private:
    template <class F>
    progress each(F f);

    std::vector<output_base*> outputs_;
    std::vector<std::size_t> marks_;
    /// How many have got the signal that is on its way.
    std::size_t step_ = 0;
};

}  // namespace runnel
