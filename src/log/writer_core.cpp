#include "writer_core.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <numeric>
#include <utility>

#include "../core/blocked_signals.hpp"
#include "compaction.hpp"
#include "durable_files.hpp"
#include "runnel/core/crc32c.hpp"
#include "runnel/log/log_error.hpp"

namespace runnel::detail {

namespace {

constexpr std::uint32_t lock_mark = 0x31656c72;  // "rle1"
constexpr std::size_t numbers_size = 16;
constexpr std::size_t most_writer_bytes = 1000;

log_writer_options checked(const log_writer_options& options) {
    if (options.batch_bytes == 0 || options.batch_bytes > max_record_size)
        throw error("log writer: batch_bytes is " + std::to_string(options.batch_bytes) + ". Give 1 to " +
                    std::to_string(max_record_size));
    if (options.sync == log_sync::interval && options.sync_interval <= duration::zero())
        throw error("log writer: sync_interval is not positive. Give a time, or log_sync::group");
    if (options.retain_for < duration::zero())
        throw error("log writer: retain_for is negative. Give a time, or 0 for no limit");
    return options;
}

}  // namespace

writer_core::writer_core(std::shared_ptr<partition> p, const log_writer_options& options)
    : partition_(std::move(p)), options_(checked(options)) {
    file_system& files = partition_->files();
    lock_file_ = files.open(partition_->folder() + "/lock", open_mode::update, file_access::owner_only);
    if (!lock_file_->try_lock())
        throw log_in_use("\"" + partition_->folder() +
                         "\" is being written by another process, or another writer of this one. Wait until it has "
                         "ended, or write to another partition");
    decode_numbers(read_small_file(*lock_file_, numbers_size), lock_mark, partition_->salt(), {&epoch_});
    remove_leftovers(*partition_);
    recovered_segment s = recover(*partition_);
    epoch_ = std::max(epoch_, s.epoch) + 1;
    lock_file_->write(0, encode_numbers(lock_mark, partition_->salt(), {epoch_}));
    lock_file_->sync();
    file_ = std::move(s.file);
    header_ = s.header;
    position_ = synced_ = s.size;
    newest_ = s.newest;
    next_ = visible_ = durable_ = s.next;
    recovery_ = std::move(s.report);

    const log_end end{header_.base, position_, next_};
    end_file_ = files.open(partition_->end_path(), open_mode::update, file_access::owner_only);
    end_file_->write(0, partition_->encode_end(end));
    end_file_->sync();
    files.sync_directory(partition_->folder());
    partition_->attach_writer(end);
    try {
        transactions_ = find_undecided(partition_, header_);
        lock held(mutex_);
        for (auto& [number, t] : transactions_) {
            if (t.checkpoint) continue;
            t.decided = next_;
            add_control(batch_kind::abort, number, {t.writer, 0});
        }
        held.unlock();
        finish(true);
        if (options_.sync == log_sync::interval) {
            const blocked_signals blocked;
            thread_ = std::thread([this] { sync_at_intervals(); });
        }
    } catch (...) {
        partition_->detach_writer();
        throw;
    }
}

writer_core::~writer_core() {
    if (thread_.joinable()) {
        {
            const std::lock_guard held(mutex_);
            stopping_ = true;
        }
        tick_.notify_one();
        thread_.join();
    }
    try {
        finish(options_.sync != log_sync::never);
        if (options_.sync != log_sync::never) end_file_->sync();
    } catch (...) {
        // Who wants to know calls flush.
    }
    partition_->detach_writer();
}

void writer_core::check() const {
    switch (failed_) {
        case failure::none: return;
        case failure::io: throw io_error(failure_text_, failure_code_);
        case failure::fenced: throw log_fenced(failure_text_);
    }
}

std::uint64_t writer_core::append(const log_record& r) {
    lock held(mutex_);
    check();
    wait_for_room(held);
    if (!open_) {
        batches_.reserve(batches_.size() + 1);
        open_at_ = out_.size();
        out_.resize(open_at_ + batch_header_size);
        batch_header h;
        h.base = next_;
        batches_.push_back(h);
        open_ = true;
    }
    batch_header& h = batches_.back();
    const std::size_t before = out_.size();
    try {
        append_record(r, 0, out_);
    } catch (...) {
        out_.resize(before);
        throw;
    }
    ++h.count;
    h.newest = std::max(h.newest, r.time);
    const std::uint64_t offset = next_++;
    if (out_.size() - open_at_ >= options_.batch_bytes) {
        close_batch();
        write_if_full(held);
    }
    return offset;
}

/// Nothing more comes into the open batch.
void writer_core::close_batch() {
    if (!std::exchange(open_, false)) return;
    batch_header& h = batches_.back();
    if (h.count == 0) {
        out_.resize(open_at_);
        batches_.pop_back();
        return;
    }
    h.span = h.count;
    h.body_size = static_cast<std::uint32_t>(out_.size() - open_at_ - batch_header_size);
}

/// While the disk is slower than who appends, it waits, so that memory stays bounded.
void writer_core::wait_for_room(lock& held) {
    while (out_.size() >= 2 * options_.batch_bytes && working_) {
        changed_.wait(held);
        check();
    }
}

void writer_core::write_if_full(lock& held) {
    if (out_.size() >= options_.batch_bytes && !working_) work(held, false);
}

void writer_core::add_batch(batch_header h, std::string_view body) {
    close_batch();
    batches_.reserve(batches_.size() + 1);
    out_.reserve(out_.size() + batch_header_size + body.size());
    h.base = next_;
    h.body_size = static_cast<std::uint32_t>(body.size());
    out_.append(batch_header_size, '\0');
    out_ += body;
    batches_.push_back(h);
    next_ += h.span;
}

void writer_core::add_control(batch_kind kind, std::uint64_t transaction, const control_body& body) {
    batch_header h;
    h.kind = kind;
    h.transaction = transaction;
    h.span = 1;
    add_batch(h, body.encode());
    if (kind == batch_kind::commit) out_decides_ = true;
}

std::uint64_t writer_core::first_undecided() const {
    return transactions_.empty() ? std::numeric_limits<std::uint64_t>::max() : transactions_.begin()->first - 1;
}

/// Writes all batches, and syncs if asked; without the mutex. Precondition: nobody does so.
void writer_core::work(lock& held, bool sync) {
    close_batch();
    working_ = true;
    writing_.clear();
    writing_batches_.clear();
    writing_.swap(out_);
    writing_batches_.swap(batches_);
    const bool syncs = std::exchange(out_decides_, false) || sync;
    const bool shows = syncs || options_.sync != log_sync::group;
    const std::uint64_t next = next_;
    const std::uint64_t undecided = first_undecided();
    held.unlock();
    failure failed = failure::none;
    std::string text;
    int code = EIO;
    try {
        check_epoch();
        write(writing_, writing_batches_, undecided);
        if (syncs) {
            sync_file();
            check_epoch();
        }
        if (shows) {
            publish(next);
            // Not while segments are being compacted; then the next time does it.
            if (begun_)
                if (const std::unique_lock alone(maintenance_, std::try_to_lock); alone) {
                    remove_old_segments();
                    begun_ = false;
                }
        }
    } catch (const log_fenced& e) {
        failed = failure::fenced;
        text = e.what();
    } catch (const std::exception& e) {
        failed = failure::io;
        if (const auto* io = dynamic_cast<const io_error*>(&e)) code = io->code();
        text = std::string(e.what()) + ", at byte " + std::to_string(position_) +
               ". The partition takes no more, so that nothing is acknowledged that may be lost. Remove the cause and "
               "open it again: what was acknowledged is there";
    }
    held.lock();
    working_ = false;
    if (failed != failure::none) {
        failed_ = failed;
        failure_text_ = std::move(text);
        failure_code_ = code;
        changed_.notify_all();
        check();
    }
    if (shows) visible_ = next;
    if (syncs) {
        durable_ = next;
        std::erase_if(transactions_, [&](const auto& t) { return t.second.decided && *t.second.decided < next; });
    }
    changed_.notify_all();
}

void writer_core::finish(bool durable) {
    lock held(mutex_);
    const std::uint64_t next = next_;
    while ((durable ? durable_ : visible_) < next) {
        check();
        if (working_) changed_.wait(held);
        else work(held, durable);
    }
    check();
}

void writer_core::check_epoch() {
    std::uint64_t epoch = 0;
    if (decode_numbers(read_small_file(*lock_file_, numbers_size), lock_mark, partition_->salt(), {&epoch}) &&
        epoch == epoch_)
        return;
    throw log_fenced("\"" + partition_->folder() + "\": another writer has taken the partition over (epoch " +
                     std::to_string(epoch) + ", this one has " + std::to_string(epoch_) +
                     "), so this one may not add to it. What it had appended and not flushed is lost; let one process "
                     "write");
}

void writer_core::write(std::string& bytes, std::vector<batch_header>& batches, std::uint64_t undecided) {
    std::size_t from = 0;
    std::size_t at = 0;
    const auto write_out = [&] {
        if (at == from) return;
        file_->write(position_, std::string_view(bytes).substr(from, at - from));
        position_ += at - from;
        from = at;
    };
    for (batch_header& h : batches) {
        const std::uint64_t filled = position_ + (at - from);
        if (filled > segment_header_size && filled + h.size() > options_.segment_bytes) {
            write_out();
            sync_file();
            begin_segment(h.base, std::min(undecided, h.base));
        }
        h.synced = synced_;
        h.epoch = static_cast<std::uint32_t>(epoch_);
        h.body_crc = crc32c(std::string_view(bytes).substr(at + batch_header_size, h.body_size));
        h.encode(bytes.data() + at, partition_->salt());
        newest_ = std::max(newest_, h.newest);
        at += static_cast<std::size_t>(h.size());
    }
    write_out();
}

void writer_core::sync_file() {
    file_->sync();
    synced_ = position_;
}

void writer_core::begin_segment(std::uint64_t base, std::uint64_t undecided) {
    segment_header h;
    h.base = base;
    h.undecided = undecided;
    h.epoch = epoch_;
    h.created = partition_->clock().now();
    h.newest = newest_;
    file_ = make_segment(*partition_, h);
    header_ = h;
    position_ = synced_ = segment_header_size;
    begun_ = true;
}

void writer_core::publish(std::uint64_t next) {
    const log_end end{header_.base, position_, next};
    if (partition_->end() == end) return;
    end_file_->write(0, partition_->encode_end(end));
    partition_->publish(end);
}

void writer_core::sync_at_intervals() {
    runnel::clock& clock = partition_->clock();
    lock held(mutex_);
    while (!stopping_) {
        due_ = false;
        held.unlock();
        const clock::call_id call = clock.call_at(clock.now() + options_.sync_interval, [this] {
            const std::lock_guard inside(mutex_);
            due_ = true;
            tick_.notify_one();
        });
        held.lock();
        tick_.wait(held, [&] { return due_ || stopping_; });
        held.unlock();
        clock.cancel(call);
        try {
            finish(true);
        } catch (const std::exception&) {
            // It is what the next call of the writer throws.
            return;
        }
        held.lock();
    }
}

std::uint64_t writer_core::begin(const std::string& writer) {
    if (writer.empty() || writer.size() > most_writer_bytes)
        throw error("log transaction: the writer's name has " + std::to_string(writer.size()) + " bytes. Give 1 to " +
                    std::to_string(most_writer_bytes));
    lock held(mutex_);
    check();
    wait_for_room(held);
    const std::uint64_t number = next_ + 1;
    transactions_[number].writer = writer;
    try {
        add_control(batch_kind::begin, number, {writer, 0});
    } catch (...) {
        transactions_.erase(number);
        throw;
    }
    return number;
}

void writer_core::append_batch(std::uint64_t transaction, std::string_view body, std::uint32_t count,
                               timestamp newest) {
    if (count == 0) return;
    lock held(mutex_);
    check();
    wait_for_room(held);
    batch_header h;
    h.kind = batch_kind::in_transaction;
    h.transaction = transaction;
    h.count = h.span = count;
    h.newest = newest;
    add_batch(h, body);
    write_if_full(held);
}

void writer_core::prepare(std::uint64_t transaction, std::uint64_t checkpoint) {
    lock held(mutex_);
    check();
    transaction_state& t = transactions_.at(transaction);
    add_control(batch_kind::prepare, transaction, {t.writer, checkpoint});
    held.unlock();
    finish(true);
    held.lock();
    t.checkpoint = checkpoint;
}

void writer_core::abort(std::uint64_t transaction) {
    {
        lock held(mutex_);
        check();
        transaction_state& t = transactions_.at(transaction);
        const std::uint64_t marker = next_;
        add_control(batch_kind::abort, transaction, {t.writer, 0});
        t.decided = marker;
    }
    finish(options_.sync == log_sync::group);
}

void writer_core::decide(const std::string& writer, batch_kind how, std::uint64_t from, std::uint64_t to) {
    {
        lock held(mutex_);
        check();
        for (auto& [number, t] : transactions_) {
            const bool waits = t.writer == writer && t.checkpoint && !t.decided;
            if (!waits || *t.checkpoint < from || *t.checkpoint > to) continue;
            const std::uint64_t marker = next_;
            add_control(how, number, {writer, *t.checkpoint});
            t.decided = marker;
        }
    }
    finish(true);
}

void writer_core::commit(const std::string& writer, std::uint64_t checkpoint) {
    decide(writer, batch_kind::commit, 0, checkpoint);
}

void writer_core::abort_after(const std::string& writer, std::uint64_t checkpoint) {
    if (checkpoint != std::numeric_limits<std::uint64_t>::max())
        decide(writer, batch_kind::abort, checkpoint + 1, std::numeric_limits<std::uint64_t>::max());
}

std::vector<log_prepared> writer_core::prepared() const {
    const std::lock_guard held(mutex_);
    std::vector<log_prepared> found;
    for (const auto& [number, t] : transactions_)
        if (t.checkpoint && !t.decided) found.push_back({t.writer, *t.checkpoint});
    return found;
}

std::uint64_t writer_core::next_offset() const {
    const std::lock_guard held(mutex_);
    return next_;
}

void writer_core::apply_retention() {
    {
        const std::lock_guard held(mutex_);
        check();
    }
    const std::lock_guard alone(maintenance_);
    remove_old_segments();
}

/// Removes from the oldest on, each for good before the next, so that no gap can be left; none that is not decided, or
/// that the end for readers lies in.
void writer_core::remove_old_segments() {
    if (options_.retain_bytes == 0 && options_.retain_for == duration::zero()) return;
    file_system& files = partition_->files();
    const std::vector<std::uint64_t> bases = partition_->segments();
    std::vector<std::uint64_t> sizes;
    for (const std::uint64_t base : bases) sizes.push_back(files.size(partition_->path_of(base)));
    std::uint64_t total = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
    std::uint64_t undecided = 0;
    {
        const std::lock_guard held(mutex_);
        undecided = first_undecided();
    }
    const std::uint64_t until = std::min(undecided, partition_->end().segment);
    const timestamp now = partition_->clock().now();
    for (std::size_t i = 0; i + 1 < bases.size() && bases[i + 1] <= until; ++i) {
        const bool many = options_.retain_bytes != 0 && total - sizes[i] >= options_.retain_bytes;
        bool old = false;
        if (!many && options_.retain_for != duration::zero()) {
            const auto behind = partition_->open(bases[i + 1]);
            old = behind && now - behind->header.created >= options_.retain_for;
        }
        if (!many && !old) return;
        check_epoch();
        files.remove(partition_->path_of(bases[i]));
        files.sync_directory(partition_->folder());
        total -= sizes[i];
    }
}

void writer_core::compact(duration keep_deletes) {
    compaction how;
    {
        const std::lock_guard held(mutex_);
        check();
        how.until = first_undecided();
    }
    // The one that readers are told to read up to a byte of stays as it is.
    how.until = std::min(how.until, partition_->end().segment);
    how.keep_deletes = keep_deletes;
    how.segment_bytes = options_.segment_bytes;
    how.batch_bytes = options_.batch_bytes;
    how.epoch = epoch_;
    how.check = [this] { check_epoch(); };
    const std::lock_guard alone(maintenance_);
    detail::compact(partition_, how);
}

}  // namespace runnel::detail
