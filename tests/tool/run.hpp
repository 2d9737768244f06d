#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "src/tool/commands.hpp"

namespace test {

struct outcome {
    int code;
    std::string out, err;
};

/// What `runnel ARGUMENTS...` prints, and ends with.
inline outcome run(runnel::file_system& fs, const std::vector<std::string>& arguments) {
    std::ostringstream out, err;
    const int code = runnel::tool::run(arguments, {"1.2.3", fs, out, err});
    return {code, out.str(), err.str()};
}

}  // namespace test
