#include "runnel/sink/print.hpp"

#include <cerrno>
#include <ostream>

#include "runnel/core/file_system.hpp"

namespace runnel::detail {

void print_target::write(std::string& text) const {
    if (text.empty()) return;
    if (stream_) {
        stream_->write(text.data(), static_cast<std::streamsize>(text.size())).flush();
        if (!*stream_) throw io_error("cannot print: the stream has failed", 0);
    } else {
        errno = 0;
        if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0) {
            const int code = errno != 0 ? errno : EIO;
            const bool out = file_ == stdout;
            throw_io_error("print to", out ? "standard output" : file_ == stderr ? "standard error" : "a file", code);
        }
    }
    text.clear();
}

}  // namespace runnel::detail
