#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/core/failure.hpp"
#include "runnel/operators/async.hpp"
#include "runnel/operators/async_list.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/saved_layout.hpp"
#include "runnel/state/table.hpp"

namespace runnel {

namespace detail {

/// Stands for the key function of a stream that has none.
struct without_key {};

template <class KeyFn, class T>
struct async_key {
    using type = std::remove_cvref_t<std::invoke_result_t<const KeyFn&, const T&>>;
};
template <class T>
struct async_key<without_key, T> {
    using type = char;
};

}  // namespace detail

/// Replaces each record by the answer that `f(const T&, completion<R>)` gets for it, now or later, from any thread.
///
/// Records that are under way are kept in a list in the order in which they came. Watermarks and signs of activity that
/// come meanwhile wait behind the records before them: they cut the list into segments, and only records of the first
/// segment are sent on. With a key, a record waits until the one before it of the same key has been answered.
/// Order: that of the records, or, unordered, any inside a segment; per key always kept. Late records: none, it knows
/// no windows. Checkpointed state: the records under way, which are asked again after a restore, each with the
/// watermark that it came behind: keyed "in flight", or local without a key; local "watermark", the last one and
/// whether it waits.
/// Complexity: O(1) a record, O(log n) for one that is asked again.
template <class T, class R, class F, class KeyFn = detail::without_key>
class async_operator {
    static constexpr bool keyed = !std::is_same_v<KeyFn, detail::without_key>;
    using K = typename detail::async_key<KeyFn, T>::type;

public:
    using input_type = T;
    using output_type = R;

    async_operator(F f, async_options options, KeyFn key_of = {})
        : f_(std::move(f)), options_(options), key_of_(std::move(key_of)) {}
    /// A new instance, with nothing under way.
    async_operator(const async_operator& other)
        : f_(other.f_), options_(other.options_), key_of_(other.key_of_) {}
    async_operator& operator=(const async_operator&) = delete;
    ~async_operator() {
        if (inbox_) inbox_->close();
        while (call* c = order_.front()) remove(*c);
    }

    std::string text() const { return options_.text(); }
    std::vector<std::string> problems() const { return options_.problems(); }

    void open(const operator_context& context) {
        context_ = context;
        inbox_ = std::make_shared<detail::async_inbox<R>>(context.wake);
        // Behind async_map, `retry` means the same as in its options.
        if (context.failures && options_.retry.times == 0)
            options_.retry = {context.failures->policy().retries, context.failures->policy().backoff};
    }

    progress process(batch<T>& in, output<R>& out) {
        if (resume(out) == progress::blocked) return progress::blocked;
        look_at_clock();
        ask_waiting();
        for (std::size_t i = in.cursor(); i < in.size(); ++i) {
            in.consume_until(i);
            if (under_way_ >= options_.capacity) {
                try {
                    if (step(out) == progress::blocked) return progress::blocked;
                } catch (...) {
                    in.consume_until(in.size());  // None of these is to blame, or to be left out for it.
                    throw;
                }
                if (under_way_ >= options_.capacity) return wait(out);
            }
            admit(in.take(i), in.time(i));
            ask_waiting();
        }
        return progress::done;
    }

    progress tick(timestamp, output<R>& out) {
        if (resume(out) == progress::blocked) return progress::blocked;
        look_at_clock();
        return step(out);
    }
    timestamp next_tick() const {
        timestamp next = asked_.empty() ? timestamp::max() : asked_.front()->deadline;
        if (!again_.empty()) next = std::min(next, again_.begin()->first);
        return next;
    }

    progress advance(timestamp w, output<R>& out) {
        if (resume(out) == progress::blocked) return progress::blocked;
        look_at_clock();
        if (step(out) == progress::blocked) return progress::blocked;
        if (w == timestamp::max()) return under_way_ == 0 ? progress::done : wait(out);
        watermark_ = w;
        passes_ = under_way_ == 0;
        if (!passes_) hold(w);
        return progress::done;
    }
    /// One that has to wait is sent on later, by the operator itself.
    timestamp output_watermark(timestamp w) const {
        return passes_ || w == timestamp::max() ? w : timestamp::min();
    }
    progress on_activity(activity a, output<R>& out) {
        if (!forwarding_) {
            if (resume(out) == progress::blocked) return progress::blocked;
            look_at_clock();
            if (step(out) == progress::blocked) return progress::blocked;
            if (under_way_ != 0) {
                hold(a);
                return progress::done;
            }
        }
        forwarding_ = forward(a, out) == progress::blocked;
        return forwarding_ ? progress::blocked : progress::done;
    }

    void save(snapshot_writer& to) const {
        if constexpr (encodable<T>) {
            // Encoded at the barrier: what is under way is bounded by the capacity.
            std::string local;
            std::uint64_t position = 0;
            for (const call* c = order_.front(); c; c = order_.next(*c)) {
                std::string* bytes = &local;
                if constexpr (keyed)
                    bytes = &to.keyed("in flight", key_group_of(key_of_(c->input), context_.key_groups));
                codec<timestamp>::encode(c->watermark, *bytes);
                codec<std::uint64_t>::encode(position++, *bytes);
                codec<timestamp>::encode(c->time, *bytes);
                codec<T>::encode(c->input, *bytes);
            }
            if constexpr (!keyed) to.local("in flight") = std::move(local);
            std::string& bytes = to.local("watermark");
            codec<timestamp>::encode(watermark_, bytes);
            codec<bool>::encode(segments_.size() > 1, bytes);
            save_layout<T>(to, "in flight");
            if constexpr (keyed) save_key_layout<K>(to);
        } else {
            throw error("the state of async_map cannot be saved: its record type has no codec. Describe the type with "
                        "BOOST_DESCRIBE_STRUCT, or specialise runnel::codec for it.");
        }
    }
    void load(snapshot_reader& from) {
        if constexpr (encodable<T>) {
            std::vector<saved> all;
            const saved_values<T> inputs(from, "in flight");
            auto read = [&](std::string_view bytes) {
                for (byte_reader in(bytes); !in.empty();) all.push_back(decode(in, inputs));
            };
            if constexpr (keyed) {
                check_key_layout<K>(from);
                from.keyed("in flight", [&](key_group g, std::string_view bytes) {
                    const std::size_t before = all.size();
                    read(bytes);
                    for (std::size_t i = before; inputs.converts() && i < all.size(); ++i)
                        detail::check_group("in flight", g, key_group_of(key_of_(all[i].input), context_.key_groups));
                });
            } else {
                // As an edge without a key goes on from subtask i of n: to i mod m of m.
                std::size_t i = 0;
                from.local("in flight", [&](std::string_view bytes) {
                    if (i++ % context_.parallelism == context_.subtask) read(bytes);
                });
            }
            // Whoever held a watermark back owes it; nobody knows more than the one that has come the least far.
            bool held = false;
            timestamp lowest = timestamp::max();
            from.local("watermark", [&](std::string_view bytes) {
                byte_reader in(bytes);
                lowest = std::min(lowest, codec<timestamp>::decode(in));
                held |= codec<bool>::decode(in);
            });
            std::stable_sort(all.begin(), all.end(), [](const saved& a, const saved& b) {
                return std::tie(a.watermark, a.position) < std::tie(b.watermark, b.position);
            });
            for (saved& s : all) {
                if (const timestamp w = std::min(s.watermark, lowest); w > watermark_) {
                    if (under_way_ != 0) hold(w);
                    watermark_ = w;
                }
                admit(std::move(s.input), s.time);
            }
            if (held && lowest > watermark_) hold(lowest);
            if (!all.empty() || held) watermark_ = lowest;
        }
    }

private:
    using request = detail::async_request<R>;
    using signal = std::variant<timestamp, activity>;

    struct saved {
        timestamp watermark;
        std::uint64_t position;
        timestamp time;
        T input;
    };
    struct call : request {
        call(std::shared_ptr<detail::async_inbox<R>> inbox, T value, timestamp t, timestamp w)
            : request(std::move(inbox)), input(std::move(value)), time(t), watermark(w) {}
        const T input;
        const timestamp time;
        const timestamp watermark;  // that it came behind
        std::uint64_t segment = 0;
        bool is_answered = false;
        std::uint32_t attempt = 0;
        std::size_t failures = 0;
        timestamp deadline = timestamp::max();
        std::exception_ptr thrown;  // by f itself
        call* next_of_key = nullptr;
        detail::list_links<call> in_order;
        detail::list_links<call> in_asked;
        std::shared_ptr<call> self;  // as long as it is under way
    };
    struct segment {
        std::size_t under_way = 0;
        std::optional<signal> end;  // the last segment has none
    };

    // Beginning.

    void admit(T&& value, timestamp t) {
        call* of_no_key = nullptr;
        call** last = &of_no_key;
        if constexpr (keyed) {
            // If the key function throws, the record must still be whole.
            const K key = key_of_(std::as_const(value));
            last = &last_of_key_.get_or_create_with(key, last_of_key_.hash(key), [] { return nullptr; });
        }
        auto made = std::make_shared<call>(inbox_, std::move(value), t, watermark_);
        call& c = *made;
        call* const before = std::exchange(*last, &c);
        if (before) before->next_of_key = &c;
        else waiting_.push_back(&c);
        c.segment = first_segment_ + segments_.size() - 1;
        ++segments_.back().under_way;
        order_.push_back(c);
        ++under_way_;
        c.self = std::move(made);
    }

    /// False if there was nothing to ask. (More than the capacity are under way only after a restore in fewer
    /// subtasks.)
    bool ask_waiting() {
        bool any = false;
        for (; !waiting_.empty() && asking_ < options_.capacity; any = true) {
            call& c = *waiting_.front();
            waiting_.pop_front();
            ++asking_;
            ask(c);
        }
        return any;
    }

    void ask(call& c) {
        const std::uint32_t attempt = ++c.attempt;
        c.value.reset();
        c.failure = nullptr;
        c.thrown = nullptr;
        if (options_.timeout != duration::zero()) {
            c.deadline = now_ + options_.timeout;
            asked_.push_back(c);
        }
        c.open.store(attempt, std::memory_order_release);
        try {
            std::invoke(f_, std::as_const(c.input), completion<R>(c.self, attempt));
        } catch (...) {
            // What f was given has perhaps been answered by being dropped; this says why.
            c.thrown = std::current_exception();
            if (c.claim(attempt)) inbox_->put(c.self);
        }
    }

    // Ending.

    /// Takes in what has been answered, gives up what has taken too long, asks what is due, and sends on what can be.
    progress step(output<R>& out) {
        do take_answers();
        while (ask_waiting());  // Some may have been answered inside the function.
        return release(out);
    }

    void take_answers() {
        std::shared_ptr<request> answered = inbox_->take();
        while (answered) {
            call& c = static_cast<call&>(*answered);
            answered = std::exchange(answered->next, nullptr);
            asked_.erase(c);
            if (c.value) finish(c);
            else failed(c, c.thrown ? c.thrown : c.failure ? c.failure : dropped());
        }
        while (!asked_.empty() && asked_.front()->deadline <= now_) {
            call& c = *asked_.front();
            asked_.erase(c);
            if (c.claim(c.attempt)) failed(c, timed_out());
        }
        while (!again_.empty() && again_.begin()->first <= now_) {
            call& c = *again_.begin()->second;
            again_.erase(again_.begin());
            ask(c);
        }
    }

    void failed(call& c, const std::exception_ptr& why) {
        if (c.failures < options_.retry.times) {
            duration wait = options_.retry.backoff;
            for (std::size_t i = 0; i < c.failures && wait < duration::max() / 2; ++i) wait *= 2;
            ++c.failures;
            again_.emplace(now_ + wait, &c);
            return;
        }
        try {
            std::rethrow_exception(why);
        } catch (...) {
            if (!context_.failures) detail::rethrow_with_place(context_.name, context_.subtask, c.time);
            (void)context_.failures->failed(&c.input, c.time, {}, false);  // Throws, or leaves the record out.
        }
        unflushed_ = true;
        finish(c);
    }

    void finish(call& c) {
        c.is_answered = true;
        --asking_;
        if (!options_.ordered && c.segment == first_segment_) ready_.push_back(&c);
        if constexpr (keyed) {
            if (c.next_of_key) {
                waiting_.push_back(c.next_of_key);
            } else {
                const K key = key_of_(c.input);
                last_of_key_.erase(key, last_of_key_.hash(key));
            }
        }
    }

    /// Sends on answers whose turn it is, and the signals behind them.
    progress release(output<R>& out) {
        for (;;) {
            while (call* c = next_ready()) {
                if (!out.ready()) return progress::blocked;
                if (!options_.ordered) ready_.pop_front();
                if (c->value) {
                    out.emit(std::move(*c->value), c->time);
                    unflushed_ = true;
                }
                remove(*c);
            }
            const segment& s = segments_.front();
            if (s.under_way != 0 || !s.end) return progress::done;
            sending_ = forward(*s.end, out) == progress::blocked;
            if (sending_) return progress::blocked;
            unflushed_ = true;
            segments_.pop_front();
            ++first_segment_;
            if (options_.ordered) continue;
            for (call* c = order_.front(); c && c->segment == first_segment_; c = order_.next(*c))
                if (c->is_answered) ready_.push_back(c);
        }
    }
    call* next_ready() const {
        if (!options_.ordered) return ready_.empty() ? nullptr : ready_.front();
        call* const c = order_.front();
        return c && c->is_answered && c->segment == first_segment_ ? c : nullptr;
    }
    progress forward(const signal& s, output<R>& out) {
        return each_output(out, [&](output_base& o) {
            if (const timestamp* w = std::get_if<timestamp>(&s)) return o.forward_watermark(*w);
            return o.forward_activity(std::get<activity>(s));
        });
    }
    progress flush(output<R>& out) {
        return each_output(out, [](output_base& o) { return o.flush(); });
    }
    /// Does `f` to the output and to that of dead letters, if there is one, once, over as many calls as it takes.
    template <class To>
    progress each_output(output<R>& out, To f) {
        if (!main_done_ && f(out) == progress::blocked) return progress::blocked;
        main_done_ = true;
        dead_letter_port* const letters = context_.failures ? context_.failures->dead_letters() : nullptr;
        if (letters && f(letters->out()) == progress::blocked) return progress::blocked;
        main_done_ = false;
        return progress::done;
    }
    void remove(call& c) {
        order_.erase(c);
        --under_way_;
        --segments_[c.segment - first_segment_].under_way;
        const std::shared_ptr<call> last = std::move(c.self);
    }

    /// Has `s` wait behind all that is under way. Of signals with nothing in between only the outcome is kept, so there
    /// are never many more than records.
    void hold(const signal& s) {
        // The first one may have been refused already, and must then be repeated as it is.
        if (segments_.back().under_way == 0 && segments_.size() > (sending_ ? 2U : 1U)) {
            signal& before = *segments_[segments_.size() - 2].end;
            if (before.index() == s.index() && s.index() == 0) {
                before = s;
                return;
            }
            if (before == signal(activity::idle) && s == signal(activity::active)) {
                segments_.pop_back();
                segments_.back().end.reset();
                return;
            }
        }
        segments_.back().end = s;
        segments_.emplace_back();
    }

    /// Nothing more can be done until an answer comes: what there is goes out meanwhile.
    progress wait(output<R>& out) {
        flushing_ = unflushed_ && flush(out) == progress::blocked;
        unflushed_ = false;
        return progress::blocked;
    }
    /// Repeats what was refused, before anything else.
    progress resume(output<R>& out) {
        flushing_ = flushing_ && flush(out) == progress::blocked;
        if (flushing_) return progress::blocked;
        return sending_ ? release(out) : progress::done;
    }

    void look_at_clock() {
        if (context_.clock && (options_.timeout != duration::zero() || options_.retry.times != 0))
            now_ = context_.clock->now();
    }

    static std::exception_ptr dropped() {
        return std::make_exception_ptr(error("async_map: the completion was dropped without an answer. Call it with a "
                                             "value or an exception, on every path."));
    }
    std::exception_ptr timed_out() const {
        return std::make_exception_ptr(
            error("async_map: no answer within " + std::to_string(options_.timeout.count()) +
                  " ns. Look at what is asked, or raise the timeout, or give it a retry."));
    }

    template <class Inputs>
    static saved decode(byte_reader& in, const Inputs& inputs) {
        const timestamp watermark = codec<timestamp>::decode(in);
        const auto position = codec<std::uint64_t>::decode(in);
        const timestamp t = codec<timestamp>::decode(in);
        return {watermark, position, t, inputs.decode(in)};
    }

    F f_;
    async_options options_;
    KeyFn key_of_;
    operator_context context_;
    std::shared_ptr<detail::async_inbox<R>> inbox_;
    timestamp now_ = timestamp::min();
    timestamp watermark_ = timestamp::min();

    /// All that is under way, and how many.
    detail::linked_list<call, &call::in_order> order_;
    std::size_t under_way_ = 0;
    /// Attempts with a deadline; the earliest first, since all take equally long.
    detail::linked_list<call, &call::in_asked> asked_;
    /// Failed ones, by when they are to be asked again.
    std::multimap<timestamp, call*> again_;
    /// To be asked as soon as fewer are being asked than the capacity allows.
    std::deque<call*> waiting_;
    std::size_t asking_ = 0;
    /// The last one under way of each key.
    table<K, call*> last_of_key_;
    /// Never empty.
    std::deque<segment> segments_ = std::deque<segment>(1);
    std::uint64_t first_segment_ = 0;
    /// Unordered: answered ones of the first segment.
    std::deque<call*> ready_;

    /// The signal behind the first segment has been refused.
    bool sending_ = false;
    /// A sign of activity that had nothing to wait for has been refused.
    bool forwarding_ = false;
    /// What is being sent to all outputs has got through the first.
    bool main_done_ = false;
    bool flushing_ = false;
    bool unflushed_ = false;
    /// The watermark that came last has nothing to wait for.
    bool passes_ = true;
};

}  // namespace runnel
