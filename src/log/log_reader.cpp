#include "runnel/log/log_reader.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "partition.hpp"
#include "partition_walk.hpp"
#include "runnel/log/log_error.hpp"

namespace runnel {

namespace detail {

class reader_core {
public:
    reader_core(std::shared_ptr<partition> of, const log_place& from)
        : partition_(std::move(of)), walk_(partition_, data_window) {
        seek(from);
    }
    ~reader_core() { set_wake(nullptr); }
    reader_core(const reader_core&) = delete;
    reader_core& operator=(const reader_core&) = delete;

    const log_record* next() {
        for (;;) {
            while (!records_.empty()) {
                if (!records_.read(record_, headers_)) {
                    // So that it is found again.
                    records_ = {};
                    unread_ = true;
                    throw log_corrupted(walk_.file_name(), walk_.position(),
                                        "this batch holds what is no record, with a checksum that fits. Whoever wrote "
                                        "it did so wrongly");
                }
                if (record_.offset < position_) continue;
                position_ = record_.offset + 1;
                if (record_.time < from_) continue;
                from_ = timestamp::min();
                return &record_;
            }
            if (!next_batch()) return nullptr;
        }
    }
    std::uint64_t position() const noexcept { return position_; }

    void seek(const log_place& to) {
        from_ = timestamp::min();
        switch (to.what_) {
            case log_place::kind::beginning: position_ = first(); break;
            case log_place::kind::end: position_ = partition_->end().next; break;
            case log_place::kind::offset: position_ = to.offset_; break;
            case log_place::kind::time:
                position_ = segment_of(to.time_);
                from_ = to.time_;
                break;
        }
        restart();
    }

    void set_wake(std::function<void()> wake) {
        if (wake_ != 0) partition_->remove_wake(wake_);
        wake_ = wake ? partition_->add_wake(std::move(wake)) : 0;
    }
    bool has_writer() const { return partition_->has_writer(); }

private:
    static constexpr std::size_t data_window = 256 << 10;
    static constexpr std::size_t ahead_window = 8 << 10;
    enum class outcome : unsigned char { undecided, committed, aborted, compacted };

    /// Goes to the next batch whose records are to be seen; false if there is none for now.
    bool next_batch() {
        for (;; unread_ = false) {
            // A batch that cannot be read, or not yet, is come back to.
            if (!unread_ && !walk_.next()) return false;
            unread_ = true;
            const batch_header& h = walk_.header();
            if (h.kind == batch_kind::records) break;
            if (h.kind == batch_kind::in_transaction) {
                const outcome how = outcome_of(h);
                if (how == outcome::undecided) return false;
                if (how == outcome::committed) break;
                if (how == outcome::compacted) {
                    restart();
                    continue;
                }
            } else if (h.decides()) {
                outcomes_.erase(h.transaction);
            }
            position_ = std::max(position_, h.end());
        }
        records_ = record_cursor(walk_.body(), walk_.header().base);
        unread_ = false;
        return true;
    }

    /// Looks ahead for the marker that decides the transaction.
    outcome outcome_of(const batch_header& h) {
        if (const auto known = outcomes_.find(h.transaction); known != outcomes_.end()) return known->second;
        if (!ahead_ || ahead_->offset() < h.end()) {
            ahead_.emplace(partition_, ahead_window);
            ahead_->seek(h.end());
        }
        while (ahead_->next()) {
            const batch_header& a = ahead_->header();
            if (!a.decides()) continue;
            const outcome how = a.kind == batch_kind::commit ? outcome::committed : outcome::aborted;
            outcomes_[a.transaction] = how;
            if (a.transaction == h.transaction) return how;
        }
        // Compacted segments have neither transactions nor markers: this one was taken away while it was being read.
        return ahead_->compacted_until() > h.base ? outcome::compacted : outcome::undecided;
    }

    /// Opens the files anew.
    void restart() {
        records_ = {};
        unread_ = false;
        ahead_.reset();
        outcomes_.clear();
        walk_.seek(position_, from_);
    }

    std::uint64_t first() const {
        const std::vector<std::uint64_t> bases = partition_->segments();
        return bases.empty() ? 0 : bases.front();
    }

    /// The base of the first segment that may have a record of time `t` or later.
    std::uint64_t segment_of(timestamp t) const {
        for (;;) {
            const std::vector<std::uint64_t> bases = partition_->segments();
            if (bases.empty()) return 0;
            std::size_t low = 0;
            std::size_t high = bases.size() - 1;
            bool removed = false;
            while (low < high && !removed) {
                const std::size_t middle = low + (high - low) / 2;
                const std::optional<segment> behind = partition_->open(bases[middle + 1]);
                removed = !behind;
                if (removed) break;
                if (behind->header.newest >= t) high = middle;
                else low = middle + 1;
            }
            if (!removed) return std::min(bases[low], partition_->end().next);
        }
    }

    std::shared_ptr<partition> partition_;
    partition_walk walk_;
    record_cursor records_;
    bool unread_ = false;  // the batch that the walk has come to
    log_record record_;
    std::vector<log_header> headers_;
    std::uint64_t position_ = 0;
    timestamp from_ = timestamp::min();
    std::optional<partition_walk> ahead_;
    /// Of transactions whose markers lie between the two walks.
    std::unordered_map<std::uint64_t, outcome> outcomes_;
    std::uint64_t wake_ = 0;
};

}  // namespace detail

log_reader::log_reader(std::shared_ptr<detail::partition> of, log_place from)
    : core_(std::make_unique<detail::reader_core>(std::move(of), from)) {}
log_reader::log_reader(log_reader&&) noexcept = default;
log_reader& log_reader::operator=(log_reader&&) noexcept = default;
log_reader::~log_reader() = default;
const log_record* log_reader::next() { return core_->next(); }
std::uint64_t log_reader::position() const noexcept { return core_->position(); }
void log_reader::seek(log_place to) { core_->seek(to); }
void log_reader::on_append(std::function<void()> wake) { core_->set_wake(std::move(wake)); }
bool log_reader::has_writer() const { return core_->has_writer(); }

}  // namespace runnel
