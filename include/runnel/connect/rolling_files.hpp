#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/line_formats.hpp"
#include "runnel/connect/partition_pattern.hpp"
#include "runnel/core/file_system.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// When a file in a folder of files is complete, and where it lies.
struct rolling_options {
    /// A file is complete when it holds so many bytes; its last line may go beyond. 0: no limit.
    std::uint64_t max_bytes = 128 << 20;
    /// A file is complete so long after its first line, by the job's clock. 0: no limit. Shorter: results are seen
    /// sooner, in more files, each of which costs waiting for the disk twice.
    duration max_age = std::chrono::minutes(1);
    /// Subfolder by a record's event time in UTC, of %Y, %m, %d, %H, %M: "dt=%Y-%m-%d/hour=%H". Empty: none. A
    /// partition's file is complete when the watermark has passed the partition, at the latest.
    std::string partition = {};
    /// Partitions that a subtask writes at once, each at the cost of a descriptor and 64 KB; for one more, the file of
    /// the one that has had no record for longest is completed.
    std::size_t max_open = 16;
    /// What the names of the files begin with. Files of several jobs may lie in one folder, under one prefix too.
    std::string prefix = "part";
    /// Told, before the job writes, of each temporary file in the folder: a run that crashed, or another job that still
    /// runs, has left it. It is not touched.
    std::function<void(const std::string& path)> on_leftover = {};
    /// Outlives the job.
    file_system* files = &default_file_system();
};

namespace detail {

std::vector<std::string> rolling_problems(const rolling_options& options);
void report_leftovers(const std::string& folder, const rolling_options& options);
/// Gives the files that writers have prepared their names. `again`: those that are gone have got theirs before.
void commit_prepared(const std::string& folder, const rolling_options& options,
                     const std::vector<std::string>& prepared, bool again);
/// Removes the temporary files of `owner`.
void remove_unprepared(const std::string& folder, const rolling_options& options, const std::string& owner);

/// The files that one subtask writes, by partition.
///
/// A file's way: open under a temporary name; sealed, when all of it is on stable storage; committed, when it has its
/// name. In a job with checkpoints, `prepare` gives the sealed ones away, to be committed elsewhere.
/// Thread safety: unsafe.
class rolling_files {
public:
    rolling_files(std::string folder, std::string extension, std::string header, const rolling_options& options,
                  const sink_context& context);
    ~rolling_files();
    rolling_files(const rolling_files&) = delete;
    rolling_files& operator=(const rolling_files&) = delete;

    /// Where the line of a record with time `t` is appended, followed by `written`.
    std::string& text(timestamp t) {
        if (!current_ || t < current_->where.first || t > current_->where.last) select(t);
        return current_->text;
    }
    void written() {
        if (current_->text.size() >= current_->enough) spill(*current_);
    }
    /// Completes the files that are old enough.
    void roll_by_age();
    /// Completes the files of partitions that event time has passed.
    void roll_by_watermark(timestamp w);
    /// Completes all files.
    void finish();
    /// Seals all files, and gives away what `commit_prepared` needs of those sealed since the last call.
    std::string prepare();

private:
    struct open_file {
        partition_pattern::place where;
        std::unique_ptr<file> to;  ///< Null between two files.
        std::string temporary, name;
        std::string text;
        std::size_t enough = 0;  ///< Bytes of text at which there is something to do.
        std::uint64_t size = 0;
        std::uint64_t number = 0;  ///< The next file's.
        timestamp since;
        std::uint64_t used = 0;
    };
    struct sealed_file {
        std::string temporary, name;
    };

    void select(timestamp t);
    void make_room();
    void start(open_file& f);
    std::string path_of(const open_file& f) const;
    std::uint64_t next_number(const std::string& folder) const;
    void spill(open_file& f);
    void write(open_file& f);
    void seal(open_file& f);
    void complete();
    void call_when_old();

    const std::string folder_;
    const std::string extension_;
    const std::string header_;
    const rolling_options options_;
    const partition_pattern pattern_;
    const sink_context context_;
    std::map<std::string, open_file> open_;  // by partition
    open_file* current_ = nullptr;           // has a file
    std::uint64_t uses_ = 0;
    std::vector<sealed_file> sealed_;
    clock::call_id call_ = 0;
    timestamp call_at_ = timestamp::max();
};

template <class T, class Format>
class rolling_files_sink final : public sink<T> {
public:
    rolling_files_sink(std::string folder, Format format, rolling_options options)
        : folder_(std::move(folder)), format_(std::move(format)), options_(std::move(options)) {}

    std::string name() const override { return std::string(Format::name) + "_files " + folder_; }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    std::vector<std::string> problems() const override { return rolling_problems(options_); }
    bool is_transactional() const override { return true; }
    void commit(checkpoint_id, const std::string&, const std::vector<std::string>& prepared) override {
        commit_prepared(folder_, options_, prepared, false);
    }
    void recover(checkpoint_id, const std::string& owner, const std::vector<std::string>& prepared) override {
        commit_prepared(folder_, options_, prepared, true);
        remove_unprepared(folder_, options_, owner);
    }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        if (!std::exchange(opened_, true)) report_leftovers(folder_, options_);
        return std::make_unique<writer>(folder_, format_, options_, context);
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(const std::string& folder, const Format& format, const rolling_options& options,
               const sink_context& context)
            : files_(folder, std::string(Format::extension), header(format), options, context), format_(format) {}
        progress write(batch<T>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                append_line(format_, files_.text(records.time(i)), std::as_const(records).value(i));
                files_.written();
            }
            records.consume_until(records.size());
            return progress::done;
        }
        progress flush() override {
            files_.roll_by_age();
            return progress::done;
        }
        void on_watermark(timestamp w) override { files_.roll_by_watermark(w); }
        progress finish() override {
            files_.finish();
            return progress::done;
        }
        std::string prepare() override { return files_.prepare(); }

    private:
        static std::string header(const Format& format) {
            std::string text;
            format.template begin<T>(text);
            return text;
        }

        rolling_files files_;
        Format format_;
    };

    std::string folder_;
    Format format_;
    rolling_options options_;
    bool opened_ = false;
};

}  // namespace detail

/// See `json_files`, `csv_files`, `text_files`.
template <class Format>
class rolling_files_recipe {
public:
    rolling_files_recipe(std::string folder, Format format, rolling_options options)
        : folder_(std::move(folder)), format_(std::move(format)), options_(std::move(options)) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        return std::make_shared<detail::rolling_files_sink<T, Format>>(folder_, format_, options_);
    }

private:
    std::string folder_;
    Format format_;
    rolling_options options_;
};

// Of these three sinks: each record is one line, ended by "\n", in a file of a folder, which is made if it is missing.
// A file "part-0-7.jsonl" (subtask 0, number 7) is written as ".part-0-7.jsonl.tmp", and gets its name once it is
// complete and on stable storage; who lists the folder sees whole files only. No file is ever written over or removed.
// In a job with checkpoints, output is exactly once: files get their names when the checkpoint that they belong to is
// complete, each checkpoint ends those that are being written, and what was written after the checkpoint that a job
// goes on from is removed. A folder and prefix then belong to one sink of one job.
// In a job without, one that fails, is cancelled or crashes leaves temporary files, whose last line may be cut; later
// runs leave them alone.
// Completing a file waits for the disk on the job's thread.
// Order: within a partition, the lines of a subtask are in the order of its input, by number of the file.
// Errors: `io_error` with the name of file or folder and the system's reason.

/// Writes each record as a line of JSON (`append_json`) to files "part-SUBTASK-NUMBER.jsonl" in `folder`.
/// Example: `stream.to(runnel::json_files("out", {.partition = "dt=%Y-%m-%d/hour=%H"}))`
inline rolling_files_recipe<detail::json_line> json_files(std::string folder, rolling_options options = {}) {
    return {std::move(folder), {}, std::move(options)};
}
/// The same as lines of CSV (`append_csv`), with a header in each file. A field with a line break is quoted and spans
/// lines, as RFC 4180 says; `csv_lines` does not read such.
inline rolling_files_recipe<detail::csv_line> csv_files(std::string folder, char delimiter = ',',
                                                        rolling_options options = {}) {
    return {std::move(folder), {delimiter}, std::move(options)};
}
/// The same as `display` writes them; a text with a line break in it is an error.
inline rolling_files_recipe<detail::text_line> text_files(std::string folder, rolling_options options = {}) {
    return {std::move(folder), {}, std::move(options)};
}

}  // namespace runnel
