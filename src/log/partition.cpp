#include "partition.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "durable_files.hpp"
#include "runnel/log/log_error.hpp"

namespace runnel::detail {

namespace {

constexpr std::uint32_t end_mark = 0x316e6c72;  // "rln1"
constexpr std::string_view suffix = ".log";
constexpr std::size_t digits = 20;
/// Indexes that are kept; what is dropped is made again.
constexpr std::size_t most_indexes = 64;

}  // namespace

std::vector<std::uint64_t> partition::segments() const {
    std::vector<std::uint64_t> bases;
    for (const std::string& name : files_.list(folder_)) {
        if (name.size() != digits + suffix.size() || !name.ends_with(suffix)) continue;
        std::uint64_t base = 0;
        const auto read = std::from_chars(name.data(), name.data() + digits, base);
        if (read.ec == std::errc() && read.ptr == name.data() + digits) bases.push_back(base);
    }
    return bases;
}

std::string partition::path_of(std::uint64_t base) const {
    const std::string number = std::to_string(base);
    return folder_ + "/" + std::string(digits - number.size(), '0') + number + std::string(suffix);
}

std::optional<segment> partition::open(std::uint64_t base) const {
    segment s;
    try {
        s.file = files_.open(path_of(base), open_mode::read, file_access::owner_only);
    } catch (const io_error& e) {
        if (e.code() != ENOENT) throw;
        return std::nullopt;
    }
    char bytes[segment_header_size];
    auto found = segment_header::found::bad;
    if (s.file->read(0, bytes, sizeof bytes) == sizeof bytes) found = s.header.decode(bytes, salt_);
    if (found == segment_header::found::newer)
        throw log_corrupted(s.file->name(), 0, "it has been written by a newer version of runnel. Read it with that");
    if (found == segment_header::found::bad || s.header.base != base)
        throw log_corrupted(s.file->name(), 0,
                            "this is not the header of the segment that the name says. Restore the file from a copy");
    return s;
}

template <class Find>
segment_index::place partition::find(segment& in, std::uint64_t limit, Find find) {
    const std::lock_guard lock(index_mutex_);
    for (;;) {
        auto at = indexes_.find(in.header.base);
        const bool made = at == indexes_.end();
        if (made) {
            if (indexes_.size() >= most_indexes) indexes_.erase(indexes_.begin());
            at = indexes_.emplace(in.header.base, segment_index(in.header.base)).first;
        }
        at->second.extend(*in.file, salt_, limit);
        const segment_index::place found = find(at->second);
        if (made || segment_index::is_there(found, *in.file, salt_)) return found;
        // The segment was compacted since.
        indexes_.erase(at);
    }
}

segment_index::place partition::place_of_offset(segment& in, std::uint64_t limit, std::uint64_t offset) {
    return find(in, limit, [&](const segment_index& index) { return index.before_offset(offset); });
}

segment_index::place partition::place_of_time(segment& in, std::uint64_t limit, timestamp t) {
    return find(in, limit, [&](const segment_index& index) { return index.before_time(t); });
}

log_end partition::end() {
    {
        const std::lock_guard lock(mutex_);
        if (written_) return *written_;
    }
    return read_end();
}

log_end partition::read_end() {
    const std::lock_guard lock(file_mutex_);
    if (!end_file_) {
        try {
            end_file_ = files_.open(end_path(), open_mode::read, file_access::owner_only);
        } catch (const io_error& e) {
            if (e.code() != ENOENT) throw;
            if (segments().empty()) return {};
            throw log_corrupted(end_path(), 0, "the file is missing. Open the partition for writing, which makes it");
        }
    }
    // It may be read while it is being written.
    constexpr int tries = 1000;
    for (int i = 0; i < tries; ++i) {
        log_end end;
        const std::string bytes = read_small_file(*end_file_, 32);
        if (decode_numbers(bytes, end_mark, salt_, {&end.segment, &end.position, &end.next})) return end;
        // So it is before the first writer has written it.
        if (bytes.empty()) return {};
    }
    throw log_corrupted(end_path(), 0, "it is damaged. Open the partition for writing, which makes it anew");
}

std::string partition::encode_end(const log_end& end) const {
    return encode_numbers(end_mark, salt_, {end.segment, end.position, end.next});
}

bool partition::has_writer() const {
    const std::lock_guard lock(mutex_);
    return written_.has_value();
}

void partition::attach_writer(const log_end& end) {
    {
        // The writer may have cut what they were made from.
        const std::lock_guard lock(index_mutex_);
        indexes_.clear();
    }
    const std::lock_guard lock(mutex_);
    written_ = end;
}

void partition::publish(const log_end& end) {
    {
        const std::lock_guard lock(mutex_);
        if (written_ == end) return;
        written_ = end;
    }
    wake_all();
}

void partition::detach_writer() {
    const std::lock_guard lock(mutex_);
    written_.reset();
}

std::uint64_t partition::add_wake(std::function<void()> f) {
    const std::lock_guard lock(wake_mutex_);
    wakes_.emplace(last_wake_ + 1, std::move(f));
    return ++last_wake_;
}

void partition::remove_wake(std::uint64_t id) {
    const std::lock_guard lock(wake_mutex_);
    wakes_.erase(id);
}

void partition::wake_all() {
    const std::lock_guard lock(wake_mutex_);
    for (const auto& [id, f] : wakes_) f();
}

}  // namespace runnel::detail
