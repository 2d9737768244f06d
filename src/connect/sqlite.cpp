#include "runnel/connect/sqlite.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include "runnel/core/error.hpp"
#include "sqlite_columns.hpp"
#include "sqlite_connection.hpp"

namespace runnel::detail {

/// A leaf of the type.
struct sqlite_database::column {
    std::string name;
    const text_type* type;
    bool nullable;
    bool in_key = false;
    std::string_view sql_type = {};
};

namespace {

constexpr std::string_view markers = "runnel_checkpoints";

std::string quoted(std::string_view name) {
    std::string text = "\"";
    for (const char c : name) {
        if (c == '"') text += '"';
        text += c;
    }
    return text += '"';
}

/// SQLite compares names without regard to the case of ASCII letters.
bool same_name(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

/// What SQLite makes of a declared type, by its rules.
std::string_view affinity(std::string declared) {
    for (char& c : declared) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const auto has = [&](const char* part) { return declared.find(part) != std::string::npos; };
    if (has("INT")) return "INTEGER";
    if (has("CHAR") || has("CLOB") || has("TEXT")) return "TEXT";
    if (declared.empty() || has("BLOB")) return "BLOB";
    if (has("REAL") || has("FLOA") || has("DOUB")) return "REAL";
    return "NUMERIC";
}

template <class F>
std::string joined(std::size_t count, const F& part) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + part(i);
    return text;
}

std::string described_column(std::string_view name, std::string_view type, bool nullable) {
    return std::string(name) + " " + std::string(type) + (nullable ? "" : " NOT NULL");
}

/// Why a name cannot be one; empty if it can.
std::string name_problem(std::string_view what, std::string_view name) {
    if (!name.empty() && name.find('\0') == std::string_view::npos) return {};
    return std::string(what) + " \"" + std::string(name) + "\" cannot be a name: give one with letters in it";
}

}  // namespace

sqlite_database::sqlite_database(std::string path, std::string table, sqlite_table_options options,
                                 const text_type& type)
    : path_(std::move(path)), table_(std::move(table)), options_(std::move(options)), type_(type) {
    each_column(type_, "", false, [&](const std::string& name, const text_type& leaf, bool nullable) {
        columns_.push_back({name, &leaf, nullable, false, sql_type_of(leaf, options_.times)});
    });
    if (options_.columns.size() == columns_.size())
        for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i].name = options_.columns[i];
    for (column& c : columns_)
        c.in_key = std::any_of(options_.key.begin(), options_.key.end(),
                               [&](const std::string& k) { return same_name(k, c.name); });
}

sqlite_database::~sqlite_database() = default;

std::vector<std::string> sqlite_database::problems() const {
    std::vector<std::string> all;
    const auto note = [&](std::string problem) {
        if (!problem.empty()) all.push_back(std::move(problem));
    };
    note(name_problem("the database's path", path_));
    note(name_problem("the table", table_));
    if (same_name(table_, markers) || same_name(std::string_view(table_).substr(0, 7), "sqlite_"))
        note("the table's name \"" + table_ + "\" is taken. Give it another");
    if (columns_.empty()) note("the records have no members, so a row would have no columns");
    if (!options_.columns.empty() && options_.columns.size() != columns_.size())
        note("the option columns has " + std::to_string(options_.columns.size()) + " names for " +
             std::to_string(columns_.size()) + " columns: " +
             joined(columns_.size(), [&](std::size_t i) { return columns_[i].name; }));
    for (auto c = columns_.begin(); c != columns_.end(); ++c) {
        note(name_problem("the column", c->name));
        if (std::any_of(columns_.begin(), c, [&](const column& before) { return same_name(before.name, c->name); }))
            note("two columns are named \"" + c->name + "\" (upper and lower case are the same to SQLite). Name them "
                 "by the option columns");
        if (c->in_key && c->nullable)
            note("the column \"" + c->name + "\" of the key may be NULL, and rows with NULL in their key are never the "
                 "same. Leave it out, or fill it before");
    }
    for (auto k = options_.key.begin(); k != options_.key.end(); ++k) {
        if (std::none_of(columns_.begin(), columns_.end(), [&](const column& c) { return same_name(c.name, *k); }))
            note("there is no column \"" + *k + "\" for the key. There are: " +
                 joined(columns_.size(), [&](std::size_t i) { return columns_[i].name; }));
        if (std::any_of(options_.key.begin(), k, [&](const std::string& before) { return same_name(before, *k); }))
            note("the key has \"" + *k + "\" twice");
    }
    if (options_.busy_timeout < options_.busy_timeout.zero()) note("busy_timeout is negative. Give a time, or 0");
    return all;
}

std::string sqlite_database::layout() const {
    return joined(columns_.size(), [&](std::size_t i) {
        const column& c = columns_[i];
        return described_column(c.name, std::to_string(static_cast<int>(c.type->kind)), c.nullable);
    });
}

void sqlite_database::check(const void* value) const {
    auto column = columns_.begin();
    each_value(type_, value, [&](const text_type& type, const void* from) {
        const sqlite_database::column& c = *column++;
        if (from == nullptr) return;
        const auto refuse = [&](const std::string& what) {
            throw error("database \"" + path_ + "\", table \"" + table_ + "\", column \"" + c.name + "\": " + what);
        };
        const auto refuse_nan = [&] {
            refuse("NaN, which SQLite would take for NULL. Make the member a std::optional, and empty instead of NaN");
        };
        switch (type.kind) {
            case text_kind::float32:
                if (std::isnan(*static_cast<const float*>(from))) refuse_nan();
                return;
            case text_kind::float64:
                if (std::isnan(*static_cast<const double*>(from))) refuse_nan();
                return;
            case text_kind::uint64:
                if (load_integer(type.kind, from) < 0)
                    refuse(std::to_string(static_cast<std::uint64_t>(load_integer(type.kind, from))) +
                           " is larger than the largest integer of SQLite, 2^63 - 1. Make the member a string");
                return;
            case text_kind::string: {
                constexpr std::size_t longest = 1'000'000'000;
                if (static_cast<const std::string*>(from)->size() > longest)
                    refuse("a string of more than 10^9 bytes, the most that SQLite takes");
                return;
            }
            default: return;
        }
    });
}

void sqlite_database::open() {
    if (connection_) return;
    auto c = std::make_unique<sqlite_connection>(path_);
    c->configure(options_.busy_timeout);
    // Of programs that start at the same time, one makes the table.
    c->run("BEGIN IMMEDIATE", "open");
    const std::string key = joined(options_.key.size(), [&](std::size_t i) { return quoted(options_.key[i]); });
    c->run("CREATE TABLE IF NOT EXISTS " + quoted(table_) + " (" +
               joined(columns_.size(),
                      [&](std::size_t i) {
                          return described_column(quoted(columns_[i].name), columns_[i].sql_type, columns_[i].nullable);
                      }) +
               (key.empty() ? "" : ", PRIMARY KEY (" + key + ")") + ")",
           "make a table in");
    compare(*c);

    std::string sql = "INSERT INTO " + quoted(table_) + " (" +
                      joined(columns_.size(), [&](std::size_t i) { return quoted(columns_[i].name); }) + ") VALUES (" +
                      joined(columns_.size(), [](std::size_t) { return std::string("?"); }) + ")";
    if (!key.empty()) {
        std::string set;
        for (const column& column : columns_)
            if (!column.in_key)
                set += (set.empty() ? "" : ", ") + quoted(column.name) + " = excluded." + quoted(column.name);
        sql += " ON CONFLICT (" + key + ") DO " + (set.empty() ? "NOTHING" : "UPDATE SET " + set);
    }
    c->insert = c->prepare(sql, "write to");
    c->run("COMMIT", "open");
    connection_ = std::move(c);
}

/// Throws unless the table has the columns that it should have.
void sqlite_database::compare(sqlite_connection& c) const {
    const auto s = c.prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info(?) ORDER BY pk", "open");
    bind_text(s.get(), 1, table_, SQLITE_STATIC);
    const auto text = [&](int column) {
        return std::string(reinterpret_cast<const char*>(sqlite3_column_text(s.get(), column)));
    };
    std::size_t count = 0, fitting = 0;
    std::string there, there_key;
    while (c.step(s, "open")) {
        const std::string name = text(0), type = text(1);
        const bool nullable = sqlite3_column_int(s.get(), 2) == 0, in_key = sqlite3_column_int(s.get(), 3) != 0;
        there += (there.empty() ? "" : ", ") + described_column(name, type, nullable);
        if (in_key) there_key += (there_key.empty() ? "" : ", ") + name;
        for (const column& mine : columns_)
            if (same_name(mine.name, name) && affinity(type) == mine.sql_type && (nullable || !mine.nullable) &&
                in_key == mine.in_key)
                ++fitting;
        ++count;
    }
    if (count == columns_.size() && fitting == count) return;
    const auto listed = [](const std::string& columns, const std::string& key) {
        return columns + (key.empty() ? "; no primary key" : "; primary key " + key);
    };
    const std::string mine = joined(columns_.size(), [&](std::size_t i) {
        return described_column(columns_[i].name, columns_[i].sql_type, columns_[i].nullable);
    });
    const std::string my_key = joined(options_.key.size(), [&](std::size_t i) { return options_.key[i]; });
    throw error("database \"" + path_ + "\": the table \"" + table_ +
                "\" has other columns than the records. It has: " + listed(there, there_key) +
                ". The records have: " + listed(mine, my_key) +
                ". Give another table, change it by ALTER TABLE, or name the columns by the option columns.");
}

/// Calls `f(connection)`; if it throws, the connection is closed.
template <class F>
auto sqlite_database::with_connection(F f) {
    open();
    try {
        return f(*connection_);
    } catch (...) {
        connection_.reset();
        throw;
    }
}

void sqlite_database::find_markers(sqlite_connection& c) {
    if (c.set_marker) return;
    c.run("CREATE TABLE IF NOT EXISTS " + std::string(markers) +
              " (owner TEXT PRIMARY KEY NOT NULL, checkpoint INTEGER NOT NULL) WITHOUT ROWID",
          "make a table in");
    c.get_marker = c.prepare("SELECT checkpoint FROM " + std::string(markers) + " WHERE owner = ?", "read");
    c.set_marker = c.prepare("INSERT INTO " + std::string(markers) +
                                 " VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET checkpoint = excluded.checkpoint "
                                 "WHERE checkpoint < excluded.checkpoint",
                             "write to");
}

checkpoint_id sqlite_database::stored(const std::string& owner) {
    return with_connection([&](sqlite_connection& c) -> checkpoint_id {
        c.check_in_place();
        find_markers(c);
        bind_text(c.get_marker.get(), 1, owner, SQLITE_STATIC);
        const bool is_there = c.step(c.get_marker, "read");
        const auto id = is_there ? static_cast<checkpoint_id>(sqlite3_column_int64(c.get_marker.get(), 0)) : 0;
        sqlite3_reset(c.get_marker.get());
        return id;
    });
}

bool sqlite_database::begin(checkpoint_id id, const std::string& owner) {
    return with_connection([&](sqlite_connection& c) {
        c.check_in_place();
        c.run("BEGIN IMMEDIATE", "write to");
        if (owner.empty()) return true;
        find_markers(c);
        bind_text(c.set_marker.get(), 1, owner, SQLITE_STATIC);
        sqlite3_bind_int64(c.set_marker.get(), 2, static_cast<std::int64_t>(id));
        c.step(c.set_marker, "write to");
        sqlite3_reset(c.set_marker.get());
        if (c.changes() != 0) return true;
        c.run("ROLLBACK", "write to");
        return false;
    });
}

void sqlite_database::insert(const void* value) {
    with_connection([&](sqlite_connection& c) {
        int at = 0;
        each_value(type_, value, [&](const text_type& type, const void* from) {
            c.check(bind(c.insert.get(), ++at, type, from, options_.times), "write to");
        });
        c.step(c.insert, "write to");
        sqlite3_reset(c.insert.get());
    });
}

void sqlite_database::commit() {
    with_connection([](sqlite_connection& c) {
        c.run("COMMIT", "write to");
        c.check_in_place();
    });
}

}  // namespace runnel::detail
