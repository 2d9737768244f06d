// Persisted, as the mark of a position behind byte END of a file:
//   u64 END, little-endian; all ones if the bytes before it are not there any more
//   u64 XXH64, seed 0, of the first min(END, 1024) bytes of the file and then the last min(END, 1024) bytes before END
#include "runnel/connect/follow.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

#include "rotated_files.hpp"
#include "runnel/codec/codec.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/xxh64.hpp"

namespace runnel {

namespace {

/// How many bytes at the beginning of a file, and before a place in it, that place is recognised by.
constexpr std::size_t sample_size = 1024;

/// Up to `sample_size` bytes before `offset`; fewer than there should be if the file is shorter.
std::string bytes_before(file& f, std::uint64_t offset) {
    std::string bytes(static_cast<std::size_t>(std::min<std::uint64_t>(offset, sample_size)), '\0');
    bytes.resize(f.read(offset - bytes.size(), bytes.data(), bytes.size()));
    return bytes;
}

struct file_mark {
    static constexpr std::uint64_t lost = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t end = lost;
    std::uint64_t hash = 0;

    static file_mark of(file& f, std::uint64_t end) {
        const std::uint64_t first = std::min<std::uint64_t>(end, sample_size);
        const std::string sample = bytes_before(f, first) + bytes_before(f, end);
        if (sample.size() != 2 * first) return {};
        return {end, detail::xxh64::of(sample)};
    }
    bool fits(file& f) const { return end != lost && of(f, end) == *this; }
    friend bool operator==(const file_mark&, const file_mark&) = default;
    std::string encode() const {
        std::string bytes;
        codec<std::uint64_t>::encode(end, bytes);
        codec<std::uint64_t>::encode(hash, bytes);
        return bytes;
    }
    static file_mark decode(const std::string& bytes) {
        byte_reader in(bytes);
        file_mark m;
        m.end = codec<std::uint64_t>::decode(in);
        m.hash = codec<std::uint64_t>::decode(in);
        return m;
    }
};

class follow_stream final : public byte_stream {
public:
    follow_stream(std::string path, duration poll, file_system& files, const byte_place& from, const clock& clock)
        : path_(std::move(path)), poll_(poll), files_(files), clock_(clock), offset_(from.offset) {
        if (from.mark.empty()) {
            file_ = open(path_);
            return;
        }
        file_ = find(file_mark::decode(from.mark));
        if (file_) tail_ = bytes_before(*file_, offset_);
        else
            gap_ = "neither this file nor one that was rotated has the bytes that were read up to here. Lines may be "
                   "lost; it is read from its beginning";
    }

    byte_chunk read(char* into, std::size_t n) override {
        if (!gap_.empty()) return end(std::exchange(gap_, {}));
        if (std::exchange(ended_, false)) {
            file_ = std::move(next_);
            offset_ = 0;
            tail_.clear();
        }
        next_.reset();
        if (!file_) file_ = open(path_);
        if (!file_) return look_later();
        for (bool rotated = false;; rotated = true) {
            const std::size_t size = file_->read(offset_, into, n);
            if (!holds_what_was_read()) {
                next_.reset();
                return end("the file has been truncated: " + std::to_string(offset_) + " bytes were read, it now has " +
                           std::to_string(file_->size()) + ". Lines may be lost; it is read from its beginning");
            }
            if (size != 0) {
                offset_ += size;
                tail_.append(into, size);
                if (tail_.size() > sample_size) tail_.erase(0, tail_.size() - sample_size);
                return {.what = byte_chunk::kind::data, .peer = 0, .size = size};
            }
            if (rotated) return end(std::exchange(missed_, {}));
            // The file whose writer has gone over to another one is looked at once more: now nothing is added to it.
            if (!find_next()) return look_later();
        }
    }
    std::string peer_name(std::size_t) const override { return path_; }
    std::string mark(std::uint64_t offset) const override {
        if (offset == 0) return {};
        const file_mark m = file_ ? file_mark::of(*file_, offset) : file_mark();
        // The bytes that are there now may be others than those that were read.
        return (file_ && holds_what_was_read() ? m : file_mark()).encode();
    }

private:
    /// Nothing if there is no such file.
    std::unique_ptr<file> open(const std::string& path) {
        try {
            return files_.open(path, open_mode::read);
        } catch (const io_error& e) {
            if (e.code() != ENOENT) throw;
            return nullptr;
        }
    }
    /// The file that has been read as far as `m` says, whatever its name is now.
    std::unique_ptr<file> find(const file_mark& m) {
        auto found = open(path_);
        if (found && m.fits(*found)) return found;
        for (const detail::rotated_file& r : detail::rotated_files(files_, path_)) {
            if (r.compressed) continue;
            found = open(r.path);
            if (found && m.fits(*found)) return found;
        }
        return nullptr;
    }

    /// False after a truncation, even if the file is as long again.
    bool holds_what_was_read() const {
        std::string now(tail_.size(), '\0');
        now.resize(file_->read(offset_ - tail_.size(), now.data(), now.size()));
        return now == tail_;
    }

    /// Finds the file that has come after this one and has bytes in it. False if there is none, or names are being
    /// changed just now.
    bool find_next() {
        next_ = open(path_);
        if (next_ && next_->id() == file_->id()) return false;
        const std::vector<detail::rotated_file> rotated = detail::rotated_files(files_, path_);
        const auto is_this = [&](const std::string& path) {
            const auto f = open(path);
            return f && f->id() == file_->id();
        };
        const auto here = std::find_if(rotated.begin(), rotated.end(), [&](const detail::rotated_file& r) {
            return !r.compressed && is_this(r.path);
        });
        missed_.clear();
        if (here != rotated.end()) {
            for (auto r = here + 1; r != rotated.end() && r->scheme == here->scheme; ++r) {
                if (r->compressed) {
                    missed_ = "\"" + r->path + "\", which comes after this file, was compressed before it was read, so "
                              "its lines are missing";
                    continue;
                }
                auto f = open(r->path);
                if (!f) return false;
                if (f->size() == 0) continue;
                next_ = std::move(f);
                break;
            }
            if (!is_this(here->path)) return false;
        }
        return next_ && next_->size() != 0;
    }

    byte_chunk end(std::string reason) {
        ended_ = true;
        return {.what = byte_chunk::kind::ended, .peer = 0, .size = 0, .reason = std::move(reason)};
    }
    byte_chunk look_later() const {
        byte_chunk chunk{.what = byte_chunk::kind::wait};
        chunk.until = clock_.now() + poll_;
        return chunk;
    }

    std::string path_;
    duration poll_;
    file_system& files_;
    const clock& clock_;
    /// What is being read; nothing if it is not there, or no more.
    std::unique_ptr<file> file_;
    std::uint64_t offset_;
    std::string tail_;  // the last bytes before `offset_`
    /// Has been said to have ended; what comes next, if that is known.
    bool ended_ = false;
    std::unique_ptr<file> next_;
    std::string missed_;  // what is missing between this file and the next one
    std::string gap_;     // why reading starts anew
};

}  // namespace

std::vector<std::string> follow_input::problems() const {
    if (options_.poll > std::chrono::milliseconds::zero()) return {};
    return {"follow_file " + path_ + ": poll is not positive"};
}

std::vector<std::string> follow_input::parts() {
    if (!options_.may_be_missing || files_->exists(path_)) files_->open(path_, open_mode::read);
    return byte_origin::parts();
}

std::unique_ptr<byte_stream> follow_input::open(const byte_place& from, const reader_context& context) {
    return std::make_unique<follow_stream>(path_, options_.poll, *files_, from, *context.clock);
}

}  // namespace runnel
