#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/log/log_options.hpp"
#include "runnel/log/log_record.hpp"

namespace runnel {

namespace detail {
class partition;
class writer_core;
}  // namespace detail

/// What opening a partition for writing has found at its end.
struct log_recovery {
    std::string file = {};            ///< The last segment.
    std::uint64_t position = 0;       ///< Where it was cut; what a crash had left behind that was no whole batch.
    std::uint64_t cut = 0;            ///< Bytes that were cut off; 0 after a clean end.
    std::string kept = {};            ///< A file with these bytes, if there were whole batches among them.
};

/// A transaction that is prepared and neither committed nor aborted.
struct log_prepared {
    std::string writer;
    std::uint64_t checkpoint = 0;
    friend bool operator==(const log_prepared&, const log_prepared&) = default;
};

/// Records that readers see all, or none, once it is decided; see `log_writer::begin`.
///
/// Thread safety: unsafe; distinct transactions of one partition: safe.
/// Lifetime: may outlive its writer; then the partition stays locked until it goes. One that is destroyed before it is
/// prepared is aborted.
class log_transaction {
public:
    log_transaction(log_transaction&&) noexcept;
    log_transaction& operator=(log_transaction&&) noexcept;
    ~log_transaction();

    /// Adds a record. Errors: as of `log_writer::append`.
    void append(const log_record& r);
    /// Returns when all of it is on stable storage. It takes no more records, survives a crash, and waits for
    /// `log_writer::commit` or `abort_after`, which may come from a later process.
    void prepare(std::uint64_t checkpoint);
    /// Readers will never see it.
    void abort();

private:
    friend class log_writer;
    struct impl;
    explicit log_transaction(std::unique_ptr<impl> i);
    std::unique_ptr<impl> impl_;
};

/// Appends to a partition. There is one writer at a time: others get `log_in_use`, until this one is destroyed or its
/// process ends, in whatever way.
///
/// A write or sync that fails ends it: nothing is tried again, nothing more is acknowledged, and every later call
/// throws the error, which names file and byte. To go on, open the partition again: what was acknowledged is there.
/// Thread safety: safe.
/// Order: the records of a thread keep their order.
/// Errors: `io_error`; `log_fenced` when another writer has taken over, which a lock that does not work (some network
/// file systems) lets happen.
/// Lifetime: may outlive the topic that it came from, not its file system and clock. The destructor does what `flush`
/// does, and ignores errors.
class log_writer {
public:
    log_writer(std::shared_ptr<detail::partition> of, const log_writer_options& options);
    log_writer(log_writer&&) noexcept;
    log_writer& operator=(log_writer&&) noexcept;
    ~log_writer();

    /// Adds a record to the batch in memory; a full one is written. Returns the offset. What the record refers to is
    /// copied; its own offset is ignored.
    /// Complexity: O(bytes), some 30 ns for a small record.
    /// Errors: `error` if the record is larger than 256 MB.
    std::uint64_t append(const log_record& r);
    /// Returns when readers see all that was appended before: with `log_sync::group`, when it is on stable storage;
    /// calls from several threads share one sync.
    void flush();
    /// Returns when all that was appended before is on stable storage, whatever the options say.
    void sync();

    /// Begins a transaction. Readers come no farther than its first record until it is decided. `writer` is a name
    /// for who writes it, unique in the partition, by which its prepared transactions are found after a crash.
    log_transaction begin(const std::string& writer);
    /// Commits the transactions of `writer` that are prepared for `checkpoint` or an earlier one; returns when that is
    /// on stable storage. May be asked again: then there is nothing to do.
    void commit(const std::string& writer, std::uint64_t checkpoint);
    /// Aborts the transactions of `writer` that are prepared for later checkpoints.
    void abort_after(const std::string& writer, std::uint64_t checkpoint);
    /// The transactions that wait to be decided, in order of their beginnings. The unprepared ones of earlier writers
    /// have been aborted.
    std::vector<log_prepared> prepared() const;

    /// Removes the oldest segments as the options say; done by itself whenever a segment is complete.
    void apply_retention();
    /// Rewrites the complete segments without the records that have a later one of the same key in them, and without
    /// aborted transactions. Offsets stay. A record that deletes a key is kept until its segment has been complete for
    /// `keep_deletes`, so that readers learn of it. Others may read and append meanwhile.
    /// Complexity: reads the complete segments twice; memory for all keys in them.
    void compact(duration keep_deletes = std::chrono::hours(24));

    /// The offset of the next record.
    std::uint64_t next_offset() const;
    const log_recovery& recovery() const noexcept;

private:
    std::shared_ptr<detail::writer_core> core_;
};

}  // namespace runnel
