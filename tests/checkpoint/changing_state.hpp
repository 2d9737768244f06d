#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "runnel/checkpoint/checkpoint.hpp"

namespace test {

/// The state of a made-up job, which changes a little from one checkpoint to the next.
class changing_state {
public:
    explicit changing_state(std::uint64_t seed) : random_(seed) {
        now_.job = "job " + std::to_string(seed);
        now_.key_groups = 1 + draw(64);
        for (std::size_t n = draw(4); n != 0; --n) {
            runnel::saved_operator& o = now_.operators.emplace_back();
            o.name = "operator " + std::to_string(n);
            o.kind = bytes(10);
            o.parallelism = 1 + draw(8);
        }
    }

    const runnel::checkpoint& next() {
        ++now_.id;
        now_.taken = runnel::timestamp(static_cast<std::int64_t>(random_()));
        if (draw(2) == 0) now_.extra["splits " + std::to_string(draw(3))] = bytes(40);
        for (runnel::saved_operator& o : now_.operators) {
            for (std::size_t n = draw(4); n != 0; --n)
                o.state.keyed["keyed " + std::to_string(draw(2))][static_cast<runnel::key_group>(
                    draw(now_.key_groups))] = bytes(draw(8) == 0 ? 3000 : 60);
            if (draw(3) == 0) {
                auto& groups = o.state.keyed["keyed " + std::to_string(draw(2))];
                if (!groups.empty()) groups.erase(groups.begin());
            }
            if (draw(3) == 0) o.state.local["local " + std::to_string(draw(2))].push_back(bytes(30));
            if (draw(4) == 0) o.state.local["local " + std::to_string(draw(2))].clear();
        }
        return now_;
    }

private:
    std::size_t draw(std::size_t below) { return static_cast<std::size_t>(random_() % below); }
    std::string bytes(std::size_t limit) {
        std::string text(draw(limit + 1), '\0');
        for (char& c : text) c = static_cast<char>(random_());
        return text;
    }

    std::mt19937_64 random_;
    runnel::checkpoint now_;
};

}  // namespace test
