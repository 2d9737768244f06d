#include "recovery.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "batch_cursor.hpp"
#include "partition_walk.hpp"
#include "runnel/core/crc32c.hpp"
#include "runnel/log/log_error.hpp"

namespace runnel::detail {

namespace {

constexpr std::size_t window = 1 << 20;

/// What there is behind a place without a good batch.
struct look_behind {
    bool synced = false;  ///< A header that says that the place was on stable storage when it was written.
    bool good = false;    ///< A whole batch.
};

look_behind look(file& f, std::uint32_t salt, std::uint64_t position, std::uint64_t size, std::uint64_t offset) {
    look_behind seen;
    look_for_batches(f, salt, position, size, [&](std::uint64_t at, const batch_header& h) {
        // An earlier batch of the same partition, inside a record's value for one, proves nothing.
        if (h.base < offset) return false;
        seen.synced = h.synced > position;
        seen.good = seen.good || (!seen.synced && is_whole_batch(f, salt, at, size));
        return seen.synced;
    });
    return seen;
}

void copy(file& from, std::uint64_t begin, std::uint64_t end, file& to, std::uint64_t at) {
    std::string bytes(window, '\0');
    while (begin < end) {
        const std::size_t n =
            from.read(begin, bytes.data(), static_cast<std::size_t>(std::min<std::uint64_t>(window, end - begin)));
        if (n == 0) return;
        to.write(at, {bytes.data(), n});
        begin += n;
        at += n;
    }
}

[[noreturn]] void damaged(const file& f, std::uint64_t position, std::uint64_t offset) {
    throw log_corrupted(f.name(), position,
                        "there should be records from offset " + std::to_string(offset) +
                            " on, and they are damaged: they were on stable storage, so that no crash can have done "
                            "it. Restore the file from a copy. What is before can still be read; nothing was changed");
}

/// The last segment; `complete` if a later one was begun, of which there is nothing.
recovered_segment scan(partition& p, std::uint64_t base, bool complete) {
    recovered_segment s;
    s.file = p.files().open(p.path_of(base), open_mode::update, file_access::owner_only);
    s.report.file = s.file->name();
    const std::uint64_t size = s.file->size();
    char bytes[segment_header_size];
    auto found = segment_header::found::bad;
    if (s.file->read(0, bytes, sizeof bytes) == sizeof bytes) found = s.header.decode(bytes, p.salt());
    if (found == segment_header::found::newer)
        throw log_corrupted(s.file->name(), 0, "it has been written by a newer version of runnel. Use that");
    if (found == segment_header::found::bad || s.header.base != base) {
        const look_behind seen = look(*s.file, p.salt(), 0, size, base);
        if (complete || seen.synced || seen.good) damaged(*s.file, 0, base);
        s.header = {};
        s.report.cut = size;
        return s;
    }
    if (!complete && s.header.end != 0)
        throw log_corrupted(s.file->name(), 0,
                            "a segment that was compacted has others behind it, and this one has none. Restore those "
                            "files from a copy");
    s.epoch = s.header.epoch;
    s.newest = s.header.newest;
    s.next = base;
    std::uint64_t synced = segment_header_size;
    batch_cursor cursor(*s.file, p.salt(), window);
    cursor.seek(segment_header_size, size);
    auto what = cursor.next();
    for (; what == batch_cursor::found::batch; what = cursor.next()) {
        const batch_header& h = cursor.header();
        const bool in_order = s.header.end != 0 ? h.base >= s.next : h.base == s.next;
        if (!in_order || !cursor.read_body()) break;
        s.next = h.end();
        s.newest = std::max(s.newest, h.newest);
        s.epoch = std::max(s.epoch, (s.epoch & ~std::uint64_t{UINT32_MAX}) | h.epoch);
        synced = std::max(synced, std::min(h.synced, cursor.position()));
    }
    s.next = std::max(s.next, s.header.end);
    s.size = cursor.position();
    if (what != batch_cursor::found::end) {
        const look_behind seen = look(*s.file, p.salt(), s.size, size, s.next);
        if (complete || seen.synced) damaged(*s.file, s.size, s.next);
        s.report.position = s.size;
        s.report.cut = size - s.size;
        if (seen.good) {
            s.report.kept = s.file->name() + ".cut-" + std::to_string(s.size);
            const auto kept = p.files().open(s.report.kept, open_mode::replace, file_access::owner_only);
            copy(*s.file, s.size, size, *kept, 0);
            kept->sync();
            p.files().sync_directory(p.folder());
        }
        s.file->truncate(s.size);
    }
    // After a sync that has failed, the system may hold bytes that it takes for written and that are not on the disk:
    // what is not known to be there is written once more.
    copy(*s.file, synced, s.size, *s.file, synced);
    s.file->sync();
    return s;
}

}  // namespace

std::unique_ptr<file> make_segment(partition& p, const segment_header& header) {
    auto f = p.files().open(p.path_of(header.base), open_mode::replace, file_access::owner_only);
    f->write(0, header.encode(p.salt()));
    f->sync();
    p.files().sync_directory(p.folder());
    return f;
}

void remove_leftovers(partition& p) {
    bool removed = false;
    for (const std::string& name : p.files().list(p.folder()))
        if (name.ends_with(".compacting")) {
            p.files().remove(p.folder() + "/" + name);
            removed = true;
        }
    // What a compacted segment has taken the place of.
    const std::vector<std::uint64_t> bases = p.segments();
    std::uint64_t covered = 0;
    for (std::size_t i = 0; i + 1 < bases.size(); ++i) {
        if (covered >= bases[i + 1]) {
            p.files().remove(p.path_of(bases[i]));
            removed = true;
        } else if (const auto s = p.open(bases[i])) {
            covered = std::max(covered, s->header.end);
        }
    }
    if (removed) p.files().sync_directory(p.folder());
}

recovered_segment recover(partition& p) {
    std::vector<std::uint64_t> bases = p.segments();
    std::uint64_t base = bases.empty() ? 0 : bases.back();
    recovered_segment s;
    if (!bases.empty()) {
        s = scan(p, base, false);
        if (s.size != 0) return s;
        s.file.reset();
        if (bases.size() > 1) {
            // A crash came while it was being made. Nothing is in it, and the one before it can go on.
            const log_recovery report = s.report;
            s = scan(p, bases[bases.size() - 2], true);
            if (s.next != base) damaged(*s.file, s.size, s.next);
            s.report = report;
            if (s.header.end == 0) {
                p.files().remove(p.path_of(base));
                p.files().sync_directory(p.folder());
                return s;
            }
        }
    }
    // Nothing that is undecided lies before the first segment, or behind a compacted one.
    s.header = {};
    s.header.base = s.header.undecided = s.next = base;
    s.header.epoch = s.epoch;
    s.header.created = p.clock().now();
    s.header.newest = s.newest;
    s.file = make_segment(p, s.header);
    s.size = segment_header_size;
    s.report.file = s.file->name();
    s.report.file = s.file->name();
    return s;
}

std::map<std::uint64_t, transaction_state> find_undecided(const std::shared_ptr<partition>& p,
                                                          const segment_header& last) {
    std::map<std::uint64_t, transaction_state> open;
    partition_walk walk(p, 8 << 10);
    // Retention may have removed what was undecided then, and has been decided since.
    walk.seek(std::max(std::min(last.undecided, last.base), p->segments().front()));
    while (walk.next()) {
        const batch_header& h = walk.header();
        if (h.kind == batch_kind::records) continue;
        if (h.decides()) {
            open.erase(h.transaction);
            continue;
        }
        transaction_state& t = open[h.transaction];
        if (!h.is_control()) continue;
        control_body c;
        if (!c.decode(walk.body()))
            throw log_corrupted(walk.file_name(), walk.position(), "this begin or end of a transaction has no writer");
        t.writer = c.writer;
        if (h.kind == batch_kind::prepare) t.checkpoint = c.checkpoint;
    }
    return open;
}

}  // namespace runnel::detail
