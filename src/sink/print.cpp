#include "runnel/sink/print.hpp"

#include <cerrno>
#include <ostream>

#include "runnel/core/file_system.hpp"

namespace runnel::detail {

void print_target::write(std::string& text) const {
    if (stream_) {
        if (!text.empty() && !(stream_->write(text.data(), static_cast<std::streamsize>(text.size())) && stream_->flush()))
            throw io_error("cannot print: the stream has failed", 0);
    } else if (!text.empty()) {
        errno = 0;
        if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0)
            throw_io_error("print to", file_ == stdout ? "standard output" : file_ == stderr ? "standard error" : "a file",
                           errno != 0 ? errno : EIO);
    }
    text.clear();
}

}  // namespace runnel::detail
