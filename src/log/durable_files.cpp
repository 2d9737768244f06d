#include "durable_files.hpp"

namespace runnel::detail {

namespace {

std::string above(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == path.npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

void replace_file(file_system& files, const std::string& path, std::string_view contents) {
    const std::string temporary = path + ".tmp";
    {
        const auto f = files.open(temporary, open_mode::replace, file_access::owner_only);
        f->append(contents);
        f->sync();
    }
    files.rename(temporary, path);
    files.sync_directory(above(path));
}

std::string read_small_file(file& from, std::size_t most) {
    std::string bytes(most + 1, '\0');
    bytes.resize(from.read(0, bytes.data(), bytes.size()));
    return bytes;
}

}  // namespace runnel::detail
