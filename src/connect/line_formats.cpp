#include "runnel/connect/line_formats.hpp"

#include "runnel/core/error.hpp"

namespace runnel::detail {

void text_line::refuse_line_breaks(std::string_view line) {
    if (line.find('\n') != line.npos)
        throw error("a text with a line break in it cannot be written as one line: \"" +
                    std::string(line.substr(0, 100)) + "\". Replace the line break, or write JSON lines");
}

}  // namespace runnel::detail
