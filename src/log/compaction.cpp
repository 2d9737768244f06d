#include "compaction.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/core/crc32c.hpp"
#include "runnel/core/error.hpp"
#include "runnel/log/log_reader.hpp"
#include "runnel/state/table.hpp"

namespace runnel::detail {

namespace {

/// A segment that is going to take the place of others.
class new_segment {
public:
    new_segment(const partition& p, const segment_header& first, const compaction& how)
        : partition_(p),
          how_(how),
          header_(first),
          temporary_(p.path_of(first.base) + ".compacting"),
          file_(p.files().open(temporary_, open_mode::replace, file_access::owner_only)) {
        header_.epoch = how.epoch;
    }

    std::uint64_t size() const noexcept { return position_ + body_.size(); }

    void append(const log_record& r) {
        constexpr std::uint64_t widest = std::numeric_limits<std::uint32_t>::max() / 2;
        if (batch_.count != 0 && (body_.size() >= how_.batch_bytes || r.offset - batch_.base > widest)) write();
        if (batch_.count == 0) {
            batch_.base = r.offset;
            batch_.span = 0;
        }
        append_record(r, static_cast<std::uint32_t>(r.offset - batch_.end()), body_);
        batch_.span = static_cast<std::uint32_t>(r.offset + 1 - batch_.base);
        batch_.newest = std::max(batch_.newest, r.time);
        ++batch_.count;
    }

    /// Puts it, durable, in the place of the segments with these bases, the last of which ends at `end`.
    void replace(const std::vector<std::uint64_t>& bases, std::uint64_t end) {
        write();
        header_.end = end;
        file_->write(0, header_.encode(partition_.salt()));
        file_->sync();
        file_.reset();
        how_.check();
        file_system& files = partition_.files();
        files.rename(temporary_, partition_.path_of(header_.base));
        files.sync_directory(partition_.folder());
        // Each for good before the next, so that what a crash leaves has no gap.
        for (const std::uint64_t base : bases) {
            if (base == header_.base) continue;
            files.remove(partition_.path_of(base));
            files.sync_directory(partition_.folder());
        }
    }

private:
    void write() {
        if (batch_.count == 0) return;
        batch_.body_size = static_cast<std::uint32_t>(body_.size());
        batch_.body_crc = crc32c(body_);
        batch_.epoch = static_cast<std::uint32_t>(how_.epoch);
        char head[batch_header_size];
        batch_.encode(head, partition_.salt());
        file_->write(position_, {head, sizeof head});
        file_->write(position_ + sizeof head, body_);
        position_ += batch_.size();
        batch_ = {};
        body_.clear();
    }

    const partition& partition_;
    const compaction& how_;
    segment_header header_;
    std::string temporary_;
    std::unique_ptr<file> file_;
    std::uint64_t position_ = segment_header_size;
    batch_header batch_;
    std::string body_;
};

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
            to->replace(bases, s.header.base);
            to.reset();
            bases.clear();
        }
        if (!to) to = std::make_unique<new_segment>(*p, s.header, how);
        bases.push_back(s.header.base);
        for (; r && r->offset < s.end; r = in.next()) {
            if (r->key) {
                if (latest_of(*r->key) != r->offset) continue;
                if (!r->value && s.complete_since <= deletes_until) continue;
            }
            to->append(*r);
        }
    }
    to->replace(bases, end);
}

}  // namespace runnel::detail
