#include "runnel/log/log_repair.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "batch_cursor.hpp"
#include "new_segment.hpp"
#include "recovery.hpp"
#include "runnel/core/real_clock.hpp"
#include "runnel/log/log_error.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/log/log_writer.hpp"
#include "topic_state.hpp"

namespace runnel {

namespace {

using detail::batch_cursor;
using detail::batch_header;
using detail::batch_kind;
using detail::segment_header;

constexpr std::uint64_t no_offset = std::numeric_limits<std::uint64_t>::max();

/// A segment of a damaged partition.
struct old_segment {
    segment_header header;  ///< What is known of it.
    std::string path;
};

/// Walks over all batches of a partition that can be read, and finds out what lies between them.
class salvage {
public:
    salvage(detail::partition& p, std::size_t number) : partition_(p), number_(number) {}

    std::function<void(const old_segment&)> on_segment = [](const old_segment&) {};
    std::function<void(const batch_header&, batch_cursor&)> on_batch;
    std::function<void(log_loss&&)> on_loss = [](log_loss&&) {};

    /// Returns the offset that comes behind all that is known of.
    std::uint64_t walk() {
        shown_ = end();
        const std::vector<std::uint64_t> bases = partition_.segments();
        std::uint64_t covered = 0;
        expected_ = bases.empty() ? 0 : bases.front();
        for (std::size_t i = 0; i != bases.size(); ++i) {
            // A compaction that did not get so far has left it.
            if (i != 0 && covered > bases[i]) continue;
            // The next one that begins behind what this one covers is known when its header has been read.
            covered = walk_segment(bases, i);
        }
        if (shown_ > expected_) lose(expected_, shown_, 0, 0, "records are missing at the end");
        return std::max({expected_, shown_, torn_});
    }

private:
    /// Up to where readers were shown records, as the file says that the writer keeps.
    std::uint64_t end() {
        try {
            return partition_.end().next;
        } catch (const log_corrupted& e) {
            file_ = e.file();
            lose(0, 0, 0, 0, "the file is missing or damaged; what was at the end may be lost");
            return 0;
        }
    }

    std::uint64_t walk_segment(const std::vector<std::uint64_t>& bases, std::size_t i) {
        old_segment s;
        s.path = file_ = partition_.path_of(bases[i]);
        const std::unique_ptr<file> f = partition_.files().open(s.path, open_mode::read);
        const std::uint64_t size = f->size();
        const bool good = read_header(*f, s.header);
        const std::uint64_t covered = good && s.header.base == bases[i] ? s.header.end : 0;
        const auto behind = std::find_if(bases.begin() + static_cast<std::ptrdiff_t>(i) + 1, bases.end(),
                                         [&](std::uint64_t b) { return b >= covered; });
        const std::uint64_t until = behind == bases.end() ? no_offset : *behind;
        if (!good || s.header.base != bases[i]) {
            s.header = {};
            s.header.base = bases[i];
            lose(expected_, expected_, 0, std::min<std::uint64_t>(size, detail::segment_header_size),
                 "the header of the segment is damaged");
        }
        on_segment(s);
        walk_batches(*f, size, covered != 0, until);
        if (covered > expected_) expected_ = covered;
        if (until != no_offset && until > expected_) {
            lose(expected_, until, size, 0, "records are missing at the end of the segment");
            expected_ = until;
        }
        return covered;
    }

    bool read_header(file& f, segment_header& into) const {
        char bytes[detail::segment_header_size];
        if (f.read(0, bytes, sizeof bytes) != sizeof bytes) return false;
        const auto found = into.decode(bytes, partition_.salt());
        if (found == segment_header::found::newer)
            throw log_corrupted(f.name(), 0, "it has been written by a newer version of runnel. Use that");
        return found == segment_header::found::good;
    }

    void walk_batches(file& f, std::uint64_t size, bool compacted, std::uint64_t until) {
        batch_cursor cursor(f, partition_.salt(), 1 << 20);
        cursor.seek(std::min<std::uint64_t>(size, detail::segment_header_size), size);
        for (;;) {
            const batch_cursor::found what = cursor.next();
            if (what == batch_cursor::found::end) return;
            const batch_header& h = cursor.header();
            if (what == batch_cursor::found::batch && belongs(h, until) && cursor.read_body()) {
                if (h.base != expected_ && !compacted)
                    lose(expected_, h.base, cursor.position(), 0, "records are missing before it");
                expected_ = h.end();
                on_batch(h, cursor);
                continue;
            }
            const std::uint64_t bad = cursor.position();
            if (what == batch_cursor::found::batch && h.base == expected_ && h.end() <= until) torn_ = h.end();
            // Behind all offsets that are lost. What was shown to nobody may have been torn by a crash.
            std::uint64_t behind = until == no_offset ? std::max(expected_, shown_) : until;
            std::uint64_t next = size;
            detail::look_for_batches(f, partition_.salt(), bad + 1, size, [&](std::uint64_t at, const batch_header& b) {
                if (!belongs(b, until) || !detail::is_whole_batch(f, partition_.salt(), at, size)) return false;
                next = at;
                behind = b.base;
                return true;
            });
            lose(expected_, behind, bad, next - bad, "here is no batch of records that is whole");
            expected_ = behind;
            cursor.seek(next, size);
        }
    }

    /// Neither a batch from inside of a record's value, nor one that a later segment has.
    bool belongs(const batch_header& h, std::uint64_t until) const { return h.base >= expected_ && h.end() <= until; }

    void lose(std::uint64_t first, std::uint64_t end, std::uint64_t position, std::uint64_t bytes, const char* what) {
        on_loss({number_, first, end, file_, position, bytes, what});
    }

    detail::partition& partition_;
    std::size_t number_;
    std::string file_;
    std::uint64_t shown_ = 0;
    std::uint64_t expected_ = 0;  // the offset of the next batch, if none is missing
    std::uint64_t torn_ = 0;      // behind a batch of which there is only the header
};

/// What is known of a transaction.
struct fate {
    enum class how : unsigned char { undecided, committed, aborted, unknown } what = how::undecided;
    std::uint64_t first = no_offset;
    std::string writer;
    std::optional<std::uint64_t> checkpoint;
};
using fates = std::map<std::uint64_t, fate>;

bool read_control(batch_cursor& at, fate& into) {
    detail::control_body body;
    if (!body.decode(at.body())) return false;
    into.writer = body.writer;
    if (at.header().kind == batch_kind::prepare) into.checkpoint = body.checkpoint;
    return true;
}

/// Copies one partition.
class partition_copy {
public:
    partition_copy(std::shared_ptr<detail::partition> from, std::shared_ptr<detail::partition> to, std::size_t number,
                   log_repair& report)
        : from_(std::move(from)), to_(std::move(to)), number_(number), report_(report) {}

    void run() {
        find_fates();
        salvage copy(*from_, number_);
        copy.on_segment = [&](const old_segment& s) { begin_segment(s); };
        copy.on_batch = [&](const batch_header& h, batch_cursor& at) { take(h, at); };
        copy.on_loss = [&](log_loss&& l) { report_.lost.push_back(std::move(l)); };
        const std::uint64_t end = copy.walk();
        if (!segment_) return;  // Nothing was ever written to it.
        segment_->finish(end);
        segment_header last;
        last.base = last.undecided = end;
        last.epoch = epoch_;
        last.created = to_->clock().now();
        last.newest = newest_;
        detail::make_segment(*to_, last);
        append_undecided();
    }

private:
    void find_fates() {
        std::uint64_t lost_until = 0;
        salvage look(*from_, number_);
        look.on_loss = [&](log_loss&& l) {
            if (l.first != l.end) lost_until = std::max(lost_until, l.end);
        };
        look.on_batch = [&](const batch_header& h, batch_cursor& at) {
            if (h.kind == batch_kind::records) return;
            fate& f = fates_[h.transaction];
            f.first = std::min(f.first, h.base);
            if (h.kind == batch_kind::commit) f.what = fate::how::committed;
            else if (h.kind == batch_kind::abort) f.what = fate::how::aborted;
            else if (h.is_control()) read_control(at, f);
        };
        look.walk();
        for (auto& [number, f] : fates_)
            if (f.what == fate::how::undecided && (lost_until > f.first || f.writer.empty()))
                f.what = fate::how::unknown;
    }

    void begin_segment(const old_segment& s) {
        if (segment_) segment_->finish(s.header.base);
        segment_header h = s.header;
        h.undecided = h.base;
        h.end = 0;
        newest_ = h.newest = std::max(newest_, h.newest);
        epoch_ = h.epoch = std::max(epoch_, h.epoch);
        if (h.created == timestamp()) h.created = to_->clock().now();
        segment_.emplace(*to_, h, to_->path_of(h.base), log_writer_options().batch_bytes);
        path_ = s.path;
    }

    void take(const batch_header& h, batch_cursor& at) {
        epoch_ = std::max(epoch_, (epoch_ & ~std::uint64_t{UINT32_MAX}) | h.epoch);
        if (h.is_control()) return;
        if (h.kind == batch_kind::in_transaction) {
            const fate& f = fates_[h.transaction];
            if (f.what == fate::how::unknown)
                lose(h.base, h.end(), at, h.size(), "these records are of a transaction whose end is lost");
            if (f.what != fate::how::committed) return;
        }
        each_record(h, at, [&](const log_record& r) {
            segment_->append(r);
            newest_ = std::max(newest_, r.time);
            ++report_.records;
            report_.bytes += r.key.value_or("").size() + r.value.value_or("").size();
        });
    }

    template <class F>
    void each_record(const batch_header& h, batch_cursor& at, F f) {
        detail::record_cursor records(at.body(), h.base);
        log_record r;
        std::uint64_t next = h.base;
        while (!records.empty()) {
            if (!records.read(r, headers_) || r.offset < next || r.offset >= h.end())
                return lose(next, h.end(), at, records.remaining(), "the rest of the batch holds no records");
            next = r.offset + 1;
            f(r);
        }
    }

    /// What was prepared, and waits for its writer.
    void append_undecided() {
        log_writer out(to_, {});
        std::map<std::uint64_t, log_transaction> open;
        for (const auto& [number, f] : fates_)
            if (f.what == fate::how::undecided && f.checkpoint) open.emplace(number, out.begin(f.writer));
        if (!open.empty()) {
            salvage again(*from_, number_);
            again.on_batch = [&](const batch_header& h, batch_cursor& at) {
                if (h.kind != batch_kind::in_transaction) return;
                if (const auto to = open.find(h.transaction); to != open.end())
                    each_record(h, at, [&](const log_record& r) { to->second.append(r); });
            };
            again.walk();
        }
        for (auto& [number, transaction] : open) {
            transaction.prepare(*fates_[number].checkpoint);
            ++report_.undecided;
        }
        out.sync();
    }

    void lose(std::uint64_t first, std::uint64_t end, const batch_cursor& at, std::uint64_t bytes, const char* what) {
        report_.lost.push_back({number_, first, end, path_, at.position(), bytes, what});
    }

    std::shared_ptr<detail::partition> from_;
    std::shared_ptr<detail::partition> to_;
    std::size_t number_;
    log_repair& report_;
    fates fates_;
    std::optional<detail::new_segment> segment_;
    std::string path_;
    timestamp newest_ = timestamp::min();
    std::uint64_t epoch_ = 0;
    std::vector<log_header> headers_;
};

/// Positions of consumer groups.
void copy_groups(file_system& files, const std::string& folder, const log_topic& from, const log_topic& to,
                 log_repair& report) {
    if (!files.exists(folder)) return;
    for (const std::string& name : files.list(folder))
        for (std::size_t i = 0; i < from.partitions(); ++i) {
            try {
                if (const auto position = from.group(name).position(i)) to.group(name).commit(i, *position);
            } catch (const log_corrupted& e) {
                report.lost.push_back({i, 0, 0, e.file(), 0, 0, "the position of consumer group '" + name +
                                                                    "' is damaged; it begins anew"});
            }
        }
}

}  // namespace

log_repair repair_topic(const log_options& options, const std::string& folder, const std::string& topic,
                        const std::string& into) {
    detail::check_name("topic", topic);
    detail::folder_state old{folder, options.files, nullptr, {}, {}};
    if (options.clock) old.clock = {std::shared_ptr<void>(), options.clock};
    else old.clock = std::make_shared<real_clock>();
    detail::folder_state fresh{into, options.files, old.clock, {}, {}};
    const auto from = detail::read_topic(old, topic);
    if (fresh.files->exists(into + "/" + topic))
        throw error("there is something at \"" + into + "/" + topic +
                    "\" already. Name a folder that has no topic \"" + topic + "\" for the repaired copy");
    log_repair report;
    report.partitions = from->partitions.size();
    detail::make_topic(fresh, topic, report.partitions, [&](const detail::topic_state& to) {
        for (std::size_t i = 0; i < report.partitions; ++i)
            partition_copy(from->partitions[i], to.partitions[i], i, report).run();
    });
    copy_groups(*options.files, from->folder + "/groups", log_topic(from), log_topic(detail::read_topic(fresh, topic)),
                report);
    return report;
}

}  // namespace runnel
