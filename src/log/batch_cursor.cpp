#include "batch_cursor.hpp"

#include <algorithm>
#include <cstring>

#include "runnel/core/crc32c.hpp"

namespace runnel::detail {

batch_cursor::found batch_cursor::next() {
    position_ = next_;
    body_ = {};
    if (position_ >= limit_) return found::end;
    if (limit_ - position_ < batch_header_size) return found::bad;
    const std::string_view head = fetch(position_, batch_header_size);
    if (head.size() < batch_header_size || !header_.decode(head.data(), salt_)) return found::bad;
    if (header_.body_size > limit_ - position_ - batch_header_size) return found::bad;
    next_ = position_ + header_.size();
    return found::batch;
}

bool batch_cursor::read_body() {
    const std::size_t size = batch_header_size + header_.body_size;
    const std::string_view all = fetch(position_, size);
    if (all.size() < size) return false;
    body_ = all.substr(batch_header_size);
    return crc32c(body_) == header_.body_crc;
}

std::string_view batch_cursor::fetch(std::uint64_t position, std::size_t n) {
    if (position < buffer_at_ || position + n > buffer_at_ + buffer_size_) {
        const auto size = static_cast<std::size_t>(
            std::min<std::uint64_t>(std::max(n, window_), limit_ - std::min(limit_, position)));
        // What is there already need not be read again.
        std::size_t have = 0;
        if (position >= buffer_at_ && position < buffer_at_ + buffer_size_) {
            have = static_cast<std::size_t>(buffer_at_ + buffer_size_ - position);
            std::memmove(buffer_.data(), buffer_.data() + (buffer_size_ - have), have);
        }
        buffer_size_ = 0;
        if (buffer_.size() < size) buffer_.resize(size);
        const std::size_t more = file_.read(position + have, buffer_.data() + have, size - have);
        buffer_at_ = position;
        buffer_size_ = have + more;
    }
    const auto at = static_cast<std::size_t>(position - buffer_at_);
    return std::string_view(buffer_.data(), buffer_size_).substr(at, n);
}

void look_for_batches(file& from, std::uint32_t salt, std::uint64_t position, std::uint64_t limit,
                      const std::function<bool(std::uint64_t, const batch_header&)>& f) {
    constexpr std::size_t window = 1 << 20;
    std::string bytes(window, '\0');
    while (position + batch_header_size <= limit) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(window, limit - position));
        const std::size_t n = from.read(position, bytes.data(), wanted);
        if (n < batch_header_size) return;
        for (std::size_t i = 0; i + batch_header_size <= n; ++i) {
            batch_header h;
            if (!batch_header::may_begin(bytes.data() + i) || !h.decode(bytes.data() + i, salt)) continue;
            if (f(position + i, h)) return;
        }
        position += n - (batch_header_size - 1);
    }
}

bool is_whole_batch(file& from, std::uint32_t salt, std::uint64_t position, std::uint64_t limit) {
    batch_cursor cursor(from, salt, 0);
    cursor.seek(position, limit);
    return cursor.next() == batch_cursor::found::batch && cursor.read_body();
}

}  // namespace runnel::detail
