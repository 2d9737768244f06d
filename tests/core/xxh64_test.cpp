#include "runnel/core/xxh64.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

using runnel::detail::xxh64;

TEST_CASE("xxh64 gives the published values") {
    CHECK(xxh64::of("") == 0xEF46DB3751D8E999u);
    CHECK(xxh64::of("a") == 0xD24EC4F1A98C6E5Bu);
    CHECK(xxh64::of("abc") == 0x44BC2CF5AD770999u);
    CHECK(xxh64::of("as") == 0x1C330FB2D66BE179u);
    CHECK(xxh64::of("asdf") == 0x415872F599CEA71Eu);
    CHECK(xxh64::of("xxhash") == 0x32DD38952C4BC720u);
    CHECK(xxh64::of("Call me Ishmael. Some years ago--never mind how long precisely-") == 0x02A2E85470D6FD96u);
}

TEST_CASE("xxh64 gives the reference's values around the length of its block") {
    std::string bytes;
    for (int i = 0; i != 256; ++i) bytes += static_cast<char>(i);
    CHECK(xxh64::of(bytes.substr(0, 31)) == 0xC346D2B59B4D8EE1u);
    CHECK(xxh64::of(bytes.substr(0, 32)) == 0xCBF59C5116FF32B4u);
    CHECK(xxh64::of(bytes.substr(0, 33)) == 0x0C535D1ACAFB8EADu);
    CHECK(xxh64::of(bytes) == 0x1FACBE8406CD904Bu);
}

TEST_CASE("xxh64 of a word is that of its bytes") {
    for (std::uint64_t word : {0ull, 1ull, 0x0123456789abcdefull, ~0ull}) {
        char bytes[8];
        std::memcpy(bytes, &word, 8);
        CHECK(xxh64::of_8(word) == xxh64::of({bytes, 8}));
        CHECK(xxh64::of_4(static_cast<std::uint32_t>(word)) == xxh64::of({bytes, 4}));
    }
}
