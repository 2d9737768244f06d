#include "runnel/log/durable_inlet.hpp"

#include "runnel/core/error.hpp"

namespace runnel::detail {

durable_queue::durable_queue(log_topic topic, const log_writer_options& options) : topic_(std::move(topic)) {
    for (std::size_t i = 0; i != topic_.partitions(); ++i) writers_.push_back(topic_.writer(i, options));
    wakes_.resize(topic_.partitions());
}

void durable_queue::push(timestamp t, std::string_view value) {
    std::shared_lock lock(pushing_);
    if (closed_) throw error("durable inlet \"" + topic_.name() + "\": it is closed, and takes no more records.");
    log_writer& to = writers_[next_.fetch_add(1, std::memory_order_relaxed) % writers_.size()];
    to.append({.time = t, .value = value});
    to.sync();
}

void durable_queue::close() {
    {
        std::unique_lock lock(pushing_);
        closed_ = true;
    }
    std::lock_guard lock(mutex_);
    for (const auto& wake : wakes_)
        if (wake) wake();
}

bool durable_queue::is_open() const {
    std::shared_lock lock(pushing_);
    return !closed_;
}

std::optional<std::uint64_t> durable_queue::end(std::size_t partition) const {
    if (is_open()) return std::nullopt;
    return topic_.end_offset(partition);
}

void durable_queue::on_close(std::size_t partition, std::function<void()> wake) {
    std::lock_guard lock(mutex_);
    wakes_[partition] = std::move(wake);
}

}  // namespace runnel::detail
