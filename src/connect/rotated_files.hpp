#pragma once

#include <string>
#include <vector>

#include "runnel/core/file_system.hpp"

namespace runnel::detail {

/// A file that was renamed when a new one took its place.
struct rotated_file {
    std::string path;
    /// "" for names that end in a number which is the higher the older the file is; for others the form of the name.
    std::string scheme;
    /// Has been compressed, as its name says.
    bool compressed;
};

/// The files beside `path` whose names say that they once had that name, the oldest of each scheme first.
std::vector<rotated_file> rotated_files(file_system& files, const std::string& path);

}  // namespace runnel::detail
