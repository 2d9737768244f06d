// Writers and readers in processes of their own.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "runnel/log/log_error.hpp"
#include "tests/log/log_kit.hpp"

using namespace runnel;
using test::read_all;
using test::text_of;
using test::values;

namespace {

/// A process that runs `f`, which may tell numbers; killed at the end if not before.
class process {
public:
    explicit process(const std::function<void(const std::function<void(std::uint64_t)>&)>& f) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        id_ = ::fork();
        REQUIRE(id_ >= 0);
        if (id_ == 0) {
            try {
                f([&](std::uint64_t n) {
                    if (::write(ends[1], &n, sizeof n) != sizeof n) ::_exit(1);
                });
                ::_exit(0);
            } catch (...) {
                ::_exit(1);
            }
        }
        ::close(ends[1]);
        from_ = ends[0];
    }
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    ~process() {
        kill();
        ::close(from_);
    }
    /// The next number; none at the end.
    std::optional<std::uint64_t> next() {
        std::uint64_t n = 0;
        if (::read(from_, &n, sizeof n) != sizeof n) return std::nullopt;
        return n;
    }
    void kill() {
        if (id_ == 0) return;
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
        id_ = 0;
    }

private:
    pid_t id_ = 0;
    int from_ = -1;
};

log_record text(const std::string& value) { return {.time = {}, .value = value}; }

TEST_CASE("a killed writer loses nothing that it acknowledged, and another process can write at once") {
    const test::temporary_folder folder;
    log_folder(folder / "log").topic("t", {});
    std::uint64_t next = 0;
    for (int round = 0; round < 10; ++round) {
        CAPTURE(round);
        process writer([&](const auto& tell) {
            log_writer out = log_folder(folder / "log").topic("t").writer(0, {.segment_bytes = 2000});
            for (std::uint64_t i = out.next_offset();; ++i) {
                out.append(text(std::to_string(i)));
                out.flush();
                tell(i);
            }
        });
        log_reader in = log_folder(folder / "log").topic("t").reader(0, log_place::offset(next));
        std::uint64_t acknowledged = 0;
        for (int i = 0; i < 5; ++i) {
            const auto told = writer.next();
            REQUIRE(told);
            acknowledged = *told;
            // What was acknowledged can be read at once, by this process too.
            for (const log_record* r = in.next(); r; r = in.next()) {
                CHECK(*r->value == std::to_string(next));
                CHECK(r->offset == next);
                ++next;
            }
            CHECK(next > acknowledged);
            CHECK(text_of<log_in_use>([&] { log_folder(folder / "log").topic("t").writer(0); }) != "");
        }
        writer.kill();
        while (const auto told = writer.next()) acknowledged = *told;
        log_writer again = log_folder(folder / "log").topic("t").writer(0);
        CHECK(again.next_offset() > acknowledged);
        while (in.next()) ++next;
        CHECK(next == again.next_offset());
    }
}

TEST_CASE("a process that dies between prepare and commit leaves a transaction that another one commits, once") {
    const test::temporary_folder folder;
    const log_topic topic = log_folder(folder / "log").topic("t", {});
    for (std::uint64_t checkpoint = 1; checkpoint <= 5; ++checkpoint) {
        process writer([&](const auto& tell) {
            log_writer out = log_folder(folder / "log").topic("t").writer(0);
            log_transaction t = out.begin("sink");
            t.append(text("of " + std::to_string(checkpoint)));
            t.prepare(checkpoint);
            log_transaction later = out.begin("sink");
            later.append(text("never"));
            out.flush();
            tell(checkpoint);
            ::pause();
        });
        CHECK(writer.next() == checkpoint);
        CHECK(values(topic).size() == checkpoint - 1);
        writer.kill();
        for (int i = 0; i < 2; ++i) topic.writer(0).commit("sink", checkpoint);
        CHECK(values(topic).size() == checkpoint);
        CHECK(values(topic).back() == "of " + std::to_string(checkpoint));
    }
}

}  // namespace
