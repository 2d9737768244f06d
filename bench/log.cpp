// The durable log against what its work consists of, on the folder for temporary files: records of 100 bytes appended,
// against raw writes of chunks of that size with a checksum each; each record on stable storage before the next one,
// against a raw write and fdatasync; and read back verified, against a copy of the same bytes with the checksums.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/folder.hpp"
#include "bench/support.hpp"
#include "runnel/core/crc32c.hpp"
#include "runnel/log/log_folder.hpp"

namespace {

constexpr std::size_t record_size = 100;
constexpr std::size_t chunk_size = 64 << 10;

/// A file without a log around it.
struct raw_file {
    explicit raw_file(const std::string& path) : descriptor(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600)) {
        if (descriptor < 0) bench::fail("cannot open " + path);
    }
    raw_file(const raw_file&) = delete;
    raw_file& operator=(const raw_file&) = delete;
    ~raw_file() { ::close(descriptor); }
    void write(const std::string& bytes) const {
        if (::write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            bench::fail("cannot write");
    }
    int descriptor;
};

/// The record that is appended as number `i`.
void make(std::uint64_t i, char* into) { std::memcpy(into, &i, sizeof i); }

void append() {
    constexpr std::uint64_t n = 500'000;
    const bench::folder in;
    // Both go on in the same file from round to round, so that neither opens or empties one while it is timed.
    const runnel::log_topic topic = runnel::log_folder(in.path + "/log").topic("t", {});
    runnel::log_writer out = topic.writer(0, {.sync = runnel::log_sync::never,
                                              .batch_bytes = chunk_size,
                                              .segment_bytes = std::uint64_t{1} << 40});
    const raw_file raw(in.path + "/raw");
    bench::ratio(
        "log_append", 0.5, 0.75, n,
        [&] {
            const std::uint64_t before = out.next_offset();
            char value[record_size] = {};
            for (std::uint64_t i = 0; i < n; ++i) {
                make(i, value);
                out.append({.time = runnel::timestamp(static_cast<std::int64_t>(i)), .value = {{value, record_size}}});
            }
            out.flush();
            return out.next_offset() - before;
        },
        {{"write and CRC",
          [&] {
              std::string chunk;
              chunk.reserve(chunk_size + record_size);
              std::uint32_t crc = 0;
              char value[record_size] = {};
              for (std::uint64_t i = 0; i < n; ++i) {
                  make(i, value);
                  chunk.append(value, record_size);
                  if (chunk.size() < chunk_size && i + 1 != n) continue;
                  crc ^= runnel::crc32c(chunk);
                  raw.write(chunk);
                  chunk.clear();
              }
              return crc == 0 ? 0 : n;
          },
          {}}});
}

void group_commit() {
    constexpr std::uint64_t n = 100;
    const bench::folder in;
    const runnel::log_topic topic = runnel::log_folder(in.path + "/log").topic("t", {});
    runnel::log_writer out = topic.writer(0);
    const raw_file raw(in.path + "/raw");
    bench::ratio(
        "log_group_commit", 0.5, 0.75, n,
        [&] {
            const std::uint64_t before = out.next_offset();
            char value[record_size] = {};
            for (std::uint64_t i = 0; i < n; ++i) {
                make(i, value);
                out.append({.time = {}, .value = {{value, record_size}}});
                out.flush();
            }
            return out.next_offset() - before;
        },
        {{"write and fdatasync",
          [&] {
              std::string value(record_size, '\0');
              for (std::uint64_t i = 0; i < n; ++i) {
                  make(i, value.data());
                  raw.write(value);
                  if (::fdatasync(raw.descriptor) != 0) bench::fail("cannot sync");
              }
              return n;
          },
          {}}},
        11);
}

void read() {
    constexpr std::uint64_t n = 1'000'000;
    constexpr std::size_t window = 256 << 10;
    const bench::folder in;
    const runnel::log_topic topic = runnel::log_folder(in.path + "/log").topic("t", {});
    std::string all;
    all.reserve(n * record_size);
    {
        runnel::log_writer out = topic.writer(0, {.segment_bytes = std::uint64_t{1} << 40});
        char value[record_size] = {};
        for (std::uint64_t i = 0; i < n; ++i) {
            make(bench::splitmix64(i), value);
            all.append(value, record_size);
            out.append({.time = {}, .value = {{value, record_size}}});
        }
    }
    const auto sum_of = [](const char* value) {
        std::uint64_t word = 0;
        std::memcpy(&word, value, sizeof word);
        return word;
    };
    bench::ratio(
        "log_read", 0.5, 0.75, n,
        [&] {
            std::uint64_t sum = 0;
            runnel::log_reader from = topic.reader(0);
            while (const runnel::log_record* r = from.next()) sum += sum_of(r->value->data());
            return sum;
        },
        {{"copy and CRC", [&] {
              std::uint64_t sum = 0;
              std::uint32_t crc = 0;
              // Whole records.
              std::string buffer(window / record_size * record_size, '\0');
              for (std::size_t at = 0; at < all.size(); at += buffer.size()) {
                  const std::size_t size = std::min(buffer.size(), all.size() - at);
                  std::memcpy(buffer.data(), all.data() + at, size);
                  crc ^= runnel::crc32c({buffer.data(), size});
                  for (std::size_t i = 0; i < size; i += record_size) sum += sum_of(buffer.data() + i);
              }
              return crc == 0 ? 0 : sum;
          }, {}}});
}

}  // namespace

int main() {
    // First, while the disk has nothing else to do.
    group_commit();
    append();
    read();
}
