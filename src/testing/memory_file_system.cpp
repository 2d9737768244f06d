#include "runnel/testing/memory_file_system.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

namespace runnel::testing {

namespace {

using detail::throw_io_error;

/// Nodes are numbered in the order of their creation; a number is never used again.
using node_id = std::size_t;
constexpr node_id root = 0;
constexpr node_id nothing = ~node_id{0};

struct node {
    bool is_directory = false;
    std::string bytes;
    std::map<std::string, node_id, std::less<>> entries;
};

/// A name in a folder.
struct place {
    node_id folder = nothing;
    std::string name;
    friend bool operator==(const place&, const place&) = default;
};

void write_bytes(std::string& into, std::uint64_t offset, std::string_view bytes) {
    const auto begin = static_cast<std::size_t>(offset);
    if (into.size() < begin + bytes.size()) into.resize(begin + bytes.size());
    into.replace(begin, bytes.size(), bytes);
}

struct step {
    enum class kind : unsigned char { create, make_folder, rename, remove, sync_folder, write, truncate, sync };
    kind what;
    std::string path;        // as the caller named it
    node_id target;          // the file or folder that it is about
    place at = {};           // the name that is made or removed; where a rename leads to
    place from = {};         // of rename
    std::uint64_t size = 0;  // where a write begins; what is left by truncate
    std::string bytes = {};  // of write

    bool is_of_bytes() const { return what == kind::write || what == kind::truncate; }
    void apply_to(std::vector<node>& nodes) const {
        if (target >= nodes.size()) nodes.resize(target + 1);
        switch (what) {
            case kind::create:
            case kind::make_folder:
                nodes[target].is_directory = what == kind::make_folder;
                nodes[at.folder].entries[at.name] = target;
                break;
            case kind::rename:
                nodes[from.folder].entries.erase(from.name);
                nodes[at.folder].entries[at.name] = target;
                break;
            case kind::remove: nodes[at.folder].entries.erase(at.name); break;
            case kind::write: write_bytes(nodes[target].bytes, size, bytes); break;
            case kind::truncate: nodes[target].bytes.resize(static_cast<std::size_t>(size)); break;
            case kind::sync:
            case kind::sync_folder: break;
        }
    }
};

/// The root, and nothing in it.
std::vector<node> empty_tree() { return {{true, {}, {}}}; }

/// What of the first `done` operations is durable, and which others there are.
struct durable_part {
    std::vector<node> nodes = empty_tree();
    std::vector<std::size_t> pending;
    std::size_t done = 0;

    void add_next(const std::vector<step>& all) {
        const step& o = all[done];
        if (o.what == step::kind::sync || o.what == step::kind::sync_folder) {
            std::erase_if(pending, [&](std::size_t i) {
                const step& earlier = all[i];
                const bool is_meant = o.what == step::kind::sync
                                          ? earlier.is_of_bytes() && earlier.target == o.target
                                          : !earlier.is_of_bytes() && earlier.at.folder == o.target;
                if (is_meant) earlier.apply_to(nodes);
                return is_meant;
            });
        } else {
            pending.push_back(done);
        }
        ++done;
    }
};

class survival {
public:
    survival(survivors what, std::uint64_t seed) : what_(what), random_(seed) {
        if (what_ != survivors::some) return;
        constexpr std::size_t blocks[] = {0, 512, 4096};
        block_ = blocks[draw(3)];
        share_ = 1 + draw(7);
        keeps_lengths_ = draw(2) == 0;
    }

    void apply(const step& o, std::vector<node>& nodes) {
        if (o.target >= nodes.size()) nodes.resize(o.target + 1);
        switch (what_) {
            case survivors::none: return;
            case survivors::all: o.apply_to(nodes); return;
            case survivors::contents:
                if (o.is_of_bytes()) o.apply_to(nodes);
                return;
            case survivors::names:
                if (o.is_of_bytes()) lose(o, nodes[o.target].bytes);
                else o.apply_to(nodes);
                return;
            case survivors::some: break;
        }
        if (o.what != step::kind::write || block_ == 0) {
            if (survives()) o.apply_to(nodes);
            else if (o.is_of_bytes() && keeps_lengths_) lose(o, nodes[o.target].bytes);
            return;
        }
        std::string& bytes = nodes[o.target].bytes;
        for (std::size_t i = 0; i < o.bytes.size();) {
            // Blocks are those of the file.
            const std::size_t n = std::min(o.bytes.size() - i, block_ - static_cast<std::size_t>(o.size + i) % block_);
            if (survives()) write_bytes(bytes, o.size + i, std::string_view(o.bytes).substr(i, n));
            i += n;
        }
        if (keeps_lengths_) lose(o, bytes);
    }

private:
    /// The file gets as long as the operation would have made it.
    static void lose(const step& o, std::string& bytes) {
        const auto end = static_cast<std::size_t>(o.size) + o.bytes.size();
        if (bytes.size() < end) bytes.resize(end);
    }
    std::uint64_t draw(std::uint64_t below) { return random_() % below; }
    bool survives() { return draw(8) < share_; }

    survivors what_;
    std::mt19937_64 random_;
    std::size_t block_ = 0;    // 0: writes survive whole
    std::uint64_t share_ = 4;  // of 8 changes that survive
    bool keeps_lengths_ = false;
};

}  // namespace

struct memory_file_system::contents {
    std::mutex mutex;
    std::vector<node> nodes = empty_tree();
    std::map<node_id, const open_file*> locks;
    std::vector<step> steps;
    std::uint64_t written = 0;
    /// Up to the operation behind which an image was last asked for.
    durable_part durable;

    /// Where `path` leads: the folder that holds its last part, and that part; the root's is empty.
    place find_place(const std::string& path, const char* operation) const {
        if (path.empty()) throw_io_error(operation, path, ENOENT);
        place at{root, ""};
        for (std::string_view rest = path; !rest.empty();) {
            const std::size_t end = std::min(rest.find('/'), rest.size());
            const std::string_view part = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (part.empty() || part == ".") continue;
            if (!at.name.empty()) {
                const node_id next = look(at);
                if (next == nothing) throw_io_error(operation, path, ENOENT);
                at.folder = next;
            }
            if (!nodes[at.folder].is_directory) throw_io_error(operation, path, ENOTDIR);
            at.name = part;
        }
        return at;
    }
    node_id look(const place& at) const {
        if (at.name.empty()) return at.folder;
        const auto& entries = nodes[at.folder].entries;
        const auto found = entries.find(at.name);
        return found == entries.end() ? nothing : found->second;
    }
    node_id find(const std::string& path, const char* operation) const {
        const node_id found = look(find_place(path, operation));
        if (found == nothing) throw_io_error(operation, path, ENOENT);
        return found;
    }
    /// Nothing if it does not exist.
    node_id find_if(const std::string& path) const {
        try {
            return look(find_place(path, "look at"));
        } catch (const io_error&) {
            return nothing;
        }
    }
    void record(step o) {
        o.apply_to(nodes);
        if (o.what == step::kind::write) written += o.bytes.size();
        steps.push_back(std::move(o));
    }
    void names_of_files(node_id folder, const std::string& path, std::vector<std::string>& into) const {
        for (const auto& [name, id] : nodes[folder].entries) {
            const std::string there = path + "/" + name;
            if (nodes[id].is_directory) names_of_files(id, there, into);
            else into.push_back(there);
        }
    }
    /// Takes a folder with all below it out of another tree.
    void take(std::vector<node>& from, node_id there, node_id here) {
        for (const auto& [name, id] : from[there].entries) {
            const node_id mine = nodes.size();
            nodes.push_back({from[id].is_directory, std::move(from[id].bytes), {}});
            nodes[here].entries.emplace(name, mine);
            take(from, id, mine);
        }
    }
};

class memory_file_system::open_file final : public file {
public:
    open_file(std::string name, std::shared_ptr<contents> in, node_id id, bool is_writable)
        : file(std::move(name)), in_(std::move(in)), id_(id), is_writable_(is_writable) {}
    ~open_file() override {
        const std::lock_guard guard(in_->mutex);
        const auto lock = in_->locks.find(id_);
        if (lock != in_->locks.end() && lock->second == this) in_->locks.erase(lock);
    }

private:
    std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
        const std::lock_guard guard(in_->mutex);
        const std::string& bytes = in_->nodes[id_].bytes;
        return offset >= bytes.size() ? 0 : bytes.copy(into, n, static_cast<std::size_t>(offset));
    }
    std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
        if (!is_writable_) throw_io_error("write to", name(), EBADF);
        record({.what = step::kind::write, .path = name(), .target = id_, .size = offset, .bytes = {from, n}});
        return n;
    }
    void do_sync() override { record({.what = step::kind::sync, .path = name(), .target = id_}); }
    std::uint64_t do_size() override {
        const std::lock_guard guard(in_->mutex);
        return in_->nodes[id_].bytes.size();
    }
    file_id do_id() override { return {0, id_}; }
    void do_truncate(std::uint64_t size) override {
        if (!is_writable_) throw_io_error("truncate", name(), EINVAL);
        record({.what = step::kind::truncate, .path = name(), .target = id_, .size = size});
    }
    bool do_try_lock() override {
        const std::lock_guard guard(in_->mutex);
        return in_->locks.try_emplace(id_, this).first->second == this;
    }

    void record(step o) {
        const std::lock_guard guard(in_->mutex);
        in_->record(std::move(o));
    }

    const std::shared_ptr<contents> in_;
    const node_id id_;
    const bool is_writable_;
};

memory_file_system::memory_file_system() : contents_(std::make_shared<contents>()) {}

memory_file_system::~memory_file_system() = default;

std::unique_ptr<file> memory_file_system::open(const std::string& path, open_mode mode, file_access) {
    contents& c = *contents_;
    const std::lock_guard guard(c.mutex);
    const char* what = mode == open_mode::create ? "create" : "open";
    const place at = c.find_place(path, what);
    node_id id = c.look(at);
    if (id == nothing) {
        if (mode == open_mode::read) throw_io_error(what, path, ENOENT);
        if (path.back() == '/') throw_io_error(what, path, EISDIR);
        id = c.nodes.size();
        c.record({.what = step::kind::create, .path = path, .target = id, .at = at});
    } else {
        if (mode == open_mode::create) throw_io_error(what, path, EEXIST);
        if (c.nodes[id].is_directory) throw_io_error(what, path, EISDIR);
        if (path.back() == '/') throw_io_error(what, path, ENOTDIR);
        if (mode == open_mode::replace && !c.nodes[id].bytes.empty())
            c.record({.what = step::kind::truncate, .path = path, .target = id});
    }
    return std::make_unique<open_file>(path, contents_, id, mode != open_mode::read);
}

void memory_file_system::rename(const std::string& from, const std::string& to) {
    contents& c = *contents_;
    const std::lock_guard guard(c.mutex);
    const auto fail = [&](int code) {
        throw io_error("cannot rename \"" + from + "\" to \"" + to + "\": " + std::generic_category().message(code),
                       code);
    };
    place old_place, new_place;
    try {
        old_place = c.find_place(from, "rename");
        new_place = c.find_place(to, "rename");
    } catch (const io_error& e) {
        fail(e.code());
    }
    const node_id id = c.look(old_place), there = c.look(new_place);
    if (id == nothing) fail(ENOENT);
    if (id == root || there == root) fail(EBUSY);
    if (there == id) return;
    if ((to + "/").starts_with(from + "/")) fail(EINVAL);
    if ((from + "/").starts_with(to + "/")) fail(ENOTEMPTY);
    if (there != nothing) {
        if (c.nodes[there].is_directory && !c.nodes[id].is_directory) fail(EISDIR);
        if (!c.nodes[there].is_directory && c.nodes[id].is_directory) fail(ENOTDIR);
        if (!c.nodes[there].entries.empty()) fail(ENOTEMPTY);
    }
    c.record({.what = step::kind::rename,
              .path = from + "\" to \"" + to,
              .target = id,
              .at = new_place,
              .from = old_place});
}

void memory_file_system::remove(const std::string& path) {
    contents& c = *contents_;
    const std::lock_guard guard(c.mutex);
    const place at = c.find_place(path, "remove");
    const node_id id = c.look(at);
    if (id == nothing) throw_io_error("remove", path, ENOENT);
    if (id == root) throw_io_error("remove", path, EBUSY);
    if (!c.nodes[id].entries.empty()) throw_io_error("remove", path, ENOTEMPTY);
    c.record({.what = step::kind::remove, .path = path, .target = id, .at = at});
}

void memory_file_system::sync_directory(const std::string& path) {
    contents& c = *contents_;
    const std::lock_guard guard(c.mutex);
    const node_id id = c.find(path, "sync folder");
    if (!c.nodes[id].is_directory) throw_io_error("sync folder", path, ENOTDIR);
    c.record({.what = step::kind::sync_folder, .path = path, .target = id});
}

void memory_file_system::make_directories(const std::string& path, file_access) {
    contents& c = *contents_;
    const std::lock_guard guard(c.mutex);
    for (std::size_t end = 0; end != std::string::npos;) {
        end = path.find('/', end + 1);
        const std::string part = path.substr(0, end);
        const place at = c.find_place(part, "make folder");
        const node_id id = c.look(at);
        if (id == nothing)
            c.record({.what = step::kind::make_folder, .path = part, .target = c.nodes.size(), .at = at});
        else if (!c.nodes[id].is_directory) throw_io_error("make folder", part, ENOTDIR);
    }
}

std::vector<std::string> memory_file_system::list(const std::string& path) {
    const std::lock_guard guard(contents_->mutex);
    const node_id id = contents_->find(path, "list folder");
    if (!contents_->nodes[id].is_directory) throw_io_error("list folder", path, ENOTDIR);
    std::vector<std::string> names;
    for (const auto& [name, entry] : contents_->nodes[id].entries) names.push_back(name);
    return names;
}

bool memory_file_system::exists(const std::string& path) {
    const std::lock_guard guard(contents_->mutex);
    return contents_->find_if(path) != nothing;
}

bool memory_file_system::is_directory(const std::string& path) {
    const std::lock_guard guard(contents_->mutex);
    const node_id id = contents_->find_if(path);
    return id != nothing && contents_->nodes[id].is_directory;
}

std::uint64_t memory_file_system::size(const std::string& path) {
    const std::lock_guard guard(contents_->mutex);
    const node_id id = contents_->find_if(path);
    if (id == nothing) throw_io_error("tell the size of", path, ENOENT);
    if (contents_->nodes[id].is_directory) throw_io_error("tell the size of", path, EISDIR);
    return contents_->nodes[id].bytes.size();
}

std::string memory_file_system::get(const std::string& path) const {
    const std::lock_guard guard(contents_->mutex);
    const node_id id = contents_->find(path, "read from");
    if (contents_->nodes[id].is_directory) throw_io_error("read from", path, EISDIR);
    return contents_->nodes[id].bytes;
}

void memory_file_system::put(const std::string& path, std::string_view bytes) {
    const std::unique_ptr<file> f = open(path, open_mode::replace);
    f->write(0, bytes);
    f->sync();
    const std::size_t slash = path.rfind('/');
    sync_directory(slash == std::string::npos ? "/" : path.substr(0, slash + 1));
}

std::vector<std::string> memory_file_system::files() const {
    const std::lock_guard guard(contents_->mutex);
    std::vector<std::string> names;
    contents_->names_of_files(root, "", names);
    return names;
}

std::size_t memory_file_system::operations() const {
    const std::lock_guard guard(contents_->mutex);
    return contents_->steps.size();
}

std::string memory_file_system::operation(std::size_t i) const {
    using kind = step::kind;
    const std::lock_guard guard(contents_->mutex);
    const step& o = contents_->steps.at(i);
    std::string text;
    switch (o.what) {
        case kind::create: text = "create"; break;
        case kind::make_folder: text = "make folder"; break;
        case kind::rename: text = "rename"; break;
        case kind::remove: text = "remove"; break;
        case kind::sync_folder: text = "sync folder"; break;
        case kind::write:
            text = "write " + std::to_string(o.bytes.size()) + " bytes at " + std::to_string(o.size) + " to";
            break;
        case kind::truncate: text = "truncate to " + std::to_string(o.size) + " bytes"; break;
        case kind::sync: text = "sync"; break;
    }
    return text + " \"" + o.path + "\"";
}

std::uint64_t memory_file_system::bytes_written() const {
    const std::lock_guard guard(contents_->mutex);
    return contents_->written;
}

std::unique_ptr<memory_file_system> memory_file_system::crash_image(std::size_t n, survivors what,
                                                                    std::uint64_t seed) const {
    contents& c = *contents_;
    const std::lock_guard guard(c.mutex);
    if (n < c.durable.done) c.durable = {};
    while (c.durable.done < std::min(n, c.steps.size())) c.durable.add_next(c.steps);
    std::vector<node> nodes = c.durable.nodes;
    survival survive(what, seed);
    for (const std::size_t i : c.durable.pending) survive.apply(c.steps[i], nodes);
    auto image = std::make_unique<memory_file_system>();
    image->contents_->take(nodes, root, root);
    image->contents_->durable.nodes = image->contents_->nodes;
    return image;
}

}  // namespace runnel::testing
