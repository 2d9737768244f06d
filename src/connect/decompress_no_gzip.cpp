// Stands in where the library for gzip is missing.
#include <cerrno>

#include "compression.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

std::unique_ptr<decoder> make_gzip_decoder() {
    throw io_error("it is compressed with gzip, and this runnel was built without zlib. Install that and build runnel "
                   "again",
                   ENOSYS);
}

}  // namespace runnel::detail
