#include "runnel/connect/lines_sink.hpp"

#include <algorithm>
#include <cerrno>

#include "folders.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace {

open_mode mode_for(existing_file existing) {
    switch (existing) {
        case existing_file::append: return open_mode::update;
        case existing_file::refuse: return open_mode::create;
        case existing_file::replace: break;
    }
    return open_mode::replace;
}

/// Bytes of the file up to the end of its last whole line.
std::uint64_t whole_lines(file& f, std::uint64_t size) {
    char block[4096];
    for (std::uint64_t end = size; end != 0;) {
        const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(end, sizeof block));
        const std::string_view got(block, f.read(end - n, block, n));
        if (const std::size_t at = got.rfind('\n'); at != got.npos) return end - n + at + 1;
        end -= n;
    }
    return 0;
}

}  // namespace

line_file::line_file(const std::string& path, const lines_file_options& options, bool again,
                     std::optional<std::uint64_t> length)
    : path_(path),
      files_(options.files),
      file_(files_->open(path, again ? open_mode::update : mode_for(options.existing))) {
    const std::uint64_t size = file_->size();
    if (length) {
        if (size < *length)
            throw io_error("cannot go on writing \"" + path + "\": it has " + std::to_string(size) +
                               " bytes, and had " + std::to_string(*length) +
                               " at the checkpoint, so somebody has changed it. Bring it back, or start the job "
                               "without its checkpoints",
                           0);
        if (size != *length) file_->truncate(*length);
        begun_at_ = *length;
        return;
    }
    const std::uint64_t whole = whole_lines(*file_, size);
    begun_at_ = whole;
    if (whole == size) return;
    if (!again)
        throw io_error("cannot append to \"" + path +
                           "\": its last line is not whole. Complete it, or cut the file to " +
                           std::to_string(whole) + " bytes",
                       0);
    file_->truncate(whole);
}

void line_file::flush() {
    if (text_.empty()) return;
    file_->append(text_);
    text_.clear();
}

std::uint64_t line_file::sync() {
    if (file_) {
        flush();
        file_->sync();
        files_->sync_directory(folder_of(path_));
        size_ = file_->size();
    }
    return size_;
}

void line_file::finish() {
    sync();
    file_.reset();
}

}  // namespace runnel::detail
