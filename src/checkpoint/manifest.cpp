// The files of checkpoints and savepoints. Numbers are little-endian; a string is its length in 32 bits and its bytes.
//
// manifest-ID, the manifest of checkpoint ID; its presence is what completes the checkpoint:
//   8 bytes "runnelCP"
//   u32  format version, 2; what follows is as version 2 has it
//   u64  bytes of this file, all of it
//   u64  ID
//   i64  when it was taken: nanoseconds since the epoch, by the job's clock
//   u8   1: savepoint, 0: checkpoint
//   u32  number of key groups; which key is in which is as key_group_version 1 has it
//   string job
//   u32  number of pairs that the job has to remember: string name, string value; names rise
//   u32  number of data files: u64 number, u64 bytes; numbers rise and are at most ID
//   u32  number of operators: string name, string kind, u64 parallelism,
//     u32  number of states: u8 1: keyed, 0: local, string name; (keyed, name) rise
//       u64  keyed: number of keys in it, 2^64 - 1 if it is not known; version 1 does not have this
//       u32  number of chunks, one per key group that holds something (rising), or one per local entry (0, 1, 2, ...):
//         u32  key group or entry
//         u32  which of the data files above, from 0
//         u64  offset in it
//         u64  bytes; if that is 0, data file and offset are 0 too
//         u32  their CRC-32C
//         u64  their XXH64, seed 0
//   u32  CRC-32C of everything before
//
// Version 1 also differs in what operators save: see window/saved_state.hpp.
//
// data-NUMBER, the chunks that were new in checkpoint NUMBER; it is complete before a manifest refers to it, and never
// changes. Chunks do not overlap:
//   8 bytes "runnelCD"
//   u32  format version, 1
//   u64  NUMBER
//   u32  CRC-32C of the 20 bytes before
//   chunks, one after the other
//
// manifest-ID.partial is a manifest that is being written, or was when its writer ended: it can be removed, as can data
// files that no manifest refers to. A file "lock" is locked by the job that writes to the folder; it is empty.
#include "manifest.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "runnel/codec/codec.hpp"
#include "runnel/core/crc32c.hpp"

namespace runnel::detail {

namespace {

constexpr std::string_view manifest_magic = "runnelCP";
constexpr std::string_view data_magic = "runnelCD";
constexpr std::uint32_t manifest_version = 2;
constexpr std::uint32_t data_version = 1;
constexpr std::uint64_t unknown_keys = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t manifest_head_size = 20;
constexpr std::size_t crc_size = 4;

template <class T>
void put(T value, std::string& out) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_count(std::size_t n, std::string& out) {
    if (n > std::numeric_limits<std::uint32_t>::max())
        throw checkpoint_error("a checkpoint cannot hold a name, or a list, with " + std::to_string(n) +
                               " elements: 2^32 - 1 is the limit. Keep what is so large in state");
    put(static_cast<std::uint32_t>(n), out);
}

void put_string(std::string_view text, std::string& out) {
    put_count(text.size(), out);
    out += text;
}

std::string take_string(byte_reader& in) { return std::string(in.take(in.take_size())); }

bool take_flag(byte_reader& in) {
    const auto flag = in.take_raw<std::uint8_t>();
    if (flag > 1) throw decode_error("a flag is neither 0 nor 1");
    return flag == 1;
}

std::vector<manifest::data_file> take_files(byte_reader& in, checkpoint_id id) {
    std::vector<manifest::data_file> files(in.take_size(16));
    for (std::size_t i = 0; i < files.size(); ++i) {
        files[i].number = in.take_raw<std::uint64_t>();
        files[i].size = in.take_raw<std::uint64_t>();
        if (files[i].number > id || (i != 0 && files[i].number <= files[i - 1].number))
            throw decode_error("the numbers of data files are out of order");
        if (files[i].size < data_header_size) throw decode_error("a data file is shorter than its header");
    }
    return files;
}

std::vector<manifest::chunk> take_chunks(byte_reader& in, const manifest& m, bool keyed) {
    std::vector<manifest::chunk> chunks(in.take_size(36));
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        manifest::chunk& c = chunks[i];
        c.number = in.take_raw<std::uint32_t>();
        c.file = in.take_raw<std::uint32_t>();
        c.offset = in.take_raw<std::uint64_t>();
        c.length = in.take_raw<std::uint64_t>();
        c.crc = in.take_raw<std::uint32_t>();
        c.hash = in.take_raw<std::uint64_t>();
        if (keyed ? c.number >= m.key_groups || (i != 0 && c.number <= chunks[i - 1].number) : c.number != i)
            throw decode_error("key groups or entries are out of order");
        if (c.length == 0) continue;
        if (c.file >= m.files.size()) throw decode_error("a data file is not in the list");
        const std::uint64_t size = m.files[c.file].size;
        if (c.offset < data_header_size || c.offset > size || c.length > size - c.offset)
            throw decode_error("state lies outside its data file");
    }
    return chunks;
}

manifest take_manifest(byte_reader& in, std::uint32_t version) {
    manifest m;
    m.id = in.take_raw<checkpoint_id>();
    m.taken = timestamp(in.take_raw<std::int64_t>());
    m.is_savepoint = take_flag(in);
    m.key_groups = in.take_raw<std::uint32_t>();
    if (m.key_groups > std::size_t{std::numeric_limits<key_group>::max()} + 1)
        throw decode_error("there are more key groups than there can be");
    m.job = take_string(in);
    for (std::size_t n = in.take_size(8); n != 0; --n) {
        std::string name = take_string(in);
        if (!m.extra.empty() && name <= m.extra.rbegin()->first) throw decode_error("names are out of order");
        m.extra.emplace_hint(m.extra.end(), std::move(name), take_string(in));
    }
    m.files = take_files(in, m.id);
    std::set<std::string_view> names;
    for (std::size_t n = in.take_size(20); n != 0; --n) {
        manifest::operator_entry o;
        const std::string_view name = in.take(in.take_size());
        if (!names.insert(name).second) throw decode_error("an operator is listed twice");
        o.name = name;
        o.kind = take_string(in);
        o.parallelism = in.take_raw<std::uint64_t>();
        for (std::size_t states = in.take_size(9); states != 0; --states) {
            manifest::state s;
            s.keyed = take_flag(in);
            s.name = take_string(in);
            if (!o.states.empty()) {
                const manifest::state& last = o.states.back();
                if (std::tie(s.keyed, s.name) <= std::tie(last.keyed, last.name))
                    throw decode_error("states are out of order");
            }
            if (s.keyed && version >= 2)
                if (const auto keys = in.take_raw<std::uint64_t>(); keys != unknown_keys) s.keys = keys;
            s.chunks = take_chunks(in, m, s.keyed);
            o.states.push_back(std::move(s));
        }
        m.operators.push_back(std::move(o));
    }
    if (!in.empty()) throw decode_error("there are more bytes than there should be");
    return m;
}

/// Returns the format version, which is at most `newest`.
std::uint32_t check_head(std::string_view head, std::string_view magic, std::uint32_t newest, const std::string& path,
                         const char* what) {
    if (!head.starts_with(magic))
        throw checkpoint_error("\"" + path + "\" is not " + what +
                               " of runnel: it begins otherwise. Give the folder of a job's checkpoints, or of a "
                               "savepoint, as it was written");
    if (head.size() < magic.size() + 4) throw_damaged(path, head.size(), "it ends within its head");
    byte_reader in(head.substr(magic.size()));
    const auto version = in.take_raw<std::uint32_t>();
    if (version > newest)
        throw checkpoint_error("\"" + path + "\" has format version " + std::to_string(version) +
                               ", and this program reads versions up to " + std::to_string(newest) +
                               ". Build the program with a newer runnel to restore from it");
    if (version == 0) throw_damaged(path, magic.size(), "its format version is 0, which there never was");
    return version;
}

std::string read_all(file& f, std::uint64_t size) {
    std::string bytes(static_cast<std::size_t>(size), '\0');
    bytes.resize(f.read(0, bytes.data(), bytes.size()));
    return bytes;
}

/// The number in "PREFIXNUMBERsuffix", which is written without leading zeros.
std::optional<std::uint64_t> number_in(std::string_view name, std::string_view prefix, std::string_view suffix) {
    if (!name.starts_with(prefix)) return {};
    name.remove_prefix(prefix.size());
    if (!name.ends_with(suffix)) return {};
    name.remove_suffix(suffix.size());
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (failure != std::errc() || end != name.data() + name.size() || std::to_string(number) != name) return {};
    return number;
}

}  // namespace

void throw_damaged(const std::string& path, std::uint64_t offset, const std::string& what) {
    throw checkpoint_error("\"" + path + "\" is damaged at byte " + std::to_string(offset) + ": " + what +
                           ". Nothing was removed: put back a copy of the file, or restore from another checkpoint "
                           "or a savepoint");
}

const manifest::chunk* manifest::state::find(std::uint32_t number) const noexcept {
    const auto found = std::lower_bound(chunks.begin(), chunks.end(), number,
                                        [](const chunk& c, std::uint32_t n) { return c.number < n; });
    return found != chunks.end() && found->number == number ? &*found : nullptr;
}

const manifest::state* manifest::operator_entry::find(std::string_view name, bool keyed) const noexcept {
    const auto found = std::find_if(states.begin(), states.end(),
                                    [&](const state& s) { return s.keyed == keyed && s.name == name; });
    return found == states.end() ? nullptr : &*found;
}

const manifest::operator_entry* manifest::find(std::string_view name) const noexcept {
    const auto found =
        std::find_if(operators.begin(), operators.end(), [&](const operator_entry& o) { return o.name == name; });
    return found == operators.end() ? nullptr : &*found;
}

checkpoint_info manifest::info() const {
    checkpoint_info i;
    i.id = id;
    i.job = job;
    i.key_groups = key_groups;
    i.taken = taken;
    i.is_savepoint = is_savepoint;
    for (const operator_entry& o : operators) {
        saved_operator_info& of = i.operators.emplace_back();
        of.name = o.name;
        of.kind = o.kind;
        of.parallelism = static_cast<std::size_t>(o.parallelism);
        for (const state& s : o.states) {
            saved_state_info& in = of.states.emplace_back();
            in.name = s.name;
            in.keyed = s.keyed;
            in.keys = s.keys;
            in.parts = s.chunks.size();
            for (const chunk& c : s.chunks) {
                in.bytes += c.length;
                if (c.length != 0 && files[c.file].number == id) i.new_bytes += c.length;
            }
            i.bytes += in.bytes;
        }
    }
    return i;
}

std::string encode(const manifest& m) {
    std::string out(manifest_magic);
    put(manifest_version, out);
    put(std::uint64_t{0}, out);
    put(m.id, out);
    put(m.taken.ns(), out);
    put(static_cast<std::uint8_t>(m.is_savepoint), out);
    put(m.key_groups, out);
    put_string(m.job, out);
    put_count(m.extra.size(), out);
    for (const auto& [name, value] : m.extra) {
        put_string(name, out);
        put_string(value, out);
    }
    put_count(m.files.size(), out);
    for (const auto& f : m.files) {
        put(f.number, out);
        put(f.size, out);
    }
    put_count(m.operators.size(), out);
    for (const auto& o : m.operators) {
        put_string(o.name, out);
        put_string(o.kind, out);
        put(o.parallelism, out);
        put_count(o.states.size(), out);
        for (const auto& s : o.states) {
            put(static_cast<std::uint8_t>(s.keyed), out);
            put_string(s.name, out);
            if (s.keyed) put(s.keys.value_or(unknown_keys), out);
            put_count(s.chunks.size(), out);
            for (const auto& c : s.chunks) {
                put(c.number, out);
                put(c.file, out);
                put(c.offset, out);
                put(c.length, out);
                put(c.crc, out);
                put(c.hash, out);
            }
        }
    }
    const std::uint64_t size = out.size() + crc_size;
    out.replace(manifest_magic.size() + 4, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
    put(crc32c(out), out);
    return out;
}

manifest read_manifest(file_system& files, const std::string& folder, checkpoint_id id) {
    const std::string path = folder + "/" + manifest_name(id);
    const auto f = files.open(path, open_mode::read, file_access::owner_only);
    const std::uint64_t size = f->size();
    // What is of another kind need not be read to its end.
    const std::string head = read_all(*f, std::min<std::uint64_t>(size, manifest_head_size));
    const std::uint32_t version = check_head(head, manifest_magic, manifest_version, path, "a checkpoint's manifest");
    if (size < manifest_head_size + crc_size) throw_damaged(path, size, "it ends within its head");
    byte_reader length(std::string_view(head).substr(manifest_magic.size() + 4));
    const auto wanted = length.take_raw<std::uint64_t>();
    if (wanted != size)
        throw_damaged(path, manifest_magic.size() + 4,
                      "it should have " + std::to_string(wanted) + " bytes, and has " + std::to_string(size));
    const std::string bytes = read_all(*f, size);
    if (bytes.size() != size) throw_damaged(path, bytes.size(), "it ends there, and became shorter while it was read");
    const std::string_view body = std::string_view(bytes).substr(0, bytes.size() - crc_size);
    byte_reader crc(std::string_view(bytes).substr(body.size()));
    if (crc.take_raw<std::uint32_t>() != crc32c(body))
        throw_damaged(path, body.size(), "its bytes do not have the checksum that is written there");
    byte_reader in(body.substr(manifest_head_size));
    manifest m;
    try {
        m = take_manifest(in, version);
    } catch (const decode_error& e) {
        throw_damaged(path, body.size() - in.remaining(), e.what());
    }
    if (m.id != id)
        throw_damaged(path, manifest_head_size,
                      "it is the manifest of checkpoint " + std::to_string(m.id) + ", under the name of another");
    return m;
}

std::string manifest_name(checkpoint_id id) { return "manifest-" + std::to_string(id); }
std::string partial_manifest_name(checkpoint_id id) { return manifest_name(id) + ".partial"; }
std::string data_name(std::uint64_t number) { return "data-" + std::to_string(number); }

folder_contents look_into(file_system& files, const std::string& folder) {
    refuse_symbolic_link(files, folder);
    folder_contents found;
    for (const std::string& name : files.list(folder)) {
        if (const auto n = number_in(name, "manifest-", "")) found.manifests.push_back(*n);
        if (const auto n = number_in(name, "manifest-", ".partial")) found.partial_manifests.push_back(*n);
        if (const auto n = number_in(name, "data-", "")) found.data.push_back(*n);
    }
    for (auto* numbers : {&found.manifests, &found.partial_manifests, &found.data})
        std::sort(numbers->begin(), numbers->end());
    return found;
}

std::string data_header(std::uint64_t number) {
    std::string out(data_magic);
    put(data_version, out);
    put(number, out);
    put(crc32c(out), out);
    return out;
}

void check_data_header(file& f, std::uint64_t number) {
    const std::string head = read_all(f, data_header_size);
    check_head(head, data_magic, data_version, f.name(), "a checkpoint's data file");
    if (head != data_header(number))
        throw_damaged(f.name(), data_magic.size(),
                      "it does not begin as data file " + std::to_string(number) + " does");
}

}  // namespace runnel::detail
