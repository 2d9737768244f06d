// Stands in where the library for zstd is missing.
#include <cerrno>

#include "compression.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

std::unique_ptr<decoder> make_zstd_decoder(std::size_t) {
    throw io_error("it is compressed with zstd, and this runnel was built without libzstd. Install that and build "
                   "runnel again",
                   ENOSYS);
}

}  // namespace runnel::detail
