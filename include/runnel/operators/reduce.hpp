#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "runnel/codec/codec.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/state/frozen_table.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/saved_layout.hpp"
#include "runnel/state/table.hpp"

namespace runnel {

/// Keeps one record per key, `kept = f(kept, next)`, and emits it after every record; the first one passes as it is.
///
/// Order: kept per key. Late records: none, it knows no time. Checkpointed state: "reduced", one record per key.
/// Complexity: O(1) a record. Memory: one record per key, for ever.
template <class K, class T, class KeyFn, class F>
class reduce_operator {
public:
    using input_type = T;
    using output_type = T;

    reduce_operator(KeyFn key_of, F f) : key_of_(std::move(key_of)), f_(std::move(f)) {}

    void open(const operator_context& context) { groups_ = context.key_groups; }

    void on_record(T&& value, timestamp t, output<T>& out) {
        const K key = key_of_(std::as_const(value));
        const std::uint64_t hash = kept_.hash(key);
        if (T* kept = kept_.find(key, hash)) {
            kept_.announce(key, hash);
            *kept = std::invoke(f_, std::as_const(*kept), std::as_const(value));
            out.emit(*kept, t);
        } else {
            kept_.get_or_create_with(key, hash, [&] { return value; });
            out.emit(std::move(value), t);
        }
    }

    void save(snapshot_writer& to) const {
        if constexpr (encodable<T>) {
            detail::save_gradually(to, kept_, [groups = groups_](snapshot_writer& into, auto& kept) {
                std::uint64_t keys = 0;
                kept.consume([&](const K& key, const T& value) {
                    std::string& bytes = into.keyed("reduced", key_group_of(key, groups));
                    codec<K>::encode(key, bytes);
                    codec<T>::encode(value, bytes);
                    ++keys;
                });
                if (keys != 0) into.count_keys("reduced", keys);
            });
            save_key_layout<K>(to);
            save_layout<T>(to, "reduced");
        } else {
            throw error("the state of reduce cannot be saved: its record type has no codec. Describe the type with "
                        "BOOST_DESCRIBE_STRUCT, or specialise runnel::codec for it.");
        }
    }
    void load(snapshot_reader& from) {
        if constexpr (encodable<T>) {
            check_key_layout<K>(from);
            const saved_values<T> values(from, "reduced");
            from.keyed("reduced", [&](key_group, std::string_view bytes) {
                byte_reader in(bytes);
                while (!in.empty()) {
                    const K key = codec<K>::decode(in);
                    kept_.get_or_create_with(key, kept_.hash(key), [&] { return values.decode(in); });
                }
            });
        }
    }

    std::size_t live_keys() const noexcept { return kept_.size(); }

private:
    KeyFn key_of_;
    F f_;
    table<K, T> kept_;
    std::size_t groups_ = 128;
};

}  // namespace runnel
