// A segment of any bytes is refused with an error, or recovered; what is read before and after is the same, and more can
// be appended.
// Input: one byte, odd: checksums are put right first, so that what is behind them is reached; the segment.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "runnel/core/crc32c.hpp"
#include "runnel/log/log_error.hpp"
#include "runnel/testing/manual_clock.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "src/log/format.hpp"
#include "tests/log/log_kit.hpp"

namespace {

using namespace runnel::detail;

constexpr std::int64_t made = 1000;  // the time that the topic was made, which its checksums begin with
const std::string name = "/log/t/0/00000000000000000000.log";

void require(bool holds) {
    if (!holds) std::abort();
}

/// The checksums of the segment's header and of the batches that follow one another in it.
void repair(std::string& bytes) {
    const std::uint32_t salt = salt_of(made, 0);
    char* const p = bytes.data();
    if (bytes.size() < segment_header_size) return;
    std::memcpy(p, "runnelog", 8);
    store<std::uint32_t>(p + 12, segment_version);
    store<std::uint64_t>(p + 16, 0);
    store(p + 8, runnel::crc32c({p + 12, segment_header_size - 12}, salt));
    for (std::size_t at = segment_header_size; at + batch_header_size <= bytes.size();) {
        const std::size_t rest = bytes.size() - at - batch_header_size;
        std::memcpy(p + at, "rlb1", 4);
        // What does not fit goes on to the end.
        const std::size_t size = std::min<std::size_t>(load<std::uint32_t>(p + at + 12), rest);
        store(p + at + 12, static_cast<std::uint32_t>(size));
        store(p + at + 8, runnel::crc32c({p + at + batch_header_size, size}));
        store(p + at + 4, runnel::crc32c({p + at + 8, batch_header_size - 8}, salt));
        at += batch_header_size + size;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] & 1) repair(bytes);
    runnel::testing::memory_file_system disk;
    runnel::testing::manual_clock clock{runnel::timestamp(made)};
    runnel::log_folder("/log", {.files = &disk, .clock = &clock}).topic("t", {});
    disk.put(name, bytes);
    const runnel::log_topic topic = runnel::log_folder("/log", {.files = &disk, .clock = &clock}).topic("t");
    try {
        runnel::log_writer out = topic.writer(0);
        runnel::log_reader in = topic.reader(0);
        const auto found = test::read_all(in);
        for (const runnel::log_prepared& p : out.prepared())
            if (p.checkpoint != 0) out.abort_after(p.writer, p.checkpoint - 1);
            else out.commit(p.writer, 0);
        const std::uint64_t offset = out.append({.time = {}, .value = "more"});
        out.flush();
        require(test::read_all(topic, 0, runnel::log_place::offset(offset)).size() == 1);
        auto again = test::read_all(topic);
        require(again.size() > found.size());
        again.resize(found.size());
        require(again == found);
        out.compact();
    } catch (const runnel::error&) {
    }
    return 0;
}
