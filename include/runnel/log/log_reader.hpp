#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "runnel/log/log_record.hpp"

namespace runnel {

namespace detail {
class reader_core;
class partition;
}  // namespace detail

/// Where a reader begins.
class log_place {
public:
    /// The first record that is still there.
    static log_place beginning() { return {kind::beginning, 0, {}}; }
    /// Behind all records that readers may see now.
    static log_place end() { return {kind::end, 0, {}}; }
    /// The first record that has this offset or a later one.
    static log_place offset(std::uint64_t o) { return {kind::offset, o, {}}; }
    /// The first record, by offset, of time `t` or later; those behind it may be earlier. The end if there is none.
    static log_place time(timestamp t) { return {kind::time, 0, t}; }

private:
    friend class detail::reader_core;
    enum class kind : unsigned char { beginning, end, offset, time };
    log_place(kind what, std::uint64_t o, timestamp t) : what_(what), offset_(o), time_(t) {}
    kind what_;
    std::uint64_t offset_;
    timestamp time_;
};

/// Reads a partition, from a place on, as it grows. There may be any number of readers, in any processes.
///
/// A reader sees, in order of offset, what is committed: no record of a transaction that was aborted, and nothing from
/// the first record of an undecided one on. With `log_sync::group` it sees nothing that a power failure could take.
/// Thread safety: unsafe; distinct readers: safe.
/// Errors: `log_corrupted` with file and byte, again and again until `seek` goes elsewhere; `log_out_of_range` if
/// retention was faster; `io_error`.
/// Lifetime: may outlive the topic that it came from, not its file system and clock.
class log_reader {
public:
    log_reader(std::shared_ptr<detail::partition> of, log_place from);
    log_reader(log_reader&&) noexcept;
    log_reader& operator=(log_reader&&) noexcept;
    ~log_reader();

    /// The next record, verified; null if there is none for now. Valid until the next call.
    /// Complexity: O(bytes of the record); if there is none, a look at the memory of the writer in this process, or a
    /// system call if that is elsewhere.
    const log_record* next();
    /// The offset to go on from: behind the last record that `next` has returned.
    std::uint64_t position() const noexcept;
    void seek(log_place to);

    /// Has `wake` called when there may be more, by the thread of a writer that was opened from the same `log_folder`;
    /// for a writer elsewhere, ask `next` from time to time. `wake` must be quick, must not throw and not use the
    /// log. It is called until the reader is destroyed or another function is given.
    void on_append(std::function<void()> wake);
    /// Whether `on_append` calls: the partition has a writer, opened from the same `log_folder`.
    bool has_writer() const;

private:
    std::unique_ptr<detail::reader_core> core_;
};

}  // namespace runnel
