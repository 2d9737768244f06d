// Whatever bytes come on a connection to the live page: each request that is found in them has an answer, and what is no
// request is refused. The same requests are found in whatever pieces the bytes come.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "src/observe/http.hpp"
#include "src/observe/page_site.hpp"

namespace {

using runnel::observe::detail::http_reader;
using state = http_reader::state;

void require(bool holds) {
    if (!holds) std::abort();
}

/// All requests that are found in `bytes` when they come in pieces of `piece`.
std::vector<std::string> requests_in(std::string_view bytes, std::size_t piece) {
    static const runnel::observe::detail::page_site site({.token = "0123456789abcdef"});
    std::vector<std::string> answers;
    http_reader reader;
    for (std::size_t i = 0; i < bytes.size(); i += piece) {
        state s = reader.put(bytes.substr(i, piece));
        for (; s == state::complete; s = reader.put({})) {
            const auto r = site.answer(reader.request());
            require(r.status >= 200 && r.status < 600);
            require(reader.request().target.size() <= http_reader::longest_line);
            answers.push_back(std::to_string(r.status) + reader.request().method + reader.request().target);
        }
        // What is wrong in a head that is not complete yet may be seen sooner or later.
        if (s == state::refused) {
            require(reader.refusal() >= 400 && reader.refusal() < 500);
            return answers;
        }
    }
    return answers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto whole = requests_in(bytes, 4096);
    require(requests_in(bytes, 1) == whole);
    require(requests_in(bytes, 7) == whole);
    return 0;
}
