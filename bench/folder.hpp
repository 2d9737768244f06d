#pragma once

#include <filesystem>
#include <string>

#include <stdlib.h>  // mkdtemp

#include "bench/support.hpp"

namespace bench {

/// A folder among the temporary ones that goes with all that is in it.
struct folder {
    folder() : path((std::filesystem::temp_directory_path() / "runnel_bench_XXXXXX").string()) {
        if (mkdtemp(path.data()) == nullptr) fail("cannot make a temporary folder");
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    ~folder() { std::filesystem::remove_all(path); }
    std::string path;
};

}  // namespace bench
