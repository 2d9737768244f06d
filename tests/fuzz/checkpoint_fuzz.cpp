// A manifest and a data file of any bytes are refused with an error, or read and written to the same again.
// Input: one byte, odd: heads and checksums are put right first, so that what is behind them is reached; two bytes,
// length of the manifest; the manifest; the data file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/core/crc32c.hpp"
#include "runnel/testing/memory_file_system.hpp"

namespace {

template <class T>
void put(std::string& bytes, std::size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

void repair_manifest(std::string& bytes) {
    if (bytes.size() < 32) return;
    bytes.replace(0, 8, "runnelCP");
    put<std::uint32_t>(bytes, 8, 1);
    put<std::uint64_t>(bytes, 12, bytes.size());
    put<std::uint64_t>(bytes, 20, 1);
    put(bytes, bytes.size() - 4, runnel::crc32c(std::string_view(bytes).substr(0, bytes.size() - 4)));
}

void repair_data(std::string& bytes) {
    if (bytes.size() < 24) return;
    bytes.replace(0, 8, "runnelCD");
    put<std::uint32_t>(bytes, 8, 1);
    put<std::uint64_t>(bytes, 12, 1);
    put(bytes, 20, runnel::crc32c(std::string_view(bytes).substr(0, 20)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 3, size - 3);
    const std::size_t length = std::min<std::size_t>(data[1] | data[2] << 8, rest.size());
    std::string manifest(rest.substr(0, length)), chunks(rest.substr(length));
    if (data[0] & 1) {
        repair_manifest(manifest);
        repair_data(chunks);
    }
    runnel::testing::memory_file_system files;
    files.make_directories("/a");
    files.put("/a/manifest-1", manifest);
    files.put("/a/data-1", chunks);
    const auto list = runnel::list_checkpoints(files, "/a");
    try {
        const runnel::checkpoint c = runnel::read_checkpoint(files, "/a", 1);
        if (list.size() != 1 || !list[0].damage.empty()) std::abort();
        runnel::checkpoint_store store(files, "/b");
        store.write(c);
        if (store.read(1) != c) std::abort();
    } catch (const runnel::checkpoint_error&) {
    }
    return 0;
}
