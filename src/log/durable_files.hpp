#pragma once

#include <string>
#include <string_view>

#include "runnel/core/file_system.hpp"

namespace runnel::detail {


/// Gives the file at `path` these contents, all of them or, after a crash, those that it had.
void replace_file(file_system& files, const std::string& path, std::string_view contents);

/// All of a file, if it is no larger than `most`; else its first `most` + 1 bytes.
std::string read_small_file(file& from, std::size_t most);

}  // namespace runnel::detail
