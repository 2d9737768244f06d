#include "runnel/connect/files.hpp"

#include "runnel/core/error.hpp"

namespace runnel {

namespace {

class file_stream final : public byte_stream {
public:
    file_stream(std::unique_ptr<file> from, std::uint64_t offset) : from_(std::move(from)), offset_(offset) {}

    byte_chunk read(char* into, std::size_t n) override {
        if (ended_) return {.what = byte_chunk::kind::finished};
        const std::size_t size = from_->read(offset_, into, n);
        offset_ += size;
        ended_ = size == 0;
        return {.what = ended_ ? byte_chunk::kind::ended : byte_chunk::kind::data, .peer = 0, .size = size};
    }
    std::string peer_name(std::size_t) const override { return from_->name(); }

private:
    std::unique_ptr<file> from_;
    std::uint64_t offset_;
    bool ended_ = false;
};

}  // namespace

byte_input::byte_input(const std::string& path) : origin_(std::make_shared<file_input>(path)) {}

std::vector<std::string> file_input::parts() {
    files_->open(path_, open_mode::read);
    return byte_origin::parts();
}

std::unique_ptr<byte_stream> file_input::open(const byte_place& from, const reader_context&) {
    auto opened = files_->open(path_, open_mode::read);
    if (from.offset != 0 && opened->size() < from.offset)
        throw io_error("cannot go on reading \"" + path_ + "\" at byte " + std::to_string(from.offset) +
                           ": it has only " + std::to_string(opened->size()) +
                           " bytes, so it is not the file that was read before",
                       0);
    return std::make_unique<file_stream>(std::move(opened), from.offset);
}

}  // namespace runnel
