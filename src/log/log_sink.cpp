#include "runnel/log/log_sink.hpp"

#include <algorithm>
#include <chrono>

#include "runnel/codec/binary.hpp"

namespace runnel::detail {

namespace {

// What a subtask prepares: its name, the number of its transactions, the partitions that they are in.
struct prepared_part {
    std::string name;
    std::uint64_t number = 0;
    std::vector<std::uint64_t> partitions;
};

std::string encode(const prepared_part& p) {
    std::string bytes;
    codec<std::string>::encode(p.name, bytes);
    codec<std::uint64_t>::encode(p.number, bytes);
    codec<std::vector<std::uint64_t>>::encode(p.partitions, bytes);
    return bytes;
}

prepared_part decode(const std::string& bytes) {
    byte_reader in(bytes);
    prepared_part p;
    p.name = codec<std::string>::decode(in);
    p.number = codec<std::uint64_t>::decode(in);
    p.partitions = codec<std::vector<std::uint64_t>>::decode(in);
    return p;
}

}  // namespace

std::shared_ptr<log_writer> log_output::writer(std::size_t partition) {
    std::lock_guard lock(mutex_);
    writers_.resize(topic_.partitions());
    std::shared_ptr<log_writer>& w = writers_.at(partition);
    if (!w) w = std::make_shared<log_writer>(topic_.writer(partition, options_));
    return w;
}

void log_output::commit(const std::vector<std::string>& prepared) {
    for (const std::string& bytes : prepared) {
        const prepared_part p = decode(bytes);
        for (const std::uint64_t partition : p.partitions) writer(partition)->commit(p.name, p.number);
    }
}

void log_output::recover(const std::string& owner, const std::vector<std::string>& prepared) {
    {
        std::lock_guard lock(mutex_);
        writers_.clear();
    }
    commit(prepared);
    for (std::size_t partition = 0; partition != topic_.partitions(); ++partition)
        for (const log_prepared& p : writer(partition)->prepared())
            if (p.writer.starts_with(owner + "/")) {
                last_number_ = std::max(last_number_, p.checkpoint);
                writer(partition)->abort_after(p.writer, p.checkpoint - 1);
            }
}

std::uint64_t log_output::next_number() {
    std::lock_guard lock(mutex_);
    const auto now = std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
    return last_number_ = std::max<std::uint64_t>(last_number_ + 1, static_cast<std::uint64_t>(now));
}

log_subtask_output::log_subtask_output(std::shared_ptr<log_output> to, const sink_context& context)
    : to_(std::move(to)), own_(context.subtask % to_->topic().partitions()), parts_(to_->topic().partitions()) {
    if (!context.owner.empty()) name_ = context.owner + "/" + std::to_string(context.subtask);
}

void log_subtask_output::append(const log_record& r) {
    part& p = parts_[r.key ? to_->topic().partition_of(*r.key) : own_];
    if (!p.writer) p.writer = to_->writer(static_cast<std::size_t>(&p - parts_.data()));
    if (name_.empty()) {
        p.writer->append(r);
        return;
    }
    if (!p.open) p.open.emplace(p.writer->begin(name_));
    p.open->append(r);
}

void log_subtask_output::flush() {
    if (!name_.empty()) return;
    for (part& p : parts_)
        if (p.writer) p.writer->flush();
}

std::string log_subtask_output::prepare() {
    prepared_part prepared{name_, 0, {}};
    for (std::size_t i = 0; i != parts_.size(); ++i) {
        if (!parts_[i].open) continue;
        if (prepared.number == 0) prepared.number = to_->next_number();
        parts_[i].open->prepare(prepared.number);
        parts_[i].open.reset();
        prepared.partitions.push_back(i);
    }
    return prepared.partitions.empty() ? std::string() : encode(prepared);
}

}  // namespace runnel::detail
