#include "runnel/connect/rocksdb.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>

#include "runnel/core/error.hpp"
#include "runnel/core/file_system.hpp"
#include "rocksdb_unsynced.hpp"

// The folder: "state.lock", which is locked as long as a database is open, and "db", the database. A key in it is the
// number of a store (32 bits, the highest byte first), of which each is given away once, and the store's own key.

namespace runnel {

namespace {

constexpr std::size_t least_memory = 8 << 20;

rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view view_of(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

[[noreturn]] void fail(const std::string& what, const std::string& why) {
    throw state_error(what + ": " + why + ". See that the folder can be written and has room, and start the job again; "
                                          "it goes on from its last checkpoint, no state is lost with the folder");
}

/// An open database, the only one of its folder.
class database {
public:
    database(const std::string& folder, std::size_t memory) : folder_(folder), path_(folder + "/db") {
        const std::string what = "no state can be kept in \"" + folder + "\"";
        try {
            take_folder();
            std::filesystem::remove_all(path_);  // What a process has left that was killed.
        } catch (const io_error& e) {
            fail(what, e.what());
        } catch (const std::filesystem::filesystem_error& e) {
            fail(what, e.what());
        }
        rocksdb::DB* opened = nullptr;
        if (const auto s = rocksdb::DB::Open(options(std::max(memory, least_memory)), path_, &opened); !s.ok())
            fail(what, s.ToString());
        db_.reset(opened);
    }
    ~database() {
        db_.reset();
        std::error_code ignored;  // The next start tries again.
        std::filesystem::remove_all(path_, ignored);
    }
    database(const database&) = delete;
    database& operator=(const database&) = delete;

    rocksdb::DB& db() noexcept { return *db_; }
    std::string next_prefix() {
        // Pairs with nothing: a number is all that is wanted.
        const std::uint32_t n = next_.fetch_add(1, std::memory_order_relaxed);
        std::string prefix;
        for (int shift = 24; shift >= 0; shift -= 8) prefix += static_cast<char>(n >> shift);
        return prefix;
    }
    void check(const rocksdb::Status& s, const char* done) const {
        if (!s.ok()) [[unlikely]]
            fail("state can't be " + std::string(done) + " \"" + folder_ + "\"", s.ToString());
    }

private:
    void take_folder() {
        file_system& files = default_file_system();
        if (folder_.empty()) throw state_error("the state needs a folder, and none is named.");
        files.make_directories(folder_, file_access::owner_only);
        for (const std::string& name : files.list(folder_))
            if (name != "state.lock" && name != "db")
                throw state_error("there is something in the folder \"" + folder_ + "\", \"" + name +
                                  "\", that is no state which is kept there. Name a folder for it alone.");
        lock_ = files.open(folder_ + "/state.lock", open_mode::update, file_access::owner_only);
        if (!lock_->try_lock())
            throw state_error("the folder \"" + folder_ + "\" is in use by another job, which has locked \"" +
                              lock_->name() + "\". Give each job a folder of its own, or stop the other one first.");
    }
    rocksdb::Options options(std::size_t memory) const {
        rocksdb::Options o;
        o.env = env_.get();
        o.create_if_missing = true;
        o.error_if_exists = true;
        o.write_buffer_size = memory / 8;
        o.max_write_buffer_number = 3;
        o.memtable_whole_key_filtering = true;
        o.memtable_prefix_bloom_size_ratio = 0.05;
        o.max_open_files = 512;
        o.max_background_jobs = 2;
        o.level_compaction_dynamic_level_bytes = true;
        o.avoid_flush_during_shutdown = true;
        o.info_log_level = rocksdb::InfoLogLevel::ERROR_LEVEL;
        o.keep_log_file_num = 1;
        o.stats_dump_period_sec = 0;
        o.stats_persist_period_sec = 0;
        rocksdb::BlockBasedTableOptions table;
        table.block_cache = rocksdb::NewLRUCache(memory / 2);
        table.cache_index_and_filter_blocks = true;
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
        o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
        return o;
    }

    const std::string folder_;
    const std::string path_;
    const std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(std::make_shared<detail::unsynced_files>());
    std::unique_ptr<file> lock_;
    std::unique_ptr<rocksdb::DB> db_;
    std::atomic<std::uint32_t> next_{0};
};

/// The keys of one store and of its views, which go when all of these have gone.
class database_part {
public:
    explicit database_part(std::shared_ptr<database> in)
        : in_(std::move(in)), prefix_(in_->next_prefix()), end_(prefix_ + '\xff') {}
    ~database_part() {
        // The job may go on without, when it is started again. What is left is removed with the database.
        const rocksdb::Slice first = slice(prefix_), last = slice(end_);
        (void)rocksdb::DeleteFilesInRange(&in_->db(), in_->db().DefaultColumnFamily(), &first, &last);
    }
    database_part(const database_part&) = delete;
    database_part& operator=(const database_part&) = delete;

    database* operator->() const noexcept { return in_.get(); }
    const std::string& prefix() const noexcept { return prefix_; }
    /// Behind all keys: those of `away_keys` begin with a letter.
    const std::string& end() const noexcept { return end_; }

private:
    const std::shared_ptr<database> in_;
    const std::string prefix_;
    const std::string end_;
};

class rocksdb_view final : public key_store_view {
public:
    explicit rocksdb_view(std::shared_ptr<const database_part> part)
        : part_(std::move(part)), in_(*part_), prefix_(part_->prefix()), snapshot_(in_->db().GetSnapshot()) {}
    ~rocksdb_view() override { in_->db().ReleaseSnapshot(snapshot_); }

    void for_each(std::string_view first, std::string_view end,
                  const std::function<void(std::string_view, std::string_view)>& f) const override {
        const std::string from = prefix_ + std::string(first), to = prefix_ + std::string(end);
        const rocksdb::Slice bound = slice(to);
        rocksdb::ReadOptions how;
        how.snapshot = snapshot_;
        how.iterate_upper_bound = &bound;
        how.fill_cache = false;
        const std::unique_ptr<rocksdb::Iterator> at(in_->db().NewIterator(how));
        for (at->Seek(slice(from)); at->Valid(); at->Next())
            f(view_of(at->key()).substr(prefix_.size()), view_of(at->value()));
        in_->check(at->status(), "read from");
    }

private:
    const std::shared_ptr<const database_part> part_;
    const database_part& in_;
    const std::string& prefix_;
    const rocksdb::Snapshot* const snapshot_;
};

class rocksdb_store final : public key_store {
public:
    explicit rocksdb_store(std::shared_ptr<const database_part> part)
        : part_(std::move(part)), in_(*part_), bound_(slice(in_.end())) {
        // Nothing is kept that a crash should not lose.
        write_.disableWAL = true;
        iterate_.iterate_upper_bound = &bound_;
    }
    rocksdb_store(const rocksdb_store&) = delete;
    rocksdb_store& operator=(const rocksdb_store&) = delete;

    bool get(std::string_view key, std::string& value) override {
        const rocksdb::Status s = in_->db().Get(read_, slice(full(key)), &value);
        if (s.IsNotFound()) return false;
        in_->check(s, "read from");
        return true;
    }
    void put(std::string_view key, std::string_view value) override {
        in_->check(in_->db().Put(write_, slice(full(key)), slice(value)), "written to");
    }
    void erase(std::string_view key) override {
        in_->check(in_->db().Delete(write_, slice(full(key))), "written to");
    }
    bool first(std::string_view from, std::string& key) override {
        const std::unique_ptr<rocksdb::Iterator> at(in_->db().NewIterator(iterate_));
        at->Seek(slice(full(from)));
        in_->check(at->status(), "read from");
        if (!at->Valid()) return false;
        key = view_of(at->key()).substr(in_.prefix().size());
        return true;
    }
    std::unique_ptr<key_store_view> view() override { return std::make_unique<rocksdb_view>(part_); }

private:
    const std::string& full(std::string_view key) {
        key_ = in_.prefix();
        key_ += key;
        return key_;
    }

    const std::shared_ptr<const database_part> part_;
    const database_part& in_;
    const rocksdb::Slice bound_;
    rocksdb::WriteOptions write_;
    rocksdb::ReadOptions read_;
    rocksdb::ReadOptions iterate_;
    std::string key_;
};

class rocksdb_backend final : public state_backend {
public:
    rocksdb_backend(std::string folder, const rocksdb_options& options)
        : folder_(std::move(folder)), options_(options) {}

    std::unique_ptr<key_store> open(const std::string&, std::size_t) override {
        std::lock_guard lock(mutex_);
        std::shared_ptr<database> in = database_.lock();
        if (!in) database_ = in = std::make_shared<database>(folder_, options_.memory);
        return std::make_unique<rocksdb_store>(std::make_shared<const database_part>(std::move(in)));
    }
    std::size_t keys_in_memory() const override { return options_.keys_in_memory; }

private:
    const std::string folder_;
    const rocksdb_options options_;
    std::mutex mutex_;
    std::weak_ptr<database> database_;  ///< Open as long as a store is.
};

}  // namespace

std::shared_ptr<state_backend> rocksdb_state(std::string folder, const rocksdb_options& options) {
    return std::make_shared<rocksdb_backend>(std::move(folder), options);
}

}  // namespace runnel
