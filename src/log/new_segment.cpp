#include "new_segment.hpp"

#include <algorithm>
#include <limits>

#include "runnel/core/crc32c.hpp"

namespace runnel::detail {

new_segment::new_segment(const partition& p, const segment_header& header, const std::string& path,
                         std::size_t batch_bytes)
    : partition_(p),
      batch_bytes_(batch_bytes),
      header_(header),
      file_(p.files().open(path, open_mode::replace, file_access::owner_only)) {}

void new_segment::append(const log_record& r) {
    constexpr std::uint64_t widest = std::numeric_limits<std::uint32_t>::max() / 2;
    if (batch_.count != 0 && (body_.size() >= batch_bytes_ || r.offset - batch_.base > widest)) write();
    if (batch_.count == 0) {
        batch_.base = r.offset;
        batch_.span = 0;
    }
    append_record(r, static_cast<std::uint32_t>(r.offset - batch_.end()), body_);
    batch_.span = static_cast<std::uint32_t>(r.offset + 1 - batch_.base);
    batch_.newest = std::max(batch_.newest, r.time);
    ++batch_.count;
}

void new_segment::finish(std::uint64_t end) {
    write();
    header_.end = end;
    file_->write(0, header_.encode(partition_.salt()));
    file_->sync();
    file_.reset();
}

void new_segment::write() {
    if (batch_.count == 0) return;
    batch_.body_size = static_cast<std::uint32_t>(body_.size());
    batch_.body_crc = crc32c(body_);
    batch_.epoch = static_cast<std::uint32_t>(header_.epoch);
    char head[batch_header_size];
    batch_.encode(head, partition_.salt());
    file_->write(position_, {head, sizeof head});
    file_->write(position_ + sizeof head, body_);
    position_ += batch_.size();
    batch_ = {};
    body_.clear();
}

}  // namespace runnel::detail
