// The files of a log. All numbers are little-endian; "time" is a signed count of nanoseconds since 1970; every
// checksum is a CRC-32C.
//
//   FOLDER/TOPIC/topic                       what the topic is: mark "rlt1", checksum of the rest; u64 its number,
//                                            u64 partitions. The topic is there when this file is.
//   FOLDER/TOPIC/PARTITION/lock              locked by the writer; mark "rle1", checksum of the rest with salt; u64
//                                            the writer's epoch, which each writer makes one larger
//   FOLDER/TOPIC/PARTITION/end               up to where readers may read: mark "rln1", checksum of the rest with
//                                            salt; u64 base of the last segment, u64 bytes in it, u64 next offset
//   FOLDER/TOPIC/PARTITION/OFFSET.log        a segment; 20 digits, the smallest offset in it
//   ...PARTITION/OFFSET.log.compacting       what a compaction that has not finished left; removed by the next writer
//   ...PARTITION/OFFSET.log.cut-N            what recovery cut off at byte N of a segment, when there was more in it
//                                            than a torn batch
//   FOLDER/TOPIC/groups/GROUP/PARTITION      a position: mark "rlp1", checksum of the rest; u64 the next offset to be
//                                            read, u64 time of the commit
//
// The salt of a partition is the checksum of u64 topic number, u64 partition. The checksums in a partition go on from
// it, so that bytes of another partition, or a batch inside a record's value, are not taken for a batch.
//
// A segment begins with 64 bytes:
//   u64 mark "runnelog"   u32 checksum of the bytes from 12 on, with salt   u32 version, 1
//   u64 base: the offset in its name
//   u64 end: if it was compacted, the first offset behind it; else 0
//   u64 undecided: a transaction of which a part lies before this segment, and that was undecided when it was made,
//       begins at this offset or later
//   u64 epoch of its writer   time of its making by the clock   time: the largest of all records before it
// Then come batches, one behind the other. A segment that is not the last one is complete, and was on stable storage
// before the next one was made; its batches follow one another without a gap in the offsets, unless it was compacted.
//
// A batch is written and verified as a whole:
//   u32 mark "rlb1"   u32 checksum of the bytes from 8 to 64, with salt   u32 checksum of the body   u32 bytes in it
//   u64 offset of its first record   u32 offsets that it takes   u32 records in it
//   u32 kind: 0 records, 1 records of a transaction, 2 begin, 3 prepare, 4 commit, 5 abort of a transaction
//   u32 epoch of its writer, the lower half
//   u64 transaction: 1 + the offset of its begin; 0 if kind is 0
//   u64 synced: so many bytes of this segment were on stable storage when the batch was written
//   time: the largest of its records
// and the body. Kinds 2 to 5 take one offset, have no records, and a body of u64 checkpoint (0 unless kind is 3, 4) and
// then the id of who writes the transaction.
//
// A record:
//   u32 bytes that follow   u32 shape: bits 0 to 27 size of the key, 28 has a key, 29 has a value, 30 has headers, 31
//   has a skip   time   [u32 skip: so many offsets before this record's are no record's]   [u32 bytes of the headers,
//   then per header u32 size of the name, u32 size of the value, name, value]   key   value, up to the end
// The first record has the batch's offset, if nothing is skipped; each next one the offset after.
//
// Torn or damaged. A batch whose checksums do not fit may have been torn by a crash, if it was not on stable storage,
// or have been damaged later. What lies behind it decides: a batch that says that the place was synced when it was
// written proves damage, which is reported. Otherwise the segment is cut there. If there are good batches behind the
// place nevertheless, which the system had written earlier than what was appended first, what is cut is kept in a file.
#include "format.hpp"

#include "runnel/core/crc32c.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace {

constexpr std::uint64_t segment_mark = 0x676f6c656e6e7572;  // "runnelog"
constexpr std::uint32_t batch_mark = 0x31626c72;            // "rlb1"

constexpr std::uint32_t has_key = 1U << 28;
constexpr std::uint32_t has_value = 1U << 29;
constexpr std::uint32_t has_headers = 1U << 30;
constexpr std::uint32_t has_skip = 1U << 31;

template <class T>
void append(T value, std::string& out) {
    char bytes[sizeof(T)];
    store(bytes, value);
    out.append(bytes, sizeof(T));
}

}  // namespace

std::string segment_header::encode(std::uint32_t salt) const {
    std::string bytes(segment_header_size, '\0');
    char* const p = bytes.data();
    store(p, segment_mark);
    store(p + 12, segment_version);
    store(p + 16, base);
    store(p + 24, end);
    store(p + 32, undecided);
    store(p + 40, epoch);
    store(p + 48, created.ns());
    store(p + 56, newest.ns());
    store(p + 8, crc32c({p + 12, segment_header_size - 12}, salt));
    return bytes;
}

segment_header::found segment_header::decode(const char* p, std::uint32_t salt) noexcept {
    if (load<std::uint64_t>(p) != segment_mark) return found::bad;
    if (load<std::uint32_t>(p + 8) != crc32c({p + 12, segment_header_size - 12}, salt)) return found::bad;
    if (load<std::uint32_t>(p + 12) != segment_version) return found::newer;
    base = load<std::uint64_t>(p + 16);
    end = load<std::uint64_t>(p + 24);
    undecided = load<std::uint64_t>(p + 32);
    epoch = load<std::uint64_t>(p + 40);
    created = timestamp(load<std::int64_t>(p + 48));
    newest = timestamp(load<std::int64_t>(p + 56));
    return found::good;
}

void batch_header::encode(char* p, std::uint32_t salt) const noexcept {
    store(p, batch_mark);
    store(p + 8, body_crc);
    store(p + 12, body_size);
    store(p + 16, base);
    store(p + 24, span);
    store(p + 28, count);
    store(p + 32, kind);
    store(p + 36, epoch);
    store(p + 40, transaction);
    store(p + 48, synced);
    store(p + 56, newest.ns());
    store(p + 4, crc32c({p + 8, batch_header_size - 8}, salt));
}

bool batch_header::decode(const char* p, std::uint32_t salt) noexcept {
    if (!may_begin(p)) return false;
    if (load<std::uint32_t>(p + 4) != crc32c({p + 8, batch_header_size - 8}, salt)) return false;
    body_crc = load<std::uint32_t>(p + 8);
    body_size = load<std::uint32_t>(p + 12);
    base = load<std::uint64_t>(p + 16);
    span = load<std::uint32_t>(p + 24);
    count = load<std::uint32_t>(p + 28);
    kind = load<batch_kind>(p + 32);
    epoch = load<std::uint32_t>(p + 36);
    transaction = load<std::uint64_t>(p + 40);
    synced = load<std::uint64_t>(p + 48);
    newest = timestamp(load<std::int64_t>(p + 56));
    return kind <= batch_kind::abort && count <= span && base < UINT64_MAX - span &&
           (kind == batch_kind::records) == (transaction == 0) && transaction <= base + 1;
}

bool batch_header::may_begin(const char* bytes) noexcept { return load<std::uint32_t>(bytes) == batch_mark; }

std::string control_body::encode() const {
    std::string bytes;
    append(checkpoint, bytes);
    return bytes += writer;
}

bool control_body::decode(std::string_view body) {
    if (body.size() < 8) return false;
    checkpoint = load<std::uint64_t>(body.data());
    writer = body.substr(8);
    return true;
}

void append_record(const log_record& r, std::uint32_t skip, std::string& out) {
    std::size_t size = record_header_size - 4;
    std::uint32_t shape = 0;
    std::size_t headers = 0;
    if (skip != 0) {
        shape |= has_skip;
        size += 4;
    }
    if (!r.headers.empty()) {
        shape |= has_headers;
        for (const log_header& h : r.headers) headers += 8 + h.name.size() + h.value.size();
        size += 4 + headers;
    }
    if (r.key) {
        shape |= has_key | static_cast<std::uint32_t>(r.key->size());
        size += r.key->size();
    }
    if (r.value) {
        shape |= has_value;
        size += r.value->size();
    }
    if (size > max_record_size)
        throw error("a record of " + std::to_string(size) + " bytes is too large for a log, which takes up to " +
                    std::to_string(max_record_size) + ". Split it up, or store it elsewhere and append its name");
    char head[record_header_size];
    store(head, static_cast<std::uint32_t>(size));
    store(head + 4, shape);
    store(head + 8, r.time.ns());
    out.append(head, sizeof head);
    if (skip != 0) append(skip, out);
    if (!r.headers.empty()) {
        append(static_cast<std::uint32_t>(headers), out);
        for (const log_header& h : r.headers) {
            append(static_cast<std::uint32_t>(h.name.size()), out);
            append(static_cast<std::uint32_t>(h.value.size()), out);
            out += h.name;
            out += h.value;
        }
    }
    if (r.key) out += *r.key;
    if (r.value) out += *r.value;
}

bool record_cursor::read(log_record& into, std::vector<log_header>& headers) {
    if (rest_.size() < record_header_size) return false;
    const char* const p = rest_.data();
    const std::size_t size = load<std::uint32_t>(p);
    const auto shape = load<std::uint32_t>(p + 4);
    if (size > rest_.size() - 4 || size < record_header_size - 4) return false;
    into.time = timestamp(load<std::int64_t>(p + 8));
    into.headers = {};
    const char* at = p + record_header_size;
    const char* const end = p + 4 + size;
    rest_.remove_prefix(4 + size);
    if (shape & (has_skip | has_headers)) [[unlikely]] {
        at = read_rare(shape, at, end, headers);
        if (!at) return false;
        if (shape & has_headers) into.headers = headers;
    }
    const std::size_t key_size = shape & key_bits;
    if (key_size > static_cast<std::size_t>(end - at) || (key_size != 0 && !(shape & has_key))) return false;
    if (shape & has_key) into.key.emplace(at, key_size);
    else into.key.reset();
    at += key_size;
    if (shape & has_value) into.value.emplace(at, static_cast<std::size_t>(end - at));
    else if (at == end) into.value.reset();
    else return false;
    into.offset = next_++;
    return true;
}

const char* record_cursor::read_rare(std::uint32_t shape, const char* begin, const char* end,
                                     std::vector<log_header>& headers) {
    std::string_view rest(begin, static_cast<std::size_t>(end - begin));
    if (shape & has_skip) {
        if (rest.size() < 4) return nullptr;
        next_ += load<std::uint32_t>(rest.data());
        rest.remove_prefix(4);
    }
    if (!(shape & has_headers)) return rest.data();
    headers.clear();
    if (rest.size() < 4) return nullptr;
    const std::size_t size = load<std::uint32_t>(rest.data());
    rest.remove_prefix(4);
    if (size > rest.size()) return nullptr;
    for (std::string_view block = rest.substr(0, size); !block.empty();) {
        if (block.size() < 8) return nullptr;
        const std::size_t name = load<std::uint32_t>(block.data());
        const std::size_t value = load<std::uint32_t>(block.data() + 4);
        block.remove_prefix(8);
        if (name > block.size() || value > block.size() - name) return nullptr;
        headers.push_back({block.substr(0, name), block.substr(name, value)});
        block.remove_prefix(name + value);
    }
    return rest.data() + size;
}

std::uint32_t salt_of(std::uint64_t topic, std::uint64_t partition) noexcept {
    char bytes[16];
    store(bytes, topic);
    store(bytes + 8, partition);
    return crc32c({bytes, sizeof bytes});
}

std::string encode_numbers(std::uint32_t mark, std::uint32_t salt, std::initializer_list<std::uint64_t> numbers) {
    std::string bytes(8, '\0');
    for (const std::uint64_t n : numbers) append(n, bytes);
    store(bytes.data(), mark);
    store(bytes.data() + 4, crc32c(std::string_view(bytes).substr(8), salt));
    return bytes;
}

bool decode_numbers(std::string_view bytes, std::uint32_t mark, std::uint32_t salt,
                    std::initializer_list<std::uint64_t*> numbers) noexcept {
    if (bytes.size() != 8 + 8 * numbers.size() || load<std::uint32_t>(bytes.data()) != mark) return false;
    if (load<std::uint32_t>(bytes.data() + 4) != crc32c(bytes.substr(8), salt)) return false;
    const char* p = bytes.data() + 8;
    for (std::uint64_t* n : numbers) {
        *n = load<std::uint64_t>(p);
        p += 8;
    }
    return true;
}

}  // namespace runnel::detail
