#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "format.hpp"
#include "partition.hpp"
#include "recovery.hpp"
#include "runnel/log/log_writer.hpp"

namespace runnel::detail {

/// The writer of a partition.
///
/// Records are added to batches in memory under the mutex. Whoever has to write or sync takes all batches, and does so
/// without the mutex, one thread at a time; the others go on adding, or wait for what it does.
/// Thread safety: safe.
class writer_core {
public:
    writer_core(std::shared_ptr<partition> p, const log_writer_options& options);
    ~writer_core();
    writer_core(const writer_core&) = delete;
    writer_core& operator=(const writer_core&) = delete;

    std::uint64_t append(const log_record& r);
    void flush() { finish(options_.sync == log_sync::group); }
    void sync() { finish(true); }

    /// Returns the number of the transaction.
    std::uint64_t begin(const std::string& writer);
    /// Adds a batch of records to a transaction.
    void append_batch(std::uint64_t transaction, std::string_view body, std::uint32_t count, timestamp newest);
    void prepare(std::uint64_t transaction, std::uint64_t checkpoint);
    void abort(std::uint64_t transaction);
    void commit(const std::string& writer, std::uint64_t checkpoint);
    void abort_after(const std::string& writer, std::uint64_t checkpoint);
    std::vector<log_prepared> prepared() const;

    void apply_retention();
    void compact(duration keep_deletes);

    std::uint64_t next_offset() const;
    std::size_t batch_bytes() const noexcept { return options_.batch_bytes; }
    const log_recovery& recovery() const noexcept { return recovery_; }

private:
    using lock = std::unique_lock<std::mutex>;
    enum class failure : unsigned char { none, io, fenced };

    // Under the mutex.
    void check() const;
    void wait_for_room(lock& held);
    void write_if_full(lock& held);
    void close_batch();
    void add_batch(batch_header h, std::string_view body);
    void add_control(batch_kind kind, std::uint64_t transaction, const control_body& body);
    void decide(const std::string& writer, batch_kind how, std::uint64_t from, std::uint64_t to);
    std::uint64_t first_undecided() const;
    void work(lock& held, bool sync);
    void finish(bool durable);

    // By the thread that works, without the mutex.
    void check_epoch();
    void write(std::string& bytes, std::vector<batch_header>& batches, std::uint64_t undecided);
    void begin_segment(std::uint64_t base, std::uint64_t undecided);
    void sync_file();
    void publish(std::uint64_t next);
    void remove_old_segments();
    void sync_at_intervals();

    const std::shared_ptr<partition> partition_;
    const log_writer_options options_;
    std::unique_ptr<file> lock_file_;
    std::unique_ptr<file> end_file_;
    std::uint64_t epoch_ = 0;
    log_recovery recovery_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;  // somebody has finished working, or has failed
    bool working_ = false;
    failure failed_ = failure::none;
    std::string failure_text_;
    int failure_code_ = 0;
    std::string out_;  // batches to be written; the last one may be open
    std::vector<batch_header> batches_;
    bool open_ = false;
    std::size_t open_at_ = 0;
    bool out_decides_ = false;  // there is a marker in it that readers must not see before it is durable
    std::uint64_t next_ = 0;
    std::uint64_t visible_ = 0;  // what readers may see ends before this offset
    std::uint64_t durable_ = 0;
    std::map<std::uint64_t, transaction_state> transactions_;

    // Of the thread that works.
    std::unique_ptr<file> file_;
    segment_header header_;
    std::uint64_t position_ = 0;
    std::uint64_t synced_ = 0;
    bool begun_ = false;  // a segment, since old ones were removed
    timestamp newest_ = timestamp::min();
    std::string writing_;
    std::vector<batch_header> writing_batches_;

    std::mutex maintenance_;  // held by who removes or replaces segments

    // For log_sync::interval.
    std::condition_variable tick_;
    bool due_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace runnel::detail
