#include "runnel/connect/glob.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "runnel/connect/files.hpp"
#include "runnel/core/error.hpp"

namespace runnel {

namespace {

/// Bytes of `pattern` before its first step with a wildcard, the "/" in front of that included.
std::size_t fixed_size(std::string_view pattern) {
    const std::size_t wild = std::min(pattern.find_first_of("*?[\\"), pattern.size());
    return pattern.substr(0, wild).rfind('/') + 1;
}

/// Appends all paths that start with `path` and go on as `rest` says. `path` is empty or ends with "/".
void expand(file_system& files, const std::string& path, std::string_view rest, std::vector<std::string>& found) {
    const std::size_t end = rest.find('/');
    const std::string step(rest.substr(0, end));
    if (end == 0) return expand(files, path + "/", rest.substr(1), found);
    for (const std::string& name : files.list(path.empty() ? "." : path)) {
        if (::fnmatch(step.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
        if (end == rest.npos) found.push_back(path + name);
        else if (files.is_directory(path + name)) expand(files, path + name + "/", rest.substr(end + 1), found);
    }
}

}  // namespace

std::vector<std::string> glob_input::parts() {
    const std::size_t fixed = fixed_size(pattern_);
    std::vector<std::string> found;
    expand(*files_, pattern_.substr(0, fixed), std::string_view(pattern_).substr(fixed), found);
    if (found.empty())
        throw io_error("no file matches \"" + pattern_ + "\". Check the pattern, and the folder that it starts from",
                       ENOENT);
    std::sort(found.begin(), found.end());
    for (std::string& path : found) {
        if (files_->is_directory(path))
            throw io_error("\"" + path + "\" matches \"" + pattern_ +
                               "\", but is a folder. Use a pattern that matches files only",
                           EISDIR);
        file_input(path, *files_).parts();
        path.erase(0, fixed);
    }
    return found;
}

std::unique_ptr<byte_stream> glob_input::open(const byte_place& from, const reader_context& context) {
    return file_input(pattern_.substr(0, fixed_size(pattern_)) + from.part, *files_).open(from, context);
}

}  // namespace runnel
