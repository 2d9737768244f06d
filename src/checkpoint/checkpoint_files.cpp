#include "checkpoint_files.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/core/crc32c.hpp"
#include "runnel/core/xxh64.hpp"

namespace runnel::detail {

namespace {

manifest::chunk describe(std::size_t number, std::string_view bytes) {
    manifest::chunk c;
    c.number = static_cast<std::uint32_t>(number);
    c.length = bytes.size();
    if (bytes.empty()) return c;
    c.crc = crc32c(bytes);
    c.hash = xxh64::of(bytes);
    return c;
}

std::set<std::string_view> keyed_names(const operator_snapshot& s, const std::vector<std::string>& of_pieces) {
    std::set<std::string_view> names(of_pieces.begin(), of_pieces.end());
    for (const auto& [name, groups] : s.keyed) names.insert(name);
    return names;
}

std::vector<std::string> names_of_pieces(const operator_snapshot& s) {
    std::vector<std::string> names;
    for (const auto& p : s.pieces)
        for (std::string& name : p->names()) names.push_back(std::move(name));
    return names;
}

/// Calls `f(group, bytes)` for the groups that have the state, those in memory first.
template <class F>
void for_each_group(const operator_snapshot& s, std::string_view name, F f) {
    if (const auto at = s.keyed.find(name); at != s.keyed.end())
        for (const auto& [group, bytes] : at->second) f(group, std::string_view(bytes));
    for (const auto& p : s.pieces) p->read(name, p->groups(), f);
}

/// All that the manifest has to say but where the chunks are.
manifest describe(const checkpoint& c, bool is_savepoint) {
    if (c.key_groups > std::size_t{std::numeric_limits<key_group>::max()} + 1)
        throw checkpoint_error("checkpoint " + std::to_string(c.id) + " has " + std::to_string(c.key_groups) +
                               " key groups: 65,536 is the limit");
    manifest m;
    m.id = c.id;
    m.taken = c.taken;
    m.is_savepoint = is_savepoint;
    m.key_groups = static_cast<std::uint32_t>(c.key_groups);
    m.job = c.job;
    m.extra = c.extra;
    for (const saved_operator& from : c.operators) {
        if (m.find(from.name))
            throw checkpoint_error("checkpoint " + std::to_string(c.id) + " has two operators '" + from.name +
                                   "'. Give each a name of its own");
        manifest::operator_entry o{from.name, from.kind, from.parallelism, {}};
        for (const auto& [name, entries] : from.state.local) {
            manifest::state& s = o.states.emplace_back();
            s.name = name;
            for (const std::string& bytes : entries) s.chunks.push_back(describe(s.chunks.size(), bytes));
        }
        const std::vector<std::string> more = names_of_pieces(from.state);
        for (const std::string_view name : keyed_names(from.state, more)) {
            manifest::state& s = o.states.emplace_back();
            s.name = name;
            s.keyed = true;
            if (const auto n = from.state.keys.find(name); n != from.state.keys.end()) s.keys = n->second;
            for_each_group(from.state, name, [&](key_group group, std::string_view bytes) {
                if (group >= m.key_groups)
                    throw checkpoint_error("operator '" + from.name + "' has state in key group " +
                                           std::to_string(group) + ", and the job only " +
                                           std::to_string(m.key_groups) + " groups");
                if (!s.chunks.empty() && s.chunks.back().number >= group)
                    throw checkpoint_error("operator '" + from.name + "' has state '" + s.name + "' in key group " +
                                           std::to_string(group) + " twice");
                s.chunks.push_back(describe(group, bytes));
            });
            if (s.chunks.empty() && !from.state.keyed.contains(name)) o.states.pop_back();
        }
        m.operators.push_back(std::move(o));
    }
    return m;
}

/// Calls `f(chunk, same)` for all chunks of `m` that have bytes; `same`: that of `before` with these bytes, or null.
template <class F>
void for_each_chunk(manifest& m, const manifest* before, F f) {
    for (auto& o : m.operators) {
        const auto* old_operator = before ? before->find(o.name) : nullptr;
        for (auto& s : o.states) {
            const auto* old_state = old_operator ? old_operator->find(s.name, s.keyed) : nullptr;
            for (auto& c : s.chunks) {
                if (c.length == 0) continue;
                const auto* old = old_state ? old_state->find(c.number) : nullptr;
                f(c, old && old->has_bytes_of(c) ? old : nullptr);
            }
        }
    }
}

/// Decides where each chunk is: in a file of `before`, or in the new one.
///
/// A file of which less than half is still of use is left behind. So the files of one checkpoint have at most about
/// twice the bytes of its state, and each byte is written again only when another has changed. So is one that is not
/// there any more.
void place(file_system& files, const std::string& folder, manifest& m, const manifest* before) {
    std::vector<std::uint64_t> used(before ? before->files.size() : 0);
    for_each_chunk(m, before, [&](manifest::chunk& c, const manifest::chunk* same) {
        if (same) used[same->file] += c.length;
    });
    constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
    std::vector<std::uint32_t> index(used.size(), none);
    for (std::size_t i = 0; i < used.size(); ++i) {
        const manifest::data_file& f = before->files[i];
        if (used[i] == 0 || used[i] < (f.size - data_header_size) / 2) continue;
        const std::string path = folder + "/" + data_name(f.number);
        if (!files.exists(path) || files.size(path) != f.size) continue;
        index[i] = static_cast<std::uint32_t>(m.files.size());
        m.files.push_back(f);
    }
    const auto mine = static_cast<std::uint32_t>(m.files.size());
    std::uint64_t end = data_header_size;
    for_each_chunk(m, before, [&](manifest::chunk& c, const manifest::chunk* same) {
        if (same && index[same->file] != none) {
            c.file = index[same->file];
            c.offset = same->offset;
        } else {
            c.file = mine;
            c.offset = end;
            end += c.length;
        }
    });
    if (end != data_header_size) m.files.push_back({m.id, end});
}

/// Appends small pieces together, large ones as they are.
class data_writer {
public:
    explicit data_writer(file& into) : into_(into) {}
    void append(std::string_view bytes) {
        if (bytes.size() >= large) {
            flush();
            into_.append(bytes);
            return;
        }
        buffer_ += bytes;
        if (buffer_.size() >= large) flush();
    }
    void flush() {
        if (!buffer_.empty()) into_.append(buffer_);
        buffer_.clear();
    }

private:
    static constexpr std::size_t large = 128 << 10;
    file& into_;
    std::string buffer_;
};

/// A new file in place of one that may have been left there: another one, since a failed sync has a memory.
std::unique_ptr<file> create_anew(file_system& files, const std::string& path) {
    if (files.exists(path) || files.is_symbolic_link(path)) files.remove(path);
    return files.open(path, open_mode::create, file_access::owner_only);
}

void write_data(file_system& files, const std::string& path, const checkpoint& c, const manifest& m,
                const checkpoint_observer& on_step) {
    tell(on_step, checkpoint_step::write_data, m.id);
    const auto f = create_anew(files, path);
    data_writer out(*f);
    out.append(data_header(m.id));
    for (std::size_t i = 0; i < c.operators.size(); ++i) {
        const auto append_if_new = [&](const manifest::chunk& chunk, std::string_view bytes) {
            if (chunk.length != 0 && m.files[chunk.file].number == m.id) out.append(bytes);
        };
        // States, and what they hold, are in the same order in both.
        auto s = m.operators[i].states.begin();
        for (const auto& [name, entries] : c.operators[i].state.local) {
            auto chunk = s++->chunks.begin();
            for (const std::string& bytes : entries) append_if_new(*chunk++, bytes);
        }
        const std::vector<std::string> more = names_of_pieces(c.operators[i].state);
        for (const std::string_view name : keyed_names(c.operators[i].state, more)) {
            if (s == m.operators[i].states.end() || s->name != name) continue;  // There was nothing of that name.
            auto chunk = s++->chunks.begin();
            for_each_group(c.operators[i].state, name,
                           [&](key_group, std::string_view bytes) { append_if_new(*chunk++, bytes); });
        }
    }
    out.flush();
    tell(on_step, checkpoint_step::sync_data, m.id);
    f->sync();
}

/// Does its best, for clearing up after another failure: true if it could.
template <class F>
bool attempt(F f) noexcept {
    try {
        f();
        return true;
    } catch (...) {
        return false;
    }
}

/// True if the file is not there any more.
bool attempt_remove(file_system& files, const std::string& path) noexcept {
    return attempt([&] {
        if (files.exists(path)) files.remove(path);
    });
}

/// Where the bytes of a chunk go, and what they are.
struct wanted_chunk {
    const manifest::chunk* chunk;
    std::string* into;
    const manifest::operator_entry* of;
    const manifest::state* in;
};

[[noreturn]] void refuse(const std::string& path, const wanted_chunk& w, const std::string& what) {
    throw_damaged(path, w.chunk->offset,
                  "state '" + w.in->name + "' of operator '" + w.of->name + "', " +
                      (w.in->keyed ? "key group " : "entry ") + std::to_string(w.chunk->number) + ", " + what);
}

void read_chunk(file& from, const std::string& path, const wanted_chunk& w) {
    const manifest::chunk& c = *w.chunk;
    w.into->resize(static_cast<std::size_t>(c.length));
    if (from.read(c.offset, w.into->data(), w.into->size()) != c.length) refuse(path, w, "is cut off");
    if (crc32c(*w.into) != c.crc || xxh64::of(*w.into) != c.hash) refuse(path, w, "does not have its checksum");
}

/// Opens a data file and looks whether it is the one.
std::unique_ptr<file> open_data(file_system& files, const std::string& path, const manifest::data_file& expected) {
    if (!files.exists(path))
        throw checkpoint_error("\"" + path + "\" is missing, and the checkpoint needs it. Copy a job's folder as a " +
                               "whole; or restore from another checkpoint or a savepoint");
    auto f = files.open(path, open_mode::read, file_access::owner_only);
    check_data_header(*f, expected.number);
    if (const std::uint64_t size = f->size(); size != expected.size)
        throw_damaged(path, std::min(size, expected.size),
                      "it should have " + std::to_string(expected.size) + " bytes, and has " + std::to_string(size));
    return f;
}

void read_data(file_system& files, const std::string& path, const manifest::data_file& expected,
               std::vector<wanted_chunk>& wanted) {
    const auto f = open_data(files, path, expected);
    std::sort(wanted.begin(), wanted.end(),
              [](const wanted_chunk& a, const wanted_chunk& b) { return a.chunk->offset < b.chunk->offset; });
    std::uint64_t end = 0;
    for (const wanted_chunk& w : wanted) {
        if (w.chunk->offset < end) refuse(path, w, "lies where other state does");
        end = w.chunk->offset + w.chunk->length;
        read_chunk(*f, path, w);
    }
}

}  // namespace

manifest write_files(file_system& files, const std::string& folder, const checkpoint& c, bool is_savepoint,
                     const manifest* before, const checkpoint_observer& on_step) {
    manifest m = describe(c, is_savepoint);
    place(files, folder, m, before);
    const std::string data = folder + "/" + data_name(c.id), partial = folder + "/" + partial_manifest_name(c.id),
                      complete = folder + "/" + manifest_name(c.id);
    bool may_be_complete = false;
    try {
        if (!m.files.empty() && m.files.back().number == c.id) {
            // A manifest of an earlier try may have been removed: it must not come back with data that is not its own.
            if (files.exists(data)) files.sync_directory(folder);
            write_data(files, data, c, m, on_step);
            // So that the manifest cannot be there without the data.
            tell(on_step, checkpoint_step::sync_data_folder, c.id);
            files.sync_directory(folder);
        }
        {
            tell(on_step, checkpoint_step::write_manifest, c.id);
            const auto f = create_anew(files, partial);
            f->append(encode(m));
            tell(on_step, checkpoint_step::sync_manifest, c.id);
            f->sync();
        }
        tell(on_step, checkpoint_step::rename_manifest, c.id);
        may_be_complete = true;
        files.rename(partial, complete);
        tell(on_step, checkpoint_step::sync_manifest_folder, c.id);
        files.sync_directory(folder);
    } catch (...) {
        attempt_remove(files, partial);
        // The data may go only once the manifest is gone for good.
        if (!may_be_complete || (attempt_remove(files, complete) && attempt([&] { files.sync_directory(folder); })))
            attempt_remove(files, data);
        throw;
    }
    return m;
}

void remove_leftovers(file_system& files, const std::string& folder) {
    const folder_contents found = look_into(files, folder);
    for (const checkpoint_id id : found.partial_manifests) files.remove(folder + "/" + partial_manifest_name(id));
    std::set<std::uint64_t> needed;
    for (const checkpoint_id id : found.manifests) {
        try {
            for (const auto& f : read_manifest(files, folder, id).files) needed.insert(f.number);
        } catch (const error&) {
            // It may need any of those that were there.
            for (const std::uint64_t number : found.data)
                if (number <= id) needed.insert(number);
        }
    }
    std::vector<std::uint64_t> unneeded;
    for (const std::uint64_t number : found.data)
        if (!needed.contains(number)) unneeded.push_back(number);
    if (unneeded.empty()) return;
    // A manifest that was removed must not come back without its data.
    files.sync_directory(folder);
    for (const std::uint64_t number : unneeded) files.remove(folder + "/" + data_name(number));
}

namespace {

manifest find_manifest(file_system& files, const std::string& folder, checkpoint_id id) {
    refuse_symbolic_link(files, folder);
    if (!files.exists(folder + "/" + manifest_name(id))) {
        std::string there;
        if (files.exists(folder))
            for (const checkpoint_id other : look_into(files, folder).manifests)
                there += (there.empty() ? "" : ", ") + std::to_string(other);
        throw checkpoint_error("there is no checkpoint " + std::to_string(id) + " in \"" + folder + "\", but " +
                               (there.empty() ? "none at all" : there) + ". Name one that is there");
    }
    return read_manifest(files, folder, id);
}

/// Reads all chunks of a manifest and verifies them, each into the string that `place(operator's index, state, chunk)`
/// gives.
template <class F>
void read_chunks(file_system& files, const std::string& folder, const manifest& m, F place) {
    std::vector<std::vector<wanted_chunk>> wanted(m.files.size());
    for (std::size_t i = 0; i < m.operators.size(); ++i)
        for (const auto& s : m.operators[i].states)
            for (const auto& chunk : s.chunks) {
                std::string& into = place(i, s, chunk);
                if (chunk.length != 0) wanted[chunk.file].push_back({&chunk, &into, &m.operators[i], &s});
            }
    for (std::size_t i = 0; i < m.files.size(); ++i)
        read_data(files, folder + "/" + data_name(m.files[i].number), m.files[i], wanted[i]);
}

/// The keyed state of an operator where a checkpoint has it.
class stored_pieces final : public keyed_pieces {
public:
    stored_pieces(file_system& files, std::string folder, std::shared_ptr<const manifest> m, std::size_t index)
        : files_(files), folder_(std::move(folder)), manifest_(std::move(m)), of_(manifest_->operators[index]) {}

    key_group_range groups() const override { return {0, static_cast<key_group>(manifest_->key_groups)}; }
    std::vector<std::string> names() const override {
        std::vector<std::string> all;
        for (const auto& s : of_.states)
            if (s.keyed) all.push_back(s.name);
        return all;
    }
    void read(std::string_view name, key_group_range range,
              const std::function<void(key_group, std::string_view)>& f) const override {
        const manifest::state* const s = of_.find(name, true);
        if (s == nullptr) return;
        std::map<std::uint32_t, std::unique_ptr<file>> open;
        std::string bytes;
        for (const manifest::chunk& c : s->chunks) {
            if (!range.contains(static_cast<key_group>(c.number))) continue;
            bytes.clear();
            if (c.length != 0) {
                const manifest::data_file& where = manifest_->files[c.file];
                const std::string path = folder_ + "/" + data_name(where.number);
                std::unique_ptr<file>& from = open[c.file];
                if (!from) from = open_data(files_, path, where);
                read_chunk(*from, path, {&c, &bytes, &of_, s});
            }
            f(static_cast<key_group>(c.number), bytes);
        }
    }

private:
    file_system& files_;
    const std::string folder_;
    const std::shared_ptr<const manifest> manifest_;
    const manifest::operator_entry& of_;
};

/// Without its keyed state.
checkpoint bare_checkpoint(const manifest& m) {
    checkpoint c{m.id, m.job, m.key_groups, m.taken, m.is_savepoint, {}, m.extra};
    for (const auto& from : m.operators) {
        saved_operator& o = c.operators.emplace_back();
        o.name = from.name;
        o.kind = from.kind;
        o.parallelism = static_cast<std::size_t>(from.parallelism);
        for (const auto& s : from.states)
            if (!s.keyed) o.state.local[s.name].resize(s.chunks.size());
    }
    return c;
}

}  // namespace

}  // namespace runnel::detail

namespace runnel {

using namespace detail;

checkpoint read_checkpoint(file_system& files, const std::string& folder, checkpoint_id id) {
    const manifest m = find_manifest(files, folder, id);
    checkpoint c = bare_checkpoint(m);
    for (std::size_t i = 0; i < m.operators.size(); ++i)
        for (const auto& s : m.operators[i].states) {
            if (s.keyed) c.operators[i].state.keyed[s.name];
            if (s.keys) c.operators[i].state.keys[s.name] = *s.keys;
        }
    read_chunks(files, folder, m, [&](std::size_t i, const manifest::state& s, const manifest::chunk& chunk) -> auto& {
        operator_snapshot& state = c.operators[i].state;
        return s.keyed ? state.keyed[s.name][static_cast<key_group>(chunk.number)] : state.local[s.name][chunk.number];
    });
    return c;
}

checkpoint open_checkpoint(file_system& files, const std::string& folder, checkpoint_id id) {
    const auto m = std::make_shared<const manifest>(find_manifest(files, folder, id));
    checkpoint c = bare_checkpoint(*m);
    std::string one;
    read_chunks(files, folder, *m, [&](std::size_t i, const manifest::state& s, const manifest::chunk& chunk) -> auto& {
        return s.keyed ? one : c.operators[i].state.local[s.name][chunk.number];
    });
    for (std::size_t i = 0; i < m->operators.size(); ++i)
        c.operators[i].state.add(std::make_shared<const stored_pieces>(files, folder, m, i));
    return c;
}

checkpoint_info verify_checkpoint(file_system& files, const std::string& folder, checkpoint_id id) {
    const manifest m = find_manifest(files, folder, id);
    std::string one;
    read_chunks(files, folder, m, [&](auto&&...) -> auto& { return one; });
    return m.info();
}

}  // namespace runnel
