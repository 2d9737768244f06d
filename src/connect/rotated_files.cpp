#include "rotated_files.hpp"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

namespace runnel::detail {

namespace {

constexpr std::string_view digits = "0123456789";
/// Longer numbers are dates.
constexpr std::size_t longest_number = 3;

std::string_view without_compression(std::string_view name) {
    for (const std::string_view ending : {".gz", ".zst", ".bz2", ".xz"})
        if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending)
            return name.substr(0, name.size() - ending.size());
    return name;
}

/// What decides the order: the scheme, then for numbers the higher first, for others the name.
std::tuple<std::string, int, std::string> rank(const rotated_file& f, std::size_t base) {
    const std::string suffix(without_compression(std::string_view(f.path).substr(base)));
    return {f.scheme, f.scheme.empty() ? -std::stoi(suffix.substr(1)) : 0, suffix};
}

}  // namespace

std::vector<rotated_file> rotated_files(file_system& files, const std::string& path) {
    const std::size_t base = path.rfind('/') + 1;
    const std::string folder = path.substr(0, base), name = path.substr(base);
    std::vector<rotated_file> found;
    for (const std::string& entry : files.list(folder.empty() ? "." : folder)) {
        if (entry.size() <= name.size() || entry.compare(0, name.size(), name) != 0) continue;
        const std::string_view suffix = std::string_view(entry).substr(name.size());
        std::string scheme(without_compression(suffix));
        if (std::string_view(".-_").find(scheme[0]) == std::string_view::npos) continue;
        const std::size_t number = scheme.size() - 1;
        if (scheme.find_first_of(digits) == scheme.npos || files.is_directory(folder + entry)) continue;
        if (number <= longest_number && scheme.find_first_not_of(digits, 1) == scheme.npos) scheme.clear();
        for (char& c : scheme)
            if (digits.find(c) != digits.npos) c = '0';
        found.push_back({folder + entry, std::move(scheme), without_compression(suffix) != suffix});
    }
    std::sort(found.begin(), found.end(), [&](const rotated_file& a, const rotated_file& b) {
        return rank(a, path.size()) < rank(b, path.size());
    });
    return found;
}

}  // namespace runnel::detail
