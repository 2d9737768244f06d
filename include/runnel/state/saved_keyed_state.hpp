#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/state/keyed_state.hpp"
#include "runnel/state/state_setup.hpp"

namespace runnel {

namespace detail {

/// A clock that stands still.
struct stopped_clock final : clock {
    explicit stopped_clock(timestamp t) : at(t) {}
    timestamp now() const noexcept override { return at; }
    call_id call_at(timestamp, std::function<void()>) override { return 1; }
    void cancel(call_id) override {}
    timestamp at;
};

/// Errors: `checkpoint_error` naming the operators that there are.
const operator_snapshot& state_of_operator(const checkpoint& c, const std::string& name);
/// Errors: `checkpoint_error` naming the states that there are, if none has that name.
void check_saved_state(const operator_snapshot& s, const std::string& operator_name, std::string_view name);
[[noreturn]] void fail_undecodable(const std::string& operator_name, const std::string& why);

}  // namespace detail

/// What a process function held for each key when a checkpoint was taken, to be looked at from outside of the job.
///
///     const auto c = runnel::read_savepoint(runnel::default_file_system(), "/data/fraud");
///     runnel::saved_keyed_state<std::string> cards(c, "fraud");
///     const auto last = cards.value<tx>("last", {.ttl = 24h});
///     if (cards.select("4711") && last.get()) std::cout << last.get()->amount;
///
/// States are declared as the function does, all before the first key is selected; then the handles speak of the key
/// that was selected last, at the time at which the checkpoint was taken. What is changed through them stays in here.
/// Thread safety: unsafe.
/// Complexity: the first `select` or `for_each` reads all the operator's declared state into memory.
/// Errors: `checkpoint_error` if there is no such operator or state, or the bytes are not of the types given; `error`
/// if a state is of another kind.
/// Lifetime: the checkpoint must outlive it; handles live as long as it does.
template <class K>
class saved_keyed_state {
public:
    saved_keyed_state(const checkpoint& from, std::string operator_name)
        : operator_name_(std::move(operator_name)),
          saved_(detail::state_of_operator(from, operator_name_)),
          groups_(from.key_groups),
          clock_(from.taken),
          state_(std::make_unique<detail::keyed_state<K>>()) {}
    saved_keyed_state(const saved_keyed_state&) = delete;
    saved_keyed_state& operator=(const saved_keyed_state&) = delete;

    /// Of reducing state, too.
    template <class V>
    value_state<V> value(std::string_view name, const state_options& options = {}) {
        return setup(name).template value<V>(name, options);
    }
    template <class V>
    list_state<V> list(std::string_view name, const state_options& options = {}) {
        return setup(name).template list<V>(name, options);
    }
    template <class K2, class V>
    map_state<K2, V> map(std::string_view name, const state_options& options = {}) {
        return setup(name).template map<K2, V>(name, options);
    }
    template <class In, class Agg>
    auto aggregating(std::string_view name, const Agg& aggregate, const state_options& options = {}) {
        return setup(name).template aggregating<In>(name, aggregate, options);
    }

    /// Takes `key` in hand; false if none of the declared states holds anything for it.
    bool select(const K& key) {
        load();
        state_->leave();
        key_ = key;
        state_->enter_key(*key_, state_->hash(*key_), state_->watermark_of(*key_, watermark_));
        return state_->in_hand() != state_->no_slot;
    }
    /// Calls `f(key)` for every key for which a declared state holds something, with that key in hand.
    template <class F>
    void for_each(F f) {
        load();
        std::vector<K> keys;
        state_->for_each_key([&](const K& key) { keys.push_back(key); });
        for (const K& key : keys) {
            select(key);
            f(key);
        }
    }

private:
    state_setup setup(std::string_view name) {
        if (is_loaded_) throw error("a state is declared after a key was selected. Declare all of them first.");
        detail::check_saved_state(saved_, operator_name_, name);
        return state_setup(*state_);
    }
    void load() {
        if (is_loaded_) return;
        is_loaded_ = true;
        const key_group_range all{0, static_cast<key_group>(groups_)};
        state_->open(groups_, all, &clock_);
        try {
            watermark_ = state_->load(snapshot_reader(saved_, all), 0);
        } catch (const decode_error& e) {
            detail::fail_undecodable(operator_name_, e.what());
        } catch (const checkpoint_error& e) {
            detail::fail_undecodable(operator_name_, e.what());
        }
    }

    std::string operator_name_;
    const operator_snapshot& saved_;
    std::size_t groups_;
    detail::stopped_clock clock_;
    std::unique_ptr<detail::keyed_state<K>> state_;
    std::optional<K> key_;
    timestamp watermark_;
    bool is_loaded_ = false;
};

}  // namespace runnel
