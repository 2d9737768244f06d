#pragma once

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "folders.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

/// An open database. Closing it rolls back what is not committed.
class sqlite_connection {
public:
    explicit sqlite_connection(const std::string& path) : path_(path) {
        // A relative path with the folder in front is never taken for a URI or a database in memory.
        const std::string file = path.starts_with('/') ? path : "./" + path;
        constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        if (sqlite3_open_v2(file.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
            const std::string folder = folder_of(path_);
            std::string why = db_ ? sqlite3_errmsg(db_) : "out of memory";
            int code = system_error();
            // SQLite tries to read when it may not write; the first failure is the one to tell of.
            if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
                code = errno;
                why += " in the folder \"" + folder + "\": " + std::strerror(code);
            }
            sqlite3_close(db_);
            throw io_error("cannot open database \"" + path_ + "\": " + why, code);
        }
    }
    sqlite_connection(const sqlite_connection&) = delete;
    sqlite_connection& operator=(const sqlite_connection&) = delete;
    ~sqlite_connection() {
        insert.reset();
        get_marker.reset();
        set_marker.reset();
        sqlite3_close(db_);
    }

    struct finalize {
        void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
    };
    using statement = std::unique_ptr<sqlite3_stmt, finalize>;

    void configure(std::chrono::milliseconds busy_timeout) {
        const auto longest = static_cast<std::int64_t>(std::numeric_limits<int>::max());
        sqlite3_busy_timeout(db_, static_cast<int>(std::clamp<std::int64_t>(busy_timeout.count(), 0, longest)));
        if (sqlite3_db_readonly(db_, "main") == 1)
            throw io_error("cannot write to database \"" + path_ + "\": it, or its folder, is read-only. Give this "
                               "program the right to write to both",
                           EACCES);
        use_wal(busy_timeout);
        // In WAL mode the same as FULL; where there is no WAL mode, it makes the end of the journal durable too.
        run("PRAGMA synchronous=EXTRA", "open");
    }
    statement prepare(const std::string& sql, const char* what) {
        sqlite3_stmt* s = nullptr;
        check(sqlite3_prepare_v2(db_, sql.c_str(), static_cast<int>(sql.size()), &s, nullptr), what);
        return statement(s);
    }
    void run(const std::string& sql, const char* what) {
        const statement s = prepare(sql, what);
        while (step(s, what)) {
        }
    }
    /// True if there is a row.
    bool step(const statement& s, const char* what) {
        const int result = sqlite3_step(s.get());
        if (result != SQLITE_ROW && result != SQLITE_DONE) check(result, what);
        return result == SQLITE_ROW;
    }
    void check(int result, const char* what) {
        if (result == SQLITE_OK) return;
        std::string text = "cannot " + std::string(what) + " database \"" + path_ + "\": " + reason();
        switch (result & 0xFF) {
            case SQLITE_BUSY:
            case SQLITE_LOCKED:
                text += ". Another program holds its lock: end that program's transaction, or raise busy_timeout";
                break;
            case SQLITE_NOTADB: text += ". The file has not been changed: give another path"; break;
            case SQLITE_FULL: text += ". Nothing of this transaction has been stored: make room, and run again"; break;
            case SQLITE_CORRUPT: text += ". Bring back a copy, or see what can be saved by sqlite3's .recover"; break;
            default: break;
        }
        throw io_error(text, system_error());
    }
    /// Throws if the open file is not the one that others find under its name.
    void check_in_place() {
        int moved = 0;
        if (sqlite3_file_control(db_, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0)
            throw io_error("cannot write to database \"" + path_ + "\": the file has been moved or removed while the "
                               "job ran. Bring it back, and run again",
                           ENOENT);
    }
    std::uint64_t changes() const { return static_cast<std::uint64_t>(sqlite3_changes(db_)); }

    statement insert;
    statement get_marker;
    statement set_marker;

private:
    /// Of programs that do this to a new database at the same time, SQLite refuses some at once: its own waiting is not
    /// for those that would have to give up a lock first.
    void use_wal(std::chrono::milliseconds busy_timeout) {
        const auto longest = std::chrono::milliseconds(std::chrono::hours(24));
        const auto end = std::chrono::steady_clock::now() + std::min(busy_timeout, longest);
        const statement s = prepare("PRAGMA journal_mode=WAL", "open");
        for (;;) {
            const int result = sqlite3_step(s.get());
            sqlite3_reset(s.get());
            if (result == SQLITE_ROW || result == SQLITE_DONE) return;
            if ((result & 0xFF) != SQLITE_BUSY || std::chrono::steady_clock::now() >= end) check(result, "open");
            sqlite3_sleep(1);
        }
    }
    int system_error() const { return db_ ? sqlite3_system_errno(db_) : ENOMEM; }
    /// SQLite's text, and the system's behind it if there is one.
    std::string reason() const {
        std::string text = sqlite3_errmsg(db_);
        const int code = system_error();
        const int kind = sqlite3_errcode(db_) & 0xFF;
        if (code != 0 && (kind == SQLITE_CANTOPEN || kind == SQLITE_IOERR || kind == SQLITE_FULL))
            text += " (" + std::string(std::strerror(code)) + ")";
        return text;
    }

    const std::string path_;
    sqlite3* db_ = nullptr;
};

}  // namespace runnel::detail
