#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/operators/held_records.hpp"
#include "runnel/operators/late_output.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/operators/process_core.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/saved_layout.hpp"

namespace runnel {

/// Runs a process function on the records of each key in order of event time: a record is held until the watermark has
/// reached its time.
///
/// Order: by time; records of equal time as they arrived, then the event-time timers of that time. So results do not
/// depend on the order in which records arrive, except among equal times. `context.watermark()` is the tick before the
/// record in hand, or the time of the timer.
/// Late records: those at or below the watermark go to the late output, if there is one, else into `late_dropped`.
/// Checkpointed state: as `process_operator`, and "records": those that are held, by key group. They are not copied for
/// that: another thread encodes them, with a copy of the key function, while the function is perhaps called for them.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: O(log n) per record, n being a measure of their disorder; O(1) for records in order.
template <class K, class T, class KeyFn, class Fn, bool has_late_output>
class ordered_process_operator {
    using function_sides = typename side_types_of<Fn>::type;
    static constexpr std::size_t function_side_count = std::tuple_size_v<function_sides>;
    using late_side = std::conditional_t<has_late_output, std::tuple<late_record<T>>, std::tuple<>>;

public:
    using input_type = T;
    using output_type = typename Fn::output_type;
    /// Those of the function, then the late records.
    using side_types = decltype(std::tuple_cat(std::declval<function_sides>(), std::declval<late_side>()));
    static constexpr bool needs_event_time = true;

    ordered_process_operator(KeyFn key, Fn fn) : key_(std::move(key)), core_(std::move(fn)) {}

    template <class... Ls>
        requires(sizeof...(Ls) == std::tuple_size_v<side_types>)
    void open(const operator_context& context, output<Ls>&... sides) {
        const std::tuple<output<Ls>*...> all(&sides...);
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            core_.open(context, std::tuple(std::get<I>(all)...));
        }(std::make_index_sequence<function_side_count>());
        if constexpr (has_late_output) late_.open(context, std::get<function_side_count>(all));
        else late_.open(context, nullptr);
    }

    progress process(batch<T>& in, output<output_type>&) {
        for (std::size_t i = in.cursor(); i != in.size(); in.consume_until(++i)) {
            const timestamp t = in.time(i);
            const timestamp w = core_.watermark_of(key_(std::as_const(in).value(i)));
            if (t > w || w == timestamp::min()) {
                held_.push(in.take(i), t);
            } else {
                if (!late_.ready()) return progress::blocked;
                late_.take(in.take(i), t, w, late_reason::out_of_order);
            }
        }
        return progress::done;
    }

    progress advance(timestamp w, output<output_type>& out) {
        keyed_records held{held_, key_};
        return core_.advance(w, out, held);
    }
    progress tick(timestamp now, output<output_type>& out) { return core_.tick(now, out); }
    timestamp next_tick() const { return core_.next_tick(); }

    void save(snapshot_writer& to) const {
        core_.save(to);
        if constexpr (encodable<T>) {
            to.later([held = std::make_shared<detail::frozen_records<T>>(held_.freeze()), key = key_,
                      groups = core_.state().key_groups()](snapshot_writer& into) {
                std::vector<std::string> of_group(groups);
                held->consume([&](const T& record, timestamp t) {
                    std::string& bytes = of_group[key_group_of(K(key(record)), groups)];
                    codec<timestamp>::encode(t, bytes);
                    codec<T>::encode(record, bytes);
                });
                for (std::size_t g = 0; g != groups; ++g)
                    if (!of_group[g].empty())
                        into.keyed("records", static_cast<key_group>(g)) = std::move(of_group[g]);
            });
            save_layout<T>(to, "records");
        } else {
            throw error("the records that in_event_time_order holds can't be saved: their type has no codec. Describe "
                        "it with BOOST_DESCRIBE_STRUCT, or specialise runnel::codec for it.");
        }
    }
    void load(snapshot_reader& from) {
        core_.load(from);
        if constexpr (encodable<T>) {
            const saved_values<T> records(from, "records");
            from.keyed("records", [&](key_group g, std::string_view bytes) {
                for (byte_reader in(bytes); !in.empty();) {
                    const timestamp t = codec<timestamp>::decode(in);
                    T record = records.decode(in);
                    if (records.converts())
                        detail::check_group("records", g, key_group_of(K(key_(record)), core_.state().key_groups()));
                    held_.push(std::move(record), t);
                }
            });
        }
    }

private:
    /// What `process_core::advance` takes records from.
    struct keyed_records {
        detail::held_records<T>& held;
        const KeyFn& key_of;
        const timestamp* next(timestamp until) { return held.next(until); }
        template <class F>
        void first(F f) {
            const timed<T>& record = held.first();
            const K& key = key_of(record.value);
            f(record.value, key, record.time);
        }
        void pop() { (void)held.take(); }
    };

    KeyFn key_;
    detail::process_core<K, Fn> core_;
    detail::held_records<T> held_;
    detail::late_output<T> late_;
};

}  // namespace runnel
