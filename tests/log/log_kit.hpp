#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/log/log_folder.hpp"
#include "tests/core/temporary_folder.hpp"

namespace test {

/// A record that owns its bytes.
struct kept_record {
    std::uint64_t offset = 0;
    std::int64_t time = 0;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;
    friend bool operator==(const kept_record&, const kept_record&) = default;
};

inline kept_record keep(const runnel::log_record& r) {
    kept_record k{r.offset, r.time.ns(), std::nullopt, std::nullopt, {}};
    if (r.key) k.key = std::string(*r.key);
    if (r.value) k.value = std::string(*r.value);
    for (const runnel::log_header& h : r.headers) k.headers.emplace_back(h.name, h.value);
    return k;
}

inline std::vector<kept_record> read_all(runnel::log_reader& from) {
    std::vector<kept_record> all;
    while (const runnel::log_record* r = from.next()) all.push_back(keep(*r));
    return all;
}

inline std::vector<kept_record> read_all(const runnel::log_topic& t, std::size_t partition = 0,
                                         runnel::log_place from = runnel::log_place::beginning()) {
    runnel::log_reader in = t.reader(partition, from);
    return read_all(in);
}

/// The values alone.
inline std::vector<std::string> values(const std::vector<kept_record>& records) {
    std::vector<std::string> all;
    for (const kept_record& r : records) all.push_back(r.value.value_or("(none)"));
    return all;
}
inline std::vector<std::string> values(const runnel::log_topic& t, std::size_t partition = 0,
                                       runnel::log_place from = runnel::log_place::beginning()) {
    return values(read_all(t, partition, from));
}

/// The text of the error of type `Error` that `f` throws; empty if it throws none.
template <class Error, class F>
std::string text_of(F f) {
    try {
        f();
    } catch (const Error& e) {
        return e.what();
    }
    return {};
}

}  // namespace test
