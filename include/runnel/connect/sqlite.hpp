#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/text_type.hpp"
#include "runnel/sink/write_ahead_sink.hpp"

namespace runnel {

/// How a database holds times.
enum class sqlite_time : unsigned char {
    nanoseconds,  ///< INTEGER: nanoseconds since 1970.
    text,         ///< TEXT: ISO 8601, as `to_string` writes it, for SQLite's functions of date and time.
};

/// How `sqlite_table` writes.
struct sqlite_table_options {
    /// The columns that tell rows apart, the table's primary key: a result replaces the row that has its key. Empty:
    /// each result is a row of its own.
    std::vector<std::string> key = {};
    /// Names for all columns, in the order of the members. Empty: those of the members.
    std::vector<std::string> columns = {};
    sqlite_time times = sqlite_time::nanoseconds;
    /// How long to wait for another program that holds the database's lock.
    std::chrono::milliseconds busy_timeout{10'000};
};

namespace detail {

class sqlite_connection;

/// A table of a database, and beside it the numbers of checkpoints.
/// Thread safety: unsafe, but for `problems`, `layout` and `check`. Errors: `io_error` with SQLite's reason; the
/// connection is then closed, what was not committed is rolled back, and the next call opens it again.
class sqlite_database {
public:
    sqlite_database(std::string path, std::string table, sqlite_table_options options, const text_type& type);
    ~sqlite_database();

    std::vector<std::string> problems() const;
    /// The columns, and what they are made from.
    std::string layout() const;
    /// Throws if a row cannot hold the value.
    void check(const void* value) const;

    /// Opens the database, makes the table if it is missing, compares its columns. Does nothing if that is done.
    void open();
    checkpoint_id stored(const std::string& owner);
    /// Begins a transaction; it sets the number of `owner`, if there is one. False if it is there, or a later one: then
    /// there is no transaction.
    bool begin(checkpoint_id id, const std::string& owner);
    void insert(const void* value);
    void commit();

private:
    struct column;

    void compare(sqlite_connection& c) const;
    void find_markers(sqlite_connection& c);
    template <class F>
    auto with_connection(F f);

    const std::string path_;
    const std::string table_;
    const sqlite_table_options options_;
    const text_type& type_;
    std::vector<column> columns_;
    std::unique_ptr<sqlite_connection> connection_;
};

template <class T>
class sqlite_table_sink final : public write_ahead_sink<T> {
public:
    sqlite_table_sink(const std::string& path, const std::string& table, sqlite_table_options options)
        : name_("sqlite_table " + path + " " + table),
          database_(path, table, std::move(options), text_type_of<T>::value) {}

    std::string name() const override { return name_; }
    std::vector<std::string> problems() const override { return database_.problems(); }
    std::string layout() const override { return database_.layout(); }
    void check(const T& result) const override { database_.check(&result); }
    checkpoint_id stored(const std::string& owner) override { return database_.stored(owner); }
    void store(checkpoint_id id, const std::string& owner, const std::vector<T>& results) override {
        if (!database_.begin(id, owner)) return;
        for (const T& result : results) database_.insert(&result);
        database_.commit();
    }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        database_.open();
        return write_ahead_sink<T>::open(context);
    }

private:
    const std::string name_;
    sqlite_database database_;
};

}  // namespace detail

/// See `sqlite_table`.
class sqlite_table_recipe {
public:
    sqlite_table_recipe(std::string path, std::string table, sqlite_table_options options)
        : path_(std::move(path)), table_(std::move(table)), options_(std::move(options)) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        constexpr bool is_row = encodable<T>;
        static_assert(is_row, "runnel: sqlite_table: a row is made from the members of a struct. Describe it with "
                              "BOOST_DESCRIBE_STRUCT.");
        if constexpr (is_row) return std::make_shared<detail::sqlite_table_sink<T>>(path_, table_, options_);
        else return nullptr;
    }

private:
    std::string path_;
    std::string table_;
    sqlite_table_options options_;
};

/// Writes each record as a row of a table in an SQLite database; file and table are made if they are missing.
///
/// Columns are the members of a described struct. Those of a struct or tuple within it are columns too, named
/// "outer_inner" or "outer_0"; the results of a window have key, start, end and value. Anything else is one column,
/// "value". Integers, bools and durations are INTEGER, floating-point numbers REAL; strings and the names of described
/// enums are TEXT; times are what the options say; vectors of bytes are BLOB, other lists and maps TEXT with JSON. What
/// is within a std::optional may be NULL, all else is NOT NULL. A table that is there must have these columns, none
/// else.
///
/// In a job with checkpoints, output is exactly once. The results between two checkpoints are stored in one transaction
/// when the second is complete, together with its number, in the table runnel_checkpoints(owner, checkpoint) of the
/// same database; `write_ahead_sink` has the details. In a job without, output is at least once, in a transaction
/// whenever the input has run empty; with a `key`, rows that come again change nothing.
/// The database is put into WAL mode: others can read meanwhile, and until it is closed the file "...-wal" belongs to
/// it. Each transaction is on stable storage when it ends (synchronous=EXTRA).
/// Order: rows are written in the order of the records.
/// Errors: `io_error` with the name of the database and SQLite's reason; for a table that does not fit, a NaN, and an
/// integer above 2^63 - 1, which SQLite cannot hold, `error`.
/// Example: `counts.to(runnel::sqlite_table("clicks.db", "clicks", {.key = {"user", "window_start"}}))`
inline sqlite_table_recipe sqlite_table(std::string path, std::string table, sqlite_table_options options = {}) {
    return {std::move(path), std::move(table), std::move(options)};
}

}  // namespace runnel
