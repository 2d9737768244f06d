// Every write, sync and truncation that SQLite asks of the system fails once, or from then on until somebody helps.
#include <doctest/doctest.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/connect/sqlite_database.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;

namespace {

enum class fault : unsigned char { disk_full, half_a_write, failed_sync };

/// What fails. SQLite's own files are reached by functions, so there is one for the process.
struct plan {
    fault what = fault::disk_full;
    std::size_t calls_until = 0;  ///< 0: nothing fails.
    bool from_then_on = false;
    std::size_t failed = 0;

    bool fails(bool is_sync) {
        const bool of_this_kind = is_sync == (what == fault::failed_sync);
        if (!of_this_kind || calls_until == 0 || (--calls_until != 0)) return false;
        if (from_then_on) calls_until = 1;
        ++failed;
        return true;
    }
} faults;

/// The functions of a kind of file, and those that they stand for.
struct faulty_methods : sqlite3_io_methods {
    const sqlite3_io_methods* real = nullptr;
};

const sqlite3_io_methods& real(sqlite3_file* f) { return *static_cast<const faulty_methods*>(f->pMethods)->real; }

int write_faulty(sqlite3_file* f, const void* bytes, int n, sqlite3_int64 offset) {
    if (!faults.fails(false)) return real(f).xWrite(f, bytes, n, offset);
    if (faults.what == fault::disk_full) return SQLITE_FULL;
    real(f).xWrite(f, bytes, n / 2, offset);
    return SQLITE_IOERR_WRITE;
}
int truncate_faulty(sqlite3_file* f, sqlite3_int64 size) {
    return faults.fails(false) ? SQLITE_IOERR_TRUNCATE : real(f).xTruncate(f, size);
}
/// There is no loss of power here: nothing has to be waited for.
int sync_faulty(sqlite3_file*, int) { return faults.fails(true) ? SQLITE_IOERR_FSYNC : SQLITE_OK; }

int open_faulty(sqlite3_vfs* vfs, const char* name, sqlite3_file* f, int flags, int* flags_out) {
    static std::map<const sqlite3_io_methods*, faulty_methods> kinds;
    auto* const below = static_cast<sqlite3_vfs*>(vfs->pAppData);
    const int result = below->xOpen(below, name, f, flags, flags_out);
    if (result != SQLITE_OK) return result;
    const auto [at, is_new] = kinds.try_emplace(f->pMethods);
    faulty_methods& methods = at->second;
    if (is_new) {
        static_cast<sqlite3_io_methods&>(methods) = *f->pMethods;
        methods.real = f->pMethods;
        methods.xWrite = write_faulty;
        methods.xTruncate = truncate_faulty;
        methods.xSync = sync_faulty;
    }
    f->pMethods = &methods;
    return SQLITE_OK;
}
int delete_at_once(sqlite3_vfs* vfs, const char* name, int) {
    auto* const below = static_cast<sqlite3_vfs*>(vfs->pAppData);
    return below->xDelete(below, name, 0);
}

/// While it lives, files are opened through the functions above.
class faulty_system {
public:
    faulty_system() : vfs_(*sqlite3_vfs_find(nullptr)) {
        vfs_.pAppData = sqlite3_vfs_find(nullptr);
        vfs_.zName = "faulty";
        vfs_.xOpen = open_faulty;
        vfs_.xDelete = delete_at_once;
        vfs_.pNext = nullptr;
        sqlite3_vfs_register(&vfs_, 1);
    }
    faulty_system(const faulty_system&) = delete;
    faulty_system& operator=(const faulty_system&) = delete;
    ~faulty_system() { sqlite3_vfs_unregister(&vfs_); }

private:
    sqlite3_vfs vfs_;
};

constexpr std::size_t per_checkpoint = 30;
constexpr checkpoint_id checkpoints = 3;

/// The newest checkpoint of a job.
struct durable {
    checkpoint_id id = 0;
    std::vector<std::string> prepared;
};

}  // namespace

TEST_CASE("whatever call of the system fails, the error names the database, and each row is there once in the end") {
    faulty_system system;
    std::size_t cases = 0;
    for (const fault what : {fault::disk_full, fault::half_a_write, fault::failed_sync})
        for (const bool from_then_on : {false, true})
            for (std::size_t n = 1;; ++n) {
                CAPTURE(static_cast<int>(what));
                CAPTURE(from_then_on);
                CAPTURE(n);
                test::temporary_folder folder;
                const std::string path = folder / "a.db";
                faults = {what, n, from_then_on, 0};
                durable d;
                std::size_t errors = 0;
                for (;;) {
                    const auto sink = test::sqlite_sink<std::string>(path, "t");
                    try {
                        sink->recover(d.id, "job/t", d.prepared);
                        const auto writer = sink->open({.owner = "job/t"});
                        while (d.id != checkpoints) {
                            std::vector<std::string> values;
                            for (std::size_t i = 0; i < per_checkpoint; ++i)
                                values.push_back(std::to_string(d.id * per_checkpoint + i) + std::string(2000, ' '));
                            test::write(*writer, values);
                            d = {d.id + 1, {writer->prepare()}};
                            sink->commit(d.id, "job/t", d.prepared);
                        }
                        break;
                    } catch (const io_error& e) {
                        REQUIRE(std::string(e.what()).find("database \"" + path + "\"") != std::string::npos);
                        REQUIRE(++errors < 10);
                        if (errors == 3) faults.calls_until = 0;  // Somebody makes room.
                    }
                }
                const bool has_failed = faults.failed != 0;
                faults.calls_until = 0;
                const std::string total = std::to_string(per_checkpoint * checkpoints);
                REQUIRE(test::rows(path, "SELECT count(*), count(DISTINCT value), max(value + 1) FROM t") ==
                        std::vector<std::string>{total + "|" + total + "|" + total});
                REQUIRE(test::rows(path, "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
                if (!has_failed) break;
                ++cases;
            }
    MESSAGE(cases << " failing calls");
    CHECK(cases > 100);
}
