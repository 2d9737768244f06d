#include "runnel/connect/rolling_files.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "folders.hpp"
#include "runnel/codec/binary.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/xxh64.hpp"

namespace runnel::detail {

namespace {

constexpr std::size_t enough_text = 64 * 1024;
constexpr std::string_view temporary_suffix = ".tmp";

/// The folder without slashes at its end, which would make the names of what is in it look odd.
std::string trimmed(std::string folder) {
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    return folder.empty() ? "." : folder;
}

/// What the names of the temporary files of one sink of one job with checkpoints end with.
std::string suffix_of(const std::string& owner) {
    std::string suffix;
    if (!owner.empty()) {
        constexpr std::string_view digits = "0123456789abcdef";
        suffix = ".";
        for (std::uint64_t h = xxh64::of(owner), i = 0; i != 16; ++i, h >>= 4) suffix += digits[h & 15];
    }
    return suffix += temporary_suffix;
}

/// Calls `f(path)` for each temporary file whose name ends with `suffix`.
template <class F>
void each_temporary(const std::string& folder, const rolling_options& options, std::string_view suffix, F f) {
    file_system& files = *options.files;
    // Partitions are folders in folders; what else lies there is looked at no deeper than they go.
    const auto depth = options.partition.empty() ? 0 : 1 + std::count(options.partition.begin(),
                                                                      options.partition.end(), '/');
    const auto look = [&](const auto& self, const std::string& in, std::ptrdiff_t deeper) -> void {
        if (!files.is_directory(in)) return;
        for (const std::string& name : files.list(in)) {
            const std::string path = in + "/" + name;
            if (name.starts_with("." + options.prefix + "-") && name.ends_with(suffix)) f(path);
            else if (deeper > 0) self(self, path, deeper - 1);
        }
    };
    look(look, trimmed(folder), depth);
}

void sync_each(file_system& files, std::vector<std::string> folders) {
    std::sort(folders.begin(), folders.end());
    folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
    for (const std::string& folder : folders) files.sync_directory(folder);
}

/// Gives a file that is whole its name. The folder is still to be synced.
void give_name(file_system& files, const std::string& temporary, const std::string& name) {
    if (files.exists(name))
        throw io_error("cannot complete \"" + name + "\": somebody else has made a file of that name. The results are "
                           "in \"" + temporary + "\"",
                       EEXIST);
    files.rename(temporary, name);
}

/// The path of a file that a checkpoint names. One that somebody else has made must not reach outside of the folder.
std::string path_inside(const std::string& root, const std::string& name) {
    const std::string padded = "/" + name + "/";
    if (name.empty() || name.front() == '/' || padded.find("/../") != padded.npos)
        throw error("cannot complete \"" + name + "\", as the checkpoint says: it is not inside of \"" + root +
                    "\", so this is no checkpoint of this job. Restore from one that is");
    return root + name;
}

}  // namespace

std::vector<std::string> rolling_problems(const rolling_options& options) {
    std::vector<std::string> problems;
    if (std::string problem = partition_pattern(options.partition).problem(); !problem.empty())
        problems.push_back(std::move(problem));
    if (options.prefix.empty() || options.prefix.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
        problems.push_back("prefix \"" + options.prefix +
                           "\": files cannot be named so. Give a name without slashes, such as \"part\"");
    if (options.max_open == 0) problems.push_back("max_open is 0: no file could be open. Give at least 1");
    if (options.max_age < duration::zero()) problems.push_back("max_age is negative. Give a time, or 0 for no limit");
    return problems;
}

void report_leftovers(const std::string& folder, const rolling_options& options) {
    if (!options.on_leftover) return;
    each_temporary(folder, options, temporary_suffix, options.on_leftover);
}

void commit_prepared(const std::string& folder, const rolling_options& options,
                     const std::vector<std::string>& prepared, bool again) {
    file_system& files = *options.files;
    const std::string root = trimmed(folder) + "/";
    std::vector<std::string> folders;
    for (const std::string& bytes : prepared) {
        byte_reader in(bytes);
        for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
            const std::string temporary = path_inside(root, codec<std::string>::decode(in));
            const std::string name = path_inside(root, codec<std::string>::decode(in));
            folders.push_back(folder_of(name));
            if (files.exists(temporary))
                give_name(files, temporary, name);
            else if (!again)
                throw io_error("cannot complete \"" + name + "\": somebody has removed \"" + temporary + "\"", ENOENT);
        }
    }
    sync_each(files, std::move(folders));
}

void remove_unprepared(const std::string& folder, const rolling_options& options, const std::string& owner) {
    std::vector<std::string> found;
    each_temporary(folder, options, suffix_of(owner), [&](const std::string& path) { found.push_back(path); });
    std::vector<std::string> folders;
    for (const std::string& path : found) {
        options.files->remove(path);
        folders.push_back(folder_of(path));
    }
    sync_each(*options.files, std::move(folders));
}

rolling_files::rolling_files(std::string folder, std::string extension, std::string header,
                             const rolling_options& options, const sink_context& context)
    : folder_(trimmed(std::move(folder))),
      extension_(std::move(extension)),
      header_(std::move(header)),
      options_(options),
      pattern_(options.partition),
      context_(context) {
    make_durable_folder(*options_.files, folder_);
}

rolling_files::~rolling_files() {
    if (call_ != 0) context_.clock->cancel(call_);
}

void rolling_files::select(timestamp t) {
    current_ = nullptr;
    partition_pattern::place where = pattern_.at(t);
    auto at = open_.find(where.folder);
    if (at == open_.end()) {
        make_room();
        open_file f;
        const std::string folder = where.folder.empty() ? folder_ : folder_ + "/" + where.folder;
        // Without this, a folder that somebody has removed would come back with the next partition, and nobody
        // would know that results are missing.
        if (!options_.files->is_directory(folder_))
            throw io_error("cannot write to folder \"" + folder_ +
                               "\": it was removed while the job ran, and results with it. Run the job again",
                           ENOENT);
        make_durable_folder(*options_.files, folder);
        f.number = next_number(folder);
        at = open_.emplace(where.folder, std::move(f)).first;
    }
    open_file& f = at->second;
    f.where = std::move(where);
    f.used = ++uses_;
    if (!f.to) start(f);
    current_ = &f;
}

/// Makes room for one more partition.
void rolling_files::make_room() {
    if (open_.size() < options_.max_open) return;
    const auto oldest = std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
        return a.second.used < b.second.used;
    });
    seal(oldest->second);
    complete();
    open_.erase(oldest);
}

std::string rolling_files::path_of(const open_file& f) const {
    return f.where.folder.empty() ? folder_ : folder_ + "/" + f.where.folder;
}

/// One more than the largest number of a file, complete or not, that a subtask of this index has written there.
std::uint64_t rolling_files::next_number(const std::string& folder) const {
    constexpr std::uint64_t largest = std::uint64_t{1} << 62;
    const std::string begin = options_.prefix + "-" + std::to_string(context_.subtask) + "-";
    std::uint64_t next = 0;
    for (const std::string& entry : options_.files->list(folder)) {
        std::string_view name = entry;
        if (name.starts_with('.')) name.remove_prefix(1);
        if (!name.starts_with(begin)) continue;
        std::uint64_t number = 0;
        const char* const end = name.data() + name.size();
        const auto read = std::from_chars(name.data() + begin.size(), end, number);
        if (read.ec == std::errc() && (read.ptr == end || *read.ptr == '.') && number < largest)
            next = std::max(next, number + 1);
    }
    return next;
}

/// Begins a file with a name that is not taken. The temporary file holds the name: who makes it and then finds no
/// complete one owns both.
void rolling_files::start(open_file& f) {
    file_system& files = *options_.files;
    const std::string folder = path_of(f);
    for (;; ++f.number) {
        const std::string name =
            options_.prefix + "-" + std::to_string(context_.subtask) + "-" + std::to_string(f.number) + extension_;
        f.name = folder + "/" + name;
        f.temporary = folder + "/." + name + suffix_of(context_.owner);
        if (files.exists(f.name)) continue;
        try {
            f.to = files.open(f.temporary, open_mode::create);
        } catch (const io_error& e) {
            if (e.code() != EEXIST) throw;
            continue;
        }
        if (!files.exists(f.name)) break;
        // Another job has completed it in between.
        f.to.reset();
        files.remove(f.temporary);
    }
    ++f.number;
    f.text = header_;
    f.size = 0;
    f.enough = options_.max_bytes == 0 ? enough_text : std::min<std::uint64_t>(enough_text, options_.max_bytes);
    if (context_.clock && options_.max_age != duration::zero()) {
        f.since = context_.clock->now();
        if (call_at_ == timestamp::max()) call_when_old();
    }
}

void rolling_files::write(open_file& f) {
    if (f.text.empty()) return;
    f.to->append(f.text);
    f.size += f.text.size();
    f.text.clear();
}

void rolling_files::spill(open_file& f) {
    write(f);
    if (options_.max_bytes == 0) return;
    if (f.size < options_.max_bytes) {
        f.enough = std::min<std::uint64_t>(enough_text, options_.max_bytes - f.size);
        return;
    }
    seal(f);
    complete();
}

/// Nothing more comes into the file, and all of it is on stable storage.
void rolling_files::seal(open_file& f) {
    if (!f.to) return;
    if (current_ == &f) current_ = nullptr;
    write(f);
    f.to->sync();
    f.to.reset();
    sealed_.push_back({std::move(f.temporary), std::move(f.name)});
}

/// Gives all sealed files their names, unless that is left to `commit_prepared`.
void rolling_files::complete() {
    if (!context_.owner.empty()) return;
    std::vector<std::string> folders;
    for (const sealed_file& f : sealed_) {
        give_name(*options_.files, f.temporary, f.name);
        folders.push_back(folder_of(f.name));
    }
    sealed_.clear();
    sync_each(*options_.files, std::move(folders));
}

std::string rolling_files::prepare() {
    for (auto& [partition, f] : open_) seal(f);
    std::string bytes;
    if (sealed_.empty()) return bytes;
    codec<std::uint64_t>::encode(sealed_.size(), bytes);
    std::vector<std::string> folders;
    const auto inside = [this](const std::string& path) { return path.substr(folder_.size() + 1); };
    for (const sealed_file& f : sealed_) {
        codec<std::string>::encode(inside(f.temporary), bytes);
        codec<std::string>::encode(inside(f.name), bytes);
        folders.push_back(folder_of(f.temporary));
    }
    sealed_.clear();
    sync_each(*options_.files, std::move(folders));
    return bytes;
}

void rolling_files::roll_by_age() {
    if (call_at_ == timestamp::max()) return;
    const timestamp now = context_.clock->now();
    if (now < call_at_) return;
    for (auto& [partition, f] : open_)
        if (f.to && now - f.since >= options_.max_age) seal(f);
    complete();
    call_when_old();
}

/// Has the writer flushed when its oldest file has reached its age.
void rolling_files::call_when_old() {
    if (call_ != 0) context_.clock->cancel(call_);
    call_ = 0;
    call_at_ = timestamp::max();
    for (const auto& [partition, f] : open_)
        if (f.to) call_at_ = std::min(call_at_, f.since + options_.max_age);
    if (call_at_ != timestamp::max() && context_.wake) call_ = context_.clock->call_at(call_at_, context_.wake);
}

void rolling_files::roll_by_watermark(timestamp w) {
    for (auto& [partition, f] : open_)
        if (f.to && f.where.last <= w) seal(f);
    complete();
}

void rolling_files::finish() {
    for (auto& [partition, f] : open_) seal(f);
    complete();
}

}  // namespace runnel::detail
