#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "runnel/codec/binary.hpp"
#include "runnel/connect/line_formats.hpp"
#include "runnel/core/file_system.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// What becomes of a file that is there already.
enum class existing_file : unsigned char {
    replace,  ///< It is emptied when the job starts.
    append,   ///< Lines are added. If its last line is not whole, that is an error which names the byte to cut it at.
    refuse,   ///< An error.
};

/// How lines are written to a file.
struct lines_file_options {
    existing_file existing = existing_file::replace;
    /// Outlives the job.
    file_system* files = &default_file_system();
};

namespace detail {

/// The file behind a sink of lines. Thread safety: unsafe.
class line_file {
public:
    /// `again`: this job has written to the file before, so lines are added, and a part of a line that a failure has
    /// left at the end is cut off; with `length`, all that lies behind so many bytes.
    line_file(const std::string& path, const lines_file_options& options, bool again,
              std::optional<std::uint64_t> length = {});
    bool is_new() const noexcept { return begun_at_ == 0; }
    /// How long the file was when it was opened, what was cut off not counted.
    std::uint64_t begun_at() const noexcept { return begun_at_; }
    /// Where whole lines are appended, followed by `written`.
    std::string& text() noexcept { return text_; }
    /// Hands the text to the file when there is enough of it.
    void written() {
        if (text_.size() >= enough) flush();
    }
    void flush();
    /// All is on stable storage; how long the file is.
    std::uint64_t sync();
    /// The same, and no more comes.
    void finish();

private:
    static constexpr std::size_t enough = 64 * 1024;
    std::string path_;
    file_system* files_;
    std::unique_ptr<file> file_;
    std::uint64_t begun_at_ = 0;
    std::uint64_t size_ = 0;
    std::string text_;
};

/// Writes the lines of one subtask to a file.
template <class T, class Format>
class line_file_sink final : public sink<T> {
public:
    line_file_sink(std::string path, Format format, lines_file_options options)
        : path_(std::move(path)), format_(std::move(format)), options_(options) {}

    std::string name() const override { return std::string(Format::name) + "_lines_to " + path_; }
    bool is_transactional() const override { return true; }
    void recover(checkpoint_id id, const std::string&, const std::vector<std::string>& prepared) override {
        // Without a checkpoint, what an earlier run has added to the file goes.
        length_ = id == 0 ? begun_at_ : std::nullopt;
        if (id != 0) opened_ = true;
        // The last one counts, of several that came together.
        for (const std::string& bytes : prepared) {
            byte_reader in(bytes);
            length_ = std::max(length_.value_or(0), codec<std::uint64_t>::decode(in));
        }
    }
    std::unique_ptr<sink_writer<T>> open(const sink_context&) override {
        auto opened = std::make_unique<writer>(path_, format_, options_, opened_, length_);
        if (!opened_) begun_at_ = opened->begun_at();
        opened_ = true;
        length_.reset();
        return opened;
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(const std::string& path, const Format& format, const lines_file_options& options, bool again,
               std::optional<std::uint64_t> length)
            : file_(path, options, again, length), format_(format) {
            if (file_.is_new()) format_.template begin<T>(file_.text());
        }
        progress write(batch<T>& records) override {
            std::string& text = file_.text();
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                append_line(format_, text, std::as_const(records).value(i));
                file_.written();
            }
            records.consume_until(records.size());
            return progress::done;
        }
        progress flush() override {
            file_.flush();
            return progress::done;
        }
        progress finish() override {
            file_.finish();
            return progress::done;
        }
        std::uint64_t begun_at() const noexcept { return file_.begun_at(); }
        std::string prepare() override {
            std::string bytes;
            codec<std::uint64_t>::encode(file_.sync(), bytes);
            return bytes;
        }

    private:
        line_file file_;
        Format format_;
    };

    std::string path_;
    Format format_;
    lines_file_options options_;
    bool opened_ = false;
    std::optional<std::uint64_t> begun_at_;  ///< Length of the file before the first record of this object.
    std::optional<std::uint64_t> length_;    ///< Length to cut it back to.
};

}  // namespace detail

/// See `json_lines_to`, `csv_lines_to`, `text_lines_to`.
template <class Format>
class lines_file_recipe {
public:
    lines_file_recipe(std::string path, Format format, lines_file_options options)
        : path_(std::move(path)), format_(std::move(format)), options_(options) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        return std::make_shared<detail::line_file_sink<T, Format>>(path_, format_, options_);
    }

private:
    std::string path_;
    Format format_;
    lines_file_options options_;
};

// Of these three sinks: each record is one line, ended by "\n". Lines are in the file when the input has run empty, or
// after 64 KB; when the job has ended without error, all are on stable storage. A crash or full disk can leave a part
// of the lines written last: then the last one has no line break at its end, which tells that it is not whole.
// In a job with checkpoints, the file holds each result exactly once: when the job goes on from a checkpoint, the file
// is cut back to what it was then, whatever `existing` says. Who reads it meanwhile may see lines that such a cut takes
// back; `json_files` and the like show only what is final.

/// Writes each record as a line of JSON (`append_json`) to a file.
/// Errors: `io_error` with the file's name and the system's reason.
inline lines_file_recipe<detail::json_line> json_lines_to(std::string path, lines_file_options options = {}) {
    return {std::move(path), {}, options};
}
/// Writes each record as a line of CSV (`append_csv`) to a file, below a header. A field with a line break is quoted
/// and spans lines, as RFC 4180 says; `csv_lines` does not read such.
inline lines_file_recipe<detail::csv_line> csv_lines_to(std::string path, char delimiter = ',',
                                                        lines_file_options options = {}) {
    return {std::move(path), {delimiter}, options};
}
/// Writes each record as `display` does to a file; a text with a line break in it is an error.
inline lines_file_recipe<detail::text_line> text_lines_to(std::string path, lines_file_options options = {}) {
    return {std::move(path), {}, options};
}

}  // namespace runnel
