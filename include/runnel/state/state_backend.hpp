#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace runnel {

/// What a `key_store` held at one moment.
///
/// Thread safety: safe. Lifetime: may outlive its store. Errors: `state_error`.
class key_store_view {
public:
    virtual ~key_store_view() = default;
    /// Calls `f(key, value)` for all keys from `first` on that are before `end`, in order.
    virtual void for_each(std::string_view first, std::string_view end,
                          const std::function<void(std::string_view, std::string_view)>& f) const = 0;
};

/// Bytes by key, in the order of the keys' bytes; empty when it is opened, and worth nothing once it is destroyed.
///
/// Thread safety: unsafe; one subtask owns it.
/// Errors: `state_error`, after which nothing is known of what it holds.
class key_store {
public:
    virtual ~key_store() = default;
    /// False if there is no such key; `value` is anything then.
    virtual bool get(std::string_view key, std::string& value) = 0;
    virtual void put(std::string_view key, std::string_view value) = 0;
    virtual void erase(std::string_view key) = 0;
    /// The first key at or after `from`; false if there is none.
    virtual bool first(std::string_view from, std::string& key) = 0;
    virtual std::unique_ptr<key_store_view> view() = 0;
};

/// Where a job's process functions keep the state of keys that are not in use: see `job_options::state`.
///
/// What the functions compute, and the checkpoints, are the same as without; so a job may go on with another backend.
/// The values and timers of `keys_in_memory` keys per subtask and operator are held as usual. A key that is needed and
/// is not among them is brought back whole from the store, and the one that has been there longest put away. What is
/// in the store is scratch: the truth is in the checkpoints.
/// Thread safety: `open` is called by one thread at a time.
class state_backend {
public:
    virtual ~state_backend() = default;
    /// A store for one subtask of an operator. Errors: `state_error`.
    virtual std::unique_ptr<key_store> open(const std::string& operator_name, std::size_t subtask) = 0;
    virtual std::size_t keys_in_memory() const = 0;
};

}  // namespace runnel
