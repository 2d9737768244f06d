#include "compaction.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "new_segment.hpp"
#include "runnel/core/error.hpp"
#include "runnel/log/log_reader.hpp"
#include "runnel/state/table.hpp"

namespace runnel::detail {

namespace {

std::string temporary_path(const partition& p, std::uint64_t base) { return p.path_of(base) + ".compacting"; }

/// Puts a segment, durable, in the place of those with these bases, the last of which ends at `end`.
void replace(const partition& p, new_segment& made, const std::vector<std::uint64_t>& bases, std::uint64_t end,
             const compaction& how) {
    made.finish(end);
    how.check();
    const std::uint64_t first = made.header().base;
    p.files().rename(temporary_path(p, first), p.path_of(first));
    p.files().sync_directory(p.folder());
    // Each for good before the next, so that what a crash leaves has no gap.
    for (const std::uint64_t base : bases) {
        if (base == first) continue;
        p.files().remove(p.path_of(base));
        p.files().sync_directory(p.folder());
    }
}

/// A segment to be compacted.
struct old_segment {
    segment_header header;
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;
    timestamp complete_since;
};

std::vector<old_segment> segments_of(const partition& p, std::uint64_t until) {
    const std::vector<std::uint64_t> bases = p.segments();
    std::vector<old_segment> all;
    for (std::size_t i = 0; i + 1 < bases.size() && bases[i + 1] <= until; ++i) {
        const auto s = p.open(bases[i]);
        const auto behind = p.open(bases[i + 1]);
        if (!s || !behind) throw error("\"" + p.folder() + "\": a segment was removed by somebody else. Try again");
        all.push_back({s->header, bases[i + 1], s->file->size(), behind->header.created});
    }
    return all;
}

}  // namespace

void compact(const std::shared_ptr<partition>& p, const compaction& how) {
    const std::vector<old_segment> old = segments_of(*p, how.until);
    if (old.empty()) return;
    const std::uint64_t end = old.back().end;
    const timestamp deletes_until = p->clock().now() - how.keep_deletes;

    // Keys come from outside: a hash without salt could be made to collide.
    table<std::string, std::uint64_t> latest;
    const auto latest_of = [&](std::string_view key) -> std::uint64_t& {
        std::string k(key);
        const std::uint64_t hash = latest.hash(k);
        return latest.get_or_create(std::move(k), hash);
    };
    for (log_reader in(p, log_place::beginning());;) {
        const log_record* r = in.next();
        if (!r || r->offset >= end) break;
        if (r->key) latest_of(*r->key) = r->offset;
    }

    log_reader in(p, log_place::beginning());
    const log_record* r = in.next();
    std::unique_ptr<new_segment> to;
    std::vector<std::uint64_t> bases;
    for (std::size_t i = 0; i != old.size(); ++i) {
        const old_segment& s = old[i];
        if (to && to->size() + s.bytes > how.segment_bytes) {
            replace(*p, *to, bases, s.header.base, how);
            to.reset();
            bases.clear();
        }
        if (!to) {
            segment_header header = s.header;
            header.epoch = how.epoch;
            to = std::make_unique<new_segment>(*p, header, temporary_path(*p, header.base), how.batch_bytes);
        }
        bases.push_back(s.header.base);
        for (; r && r->offset < s.end; r = in.next()) {
            if (r->key) {
                if (latest_of(*r->key) != r->offset) continue;
                if (!r->value && s.complete_since <= deletes_until) continue;
            }
            to->append(*r);
        }
    }
    replace(*p, *to, bases, end, how);
}

}  // namespace runnel::detail
