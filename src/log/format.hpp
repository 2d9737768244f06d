#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/log/log_record.hpp"

namespace runnel::detail {

inline constexpr std::size_t segment_header_size = 64;
inline constexpr std::size_t batch_header_size = 64;
inline constexpr std::size_t record_header_size = 16;
/// Bytes of a record, more than which are refused.
inline constexpr std::size_t max_record_size = 256 << 20;
inline constexpr std::uint32_t segment_version = 1;

/// Begins a segment.
struct segment_header {
    std::uint64_t base = 0;
    std::uint64_t end = 0;        ///< The first offset behind a compacted segment; 0 if it is not compacted.
    std::uint64_t undecided = 0;  ///< No transaction that was undecided when the segment began has an earlier record.
    std::uint64_t epoch = 0;
    timestamp created;
    timestamp newest = timestamp::min();  ///< The largest time of all records before the segment.

    std::string encode(std::uint32_t salt) const;
    enum class found { good, bad, newer };
    /// Of `segment_header_size` bytes.
    found decode(const char* bytes, std::uint32_t salt) noexcept;
};

enum class batch_kind : std::uint32_t { records, in_transaction, begin, prepare, commit, abort };

/// Begins a batch.
struct batch_header {
    std::uint32_t body_crc = 0;
    std::uint32_t body_size = 0;
    std::uint64_t base = 0;
    std::uint32_t span = 0;   ///< How many offsets it takes.
    std::uint32_t count = 0;  ///< How many records it has.
    batch_kind kind = batch_kind::records;
    std::uint32_t epoch = 0;
    std::uint64_t transaction = 0;
    std::uint64_t synced = 0;
    timestamp newest = timestamp::min();

    std::uint64_t end() const noexcept { return base + span; }
    std::uint64_t size() const noexcept { return batch_header_size + body_size; }
    bool is_control() const noexcept { return kind >= batch_kind::begin; }
    bool decides() const noexcept { return kind >= batch_kind::commit; }

    /// Writes `batch_header_size` bytes.
    void encode(char* into, std::uint32_t salt) const noexcept;
    /// False if these are not the bytes of a header. The body is not looked at.
    bool decode(const char* bytes, std::uint32_t salt) noexcept;
    /// Whether there is the mark that a header begins with.
    static bool may_begin(const char* bytes) noexcept;
};

/// What a control batch holds.
struct control_body {
    std::string writer;
    std::uint64_t checkpoint = 0;

    std::string encode() const;
    /// False if it is none.
    bool decode(std::string_view body);
};

/// Appends a record; `skip` offsets lie between the one before and this one.
void append_record(const log_record& r, std::uint32_t skip, std::string& out);

/// Reads the records of a batch, from front to back.
class record_cursor {
public:
    record_cursor() = default;
    record_cursor(std::string_view body, std::uint64_t base) noexcept : rest_(body), next_(base) {}
    bool empty() const noexcept { return rest_.empty(); }
    std::size_t remaining() const noexcept { return rest_.size(); }
    /// False if the bytes are no record. `headers` holds what `into` refers to.
    bool read(log_record& into, std::vector<log_header>& headers);

private:
    static constexpr std::uint32_t key_bits = (1U << 28) - 1;
    /// What few records have; returns where the key begins, null if that cannot be.
    const char* read_rare(std::uint32_t shape, const char* begin, const char* end, std::vector<log_header>& headers);

    std::string_view rest_;
    std::uint64_t next_ = 0;
};

/// What the checksums of a partition begin with, so that bytes of another one are no part of it.
std::uint32_t salt_of(std::uint64_t topic, std::uint64_t partition) noexcept;

template <class T>
T load(const char* bytes) noexcept {
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    return value;
}

template <class T>
void store(char* into, T value) noexcept {
    std::memcpy(into, &value, sizeof(T));
}

/// A file that holds a few numbers: a mark, the checksum of what follows, and the numbers.
std::string encode_numbers(std::uint32_t mark, std::uint32_t salt, std::initializer_list<std::uint64_t> numbers);
/// False if the bytes are anything else.
bool decode_numbers(std::string_view bytes, std::uint32_t mark, std::uint32_t salt,
                    std::initializer_list<std::uint64_t*> numbers) noexcept;

}  // namespace runnel::detail
