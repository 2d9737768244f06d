#pragma once

#include <string>

#include "runnel/core/file_system.hpp"

namespace runnel::detail {

/// The folder that holds the entry at `path`.
inline std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == path.npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// Makes the folder, and those above it that are missing, so that they are there after a crash too.
inline void make_durable_folder(file_system& files, const std::string& path) {
    if (files.is_directory(path)) return;
    const std::string parent = folder_of(path);
    if (parent != path) make_durable_folder(files, parent);
    files.make_directories(path);
    files.sync_directory(parent);
}

}  // namespace runnel::detail
