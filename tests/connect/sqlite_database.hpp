#pragma once

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/connect/sqlite.hpp"

namespace test {

/// A database as another program sees it.
class database {
public:
    explicit database(const std::string& path) { REQUIRE(sqlite3_open(path.c_str(), &db_) == SQLITE_OK); }
    database(const database&) = delete;
    database& operator=(const database&) = delete;
    ~database() { sqlite3_close(db_); }

    /// The rows of a query: values as text, separated by bars; NULL is "NULL".
    std::vector<std::string> operator()(const std::string& sql) {
        sqlite3_stmt* s = nullptr;
        REQUIRE_MESSAGE(sqlite3_prepare_v2(db_, sql.c_str(), -1, &s, nullptr) == SQLITE_OK, sqlite3_errmsg(db_));
        std::vector<std::string> rows;
        while (sqlite3_step(s) == SQLITE_ROW) {
            std::string& row = rows.emplace_back();
            for (int i = 0; i < sqlite3_column_count(s); ++i) {
                if (i != 0) row += '|';
                const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(s, i));
                row += text ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(s, i))) : "NULL";
            }
        }
        const int result = sqlite3_finalize(s);
        REQUIRE_MESSAGE(result == SQLITE_OK, sqlite3_errmsg(db_));
        return rows;
    }

private:
    sqlite3* db_ = nullptr;
};

/// The rows of a query to the database at `path`.
inline std::vector<std::string> rows(const std::string& path, const std::string& sql) { return database(path)(sql); }

template <class T>
std::shared_ptr<runnel::sink<T>> sqlite_sink(const std::string& path, const std::string& table,
                                             runnel::sqlite_table_options options = {}) {
    return runnel::sqlite_table(path, table, std::move(options)).bind<T>();
}

/// Hands values to a writer, in one batch.
template <class T>
void write(runnel::sink_writer<T>& to, std::vector<T> values) {
    runnel::batch<T> records;
    for (auto&& value : values) records.append(std::move(value), runnel::timestamp(1));
    REQUIRE(to.write(records) == runnel::progress::done);
    REQUIRE(records.empty());
}

/// Writes all as a job without checkpoints does.
template <class T>
void write_all(runnel::sink<T>& to, std::vector<T> values) {
    const auto writer = to.open({});
    write(*writer, std::move(values));
    REQUIRE(writer->finish() == runnel::progress::done);
}

/// The text of what `f` throws.
template <class F>
std::string thrown(F f) {
    try {
        f();
    } catch (const runnel::error& e) {
        return e.what();
    }
    return "nothing";
}

}  // namespace test
