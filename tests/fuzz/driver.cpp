// Stands in for libFuzzer where the compiler has none: runs the target on the files of the given folders, on
// pseudo-random mutations of them, and on pseudo-random bytes. Same inputs in every run.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
    // A buffer of the exact size, so that a read behind the end is seen by a sanitizer.
    const std::vector<std::uint8_t> bytes(input.begin(), input.end());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::string mutated(std::string text, std::mt19937_64& random) {
    static const std::string telling = "{}[]\",:\\\n\r\t 0123456789-+.eE\0ntfu\x80\xc3\xff";
    for (std::uint64_t n = random() % 8 + 1; n != 0; --n) {
        const std::size_t at = text.empty() ? 0 : random() % text.size();
        switch (random() % 5) {
            case 0: text.insert(at, 1, telling[random() % telling.size()]); break;
            case 1: text.erase(at, random() % 8 + 1); break;
            case 2: text.insert(at, text.substr(at, random() % 64)); break;
            case 3: text.resize(at); break;
            default:
                if (!text.empty()) text[at] = static_cast<char>(random());
        }
    }
    return text;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> corpus{""};
    for (int i = 1; i < argc; ++i) {
        if (!std::filesystem::is_directory(argv[i])) continue;
        for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
            std::ifstream file(entry.path(), std::ios::binary);
            corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
        }
    }
    std::size_t runs = 0;
    for (const std::string& input : corpus) {
        run(input);
        ++runs;
    }
    std::mt19937_64 random(1);
    for (int i = 0; i < 20'000; ++i) {
        run(mutated(corpus[random() % corpus.size()], random));
        ++runs;
    }
    std::printf("%zu inputs\n", runs);
}
