#include "runnel/log/log_writer.hpp"

#include <algorithm>
#include <utility>

#include "runnel/core/error.hpp"
#include "writer_core.hpp"

namespace runnel {

struct log_transaction::impl {
    impl(std::shared_ptr<detail::writer_core> of, std::uint64_t n) : core(std::move(of)), number(n) {}

    std::shared_ptr<detail::writer_core> core;
    std::uint64_t number;
    bool open = true;
    std::string body = {};
    std::uint32_t count = 0;
    timestamp newest = timestamp::min();

    void check() const {
        if (!open) throw error("log transaction: it has been prepared or aborted. Begin another one for more records");
    }
    void write() {
        core->append_batch(number, body, count, newest);
        body.clear();
        count = 0;
        newest = timestamp::min();
    }
    void abort() {
        open = false;
        core->abort(number);
    }
    ~impl() {
        if (!open) return;
        try {
            abort();
        } catch (...) {
            // The next writer aborts it.
        }
    }
};

log_transaction::log_transaction(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
log_transaction::log_transaction(log_transaction&&) noexcept = default;
log_transaction& log_transaction::operator=(log_transaction&&) noexcept = default;
log_transaction::~log_transaction() = default;

void log_transaction::append(const log_record& r) {
    impl& i = *impl_;
    i.check();
    const std::size_t before = i.body.size();
    try {
        detail::append_record(r, 0, i.body);
    } catch (...) {
        i.body.resize(before);
        throw;
    }
    ++i.count;
    i.newest = std::max(i.newest, r.time);
    if (i.body.size() >= i.core->batch_bytes()) i.write();
}

void log_transaction::prepare(std::uint64_t checkpoint) {
    impl_->check();
    impl_->write();
    impl_->core->prepare(impl_->number, checkpoint);
    impl_->open = false;
}

void log_transaction::abort() {
    impl_->check();
    impl_->abort();
}

log_writer::log_writer(std::shared_ptr<detail::partition> of, const log_writer_options& options)
    : core_(std::make_shared<detail::writer_core>(std::move(of), options)) {}
log_writer::log_writer(log_writer&&) noexcept = default;
log_writer& log_writer::operator=(log_writer&&) noexcept = default;
log_writer::~log_writer() = default;

std::uint64_t log_writer::append(const log_record& r) { return core_->append(r); }
void log_writer::flush() { core_->flush(); }
void log_writer::sync() { core_->sync(); }

log_transaction log_writer::begin(const std::string& writer) {
    return log_transaction(std::make_unique<log_transaction::impl>(core_, core_->begin(writer)));
}
void log_writer::commit(const std::string& writer, std::uint64_t checkpoint) { core_->commit(writer, checkpoint); }
void log_writer::abort_after(const std::string& writer, std::uint64_t checkpoint) {
    core_->abort_after(writer, checkpoint);
}
std::vector<log_prepared> log_writer::prepared() const { return core_->prepared(); }

void log_writer::apply_retention() { core_->apply_retention(); }
void log_writer::compact(duration keep_deletes) { core_->compact(keep_deletes); }
std::uint64_t log_writer::next_offset() const { return core_->next_offset(); }
const log_recovery& log_writer::recovery() const noexcept { return core_->recovery(); }

}  // namespace runnel
