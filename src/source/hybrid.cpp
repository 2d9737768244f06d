#include "runnel/source/hybrid.hpp"

namespace runnel::detail {

void history_progress::began(const std::string& history) {
    const std::lock_guard lock(mutex_);
    reading_.insert(history);
}

void history_progress::finished(const std::string& history) {
    const std::lock_guard lock(mutex_);
    if (reading_.erase(history) != 0 && reading_.empty()) wake_all();
}

void history_progress::opened(const std::string& live, std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    live_[live] = {std::move(wake)};
}

live_phase history_progress::phase(const std::string& live) {
    const std::lock_guard lock(mutex_);
    if (!reading_.empty()) return live_phase::waits;
    live_split& split = live_[live];
    const bool came = !std::exchange(split.here, true);
    if (!all_here()) return live_phase::gathers;
    if (came) wake_all();
    return live_phase::reads;
}

void history_progress::left(const std::string& live) {
    const std::lock_guard lock(mutex_);
    live_.erase(live);
    if (reading_.empty() && all_here()) wake_all();
}

bool history_progress::all_here() const {
    for (const auto& [id, split] : live_)
        if (!split.here) return false;
    return true;
}

/// Under the lock, since the calls are good only as long as the readers live.
void history_progress::wake_all() const {
    for (const auto& [id, split] : live_) split.wake();
}

std::string encode_live_position(bool begun, const std::string& inner) {
    std::string bytes;
    codec<bool>::encode(begun, bytes);
    codec<std::string>::encode(inner, bytes);
    return bytes;
}

std::pair<bool, std::string> decode_live_position(const std::string& bytes) {
    byte_reader in(bytes);
    const bool begun = codec<bool>::decode(in);
    return {begun, codec<std::string>::decode(in)};
}

}  // namespace runnel::detail
