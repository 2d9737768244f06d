#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace runnel::detail {

/// What keeps the connections of a source or sink from working, as its `trouble` tells.
/// Thread safety: safe.
class troubles {
public:
    /// From now on `connection` is in trouble, until it says that this is over.
    void tell(const void* connection, std::string what) {
        const std::lock_guard lock(mutex_);
        of_[connection] = std::move(what);
    }
    void over(const void* connection) noexcept {
        const std::lock_guard lock(mutex_);
        of_.erase(connection);
    }
    /// That of one of them, and how many others have one; empty if there is none.
    std::string text() const {
        const std::lock_guard lock(mutex_);
        if (of_.empty()) return {};
        const std::string& one = of_.begin()->second;
        return of_.size() == 1 ? one : one + " (and " + std::to_string(of_.size() - 1) + " more)";
    }

private:
    mutable std::mutex mutex_;
    std::map<const void*, std::string> of_;  // under mutex_
};

}  // namespace runnel::detail
