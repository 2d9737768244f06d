#include "runnel/sink/write_ahead_sink.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using strings = std::vector<std::string>;

namespace {

/// A store of keys and values with transactions, in memory.
class database {
public:
    class transaction {
    public:
        explicit transaction(database& db) : db_(db), values_(db.values_) {}
        void put(const std::string& key, std::string value) { values_[key] = std::move(value); }
        void commit() {
            db_.failing(db_.fail_before);
            db_.values_ = std::move(values_);
            ++db_.commits;
            db_.failing(db_.fail_after);
        }

    private:
        database& db_;
        std::map<std::string, std::string> values_;
    };

    transaction begin() { return transaction(*this); }
    std::optional<std::string> get(const std::string& key) const {
        const auto at = values_.find(key);
        return at == values_.end() ? std::nullopt : std::optional(at->second);
    }
    void forget(const std::string& key) { values_.erase(key); }
    bool fail_before = false, fail_after = false;  ///< The next commit.
    std::size_t commits = 0;

private:
    void failing(bool& how) const {
        if (std::exchange(how, false)) throw std::runtime_error("the database is away");
    }
    std::map<std::string, std::string> values_;
};

struct page_count {
    std::string page;
    std::uint64_t count = 0;
};

}  // namespace

template <>
struct runnel::codec<page_count> {
    static void encode(const page_count& r, std::string& out) {
        codec<std::string>::encode(r.page, out);
        if (r.page == "no bytes") throw error("no bytes for this");
        codec<std::uint64_t>::encode(r.count, out);
    }
    static page_count decode(byte_reader& in) {
        std::string page = codec<std::string>::decode(in);
        return {std::move(page), codec<std::uint64_t>::decode(in)};
    }
};

namespace {

// All that a sink of the host's own takes.
class stored_counts final : public write_ahead_sink<page_count> {
public:
    explicit stored_counts(database& db) : db_(db) {}
    std::string name() const override { return "stored_counts"; }
    void store(checkpoint_id id, const std::string& owner, const std::vector<page_count>& results) override {
        database::transaction t = db_.begin();
        for (const page_count& r : results) t.put("count of " + r.page, std::to_string(r.count));
        if (!owner.empty()) t.put("checkpoint of " + owner, std::to_string(id));
        t.commit();
    }
    checkpoint_id stored(const std::string& owner) override {
        return std::stoull(db_.get("checkpoint of " + owner).value_or("0"));
    }
    void check(const page_count& r) const override {
        if (r.page.empty()) throw error("a page has a name");
    }
    std::string layout() const override { return write_ahead_sink::layout() + version; }
    std::string version;

private:
    database& db_;
};

/// The end of a run.
struct crash {};

/// Appends, so that what comes twice shows.
class appended final : public write_ahead_sink<std::string> {
public:
    struct target {
        strings rows;
        checkpoint_id marker = 0;
        bool fail_before = false, fail_after = false;
    };
    explicit appended(target& to) : to_(to) {}
    std::string name() const override { return "appended"; }
    void store(checkpoint_id id, const std::string&, const strings& results) override {
        if (std::exchange(to_.fail_before, false)) throw crash();
        to_.rows.insert(to_.rows.end(), results.begin(), results.end());
        to_.marker = id;
        if (std::exchange(to_.fail_after, false)) throw crash();
    }
    checkpoint_id stored(const std::string&) override { return to_.marker; }

private:
    target& to_;
};

template <class T>
batch<T> batch_of(std::vector<T> values) {
    batch<T> records;
    for (T& value : values) records.append(std::move(value), timestamp(1));
    return records;
}

template <class T>
void write(sink_writer<T>& to, std::vector<T> values) {
    batch<T> records = batch_of(std::move(values));
    REQUIRE(to.write(records) == progress::done);
    REQUIRE(records.empty());
}

template <class F>
std::string thrown(F f) {
    try {
        f();
    } catch (const checkpoint_error& e) {
        return e.what();
    }
    return "nothing";
}

}  // namespace

TEST_CASE("a job without checkpoints has its results stored when they have come, without a number") {
    database db;
    pipeline p;
    p.from(collection(std::vector<page_count>{{"/", 1}, {"/buy", 2}, {"/", 3}}))
        .to(std::make_shared<stored_counts>(db));
    std::move(p).start().wait();
    CHECK(db.get("count of /") == "3");
    CHECK(db.get("count of /buy") == "2");
    CHECK(db.get("checkpoint of ") == std::nullopt);
    CHECK(db.commits == 1);
}

TEST_CASE("without checkpoints, what could not be stored is stored by the next call") {
    database db;
    stored_counts sink(db);
    const auto writer = sink.open({});
    write<page_count>(*writer, {{"/", 1}});
    db.fail_before = true;
    CHECK_THROWS(writer->flush());
    CHECK(writer->flush() == progress::done);
    CHECK(db.get("count of /") == "1");
    CHECK(writer->flush() == progress::done);
    CHECK(db.commits == 1);
    CHECK(writer->prepare().empty());
}

TEST_CASE("many results are stored before the input has run empty; the record in hand stays when that fails") {
    database db;
    stored_counts sink(db);
    const auto writer = sink.open({});
    write(*writer, std::vector<page_count>(10'000, {"/", 1}));
    CHECK(db.commits == 0);
    db.fail_before = true;
    batch<page_count> next = batch_of<page_count>({{"/buy", 2}});
    CHECK_THROWS(writer->write(next));
    CHECK(next.cursor() == 0);
    CHECK(writer->write(next) == progress::done);
    CHECK(db.commits == 1);
    CHECK(db.get("count of /buy") == std::nullopt);
    CHECK(writer->finish() == progress::done);
    CHECK(db.get("count of /buy") == "2");
}

TEST_CASE("a result that the target cannot hold, or that has no bytes, is refused as it comes, and leaves nothing") {
    database db;
    stored_counts sink(db);
    for (const char* bad : {"", "no bytes"}) {
        sink.recover(0, "job/counts", {});
        const auto writer = sink.open({.owner = "job/counts"});
        batch<page_count> records = batch_of<page_count>({{"/", 1}, {bad, 2}, {"/buy", 3}});
        CHECK_THROWS_AS((void)writer->write(records), error);
        CHECK(records.cursor() == 1);
        records.consume_until(2);
        CHECK(writer->write(records) == progress::done);
        sink.commit(1, "job/counts", {writer->prepare()});
        CHECK(db.get("count of /") == "1");
        CHECK(db.get("count of /buy") == "3");
        db = database();
    }
}

TEST_CASE("nothing is stored before the checkpoint is complete; then with its number, once") {
    database db;
    stored_counts sink(db);
    CHECK(sink.is_transactional());
    sink.recover(0, "job/counts", {});
    const auto writer = sink.open({.owner = "job/counts"});
    CHECK(writer->prepare().empty());
    write<page_count>(*writer, {{"/", 1}});
    CHECK(writer->flush() == progress::done);
    CHECK(writer->finish() == progress::done);
    const strings prepared{writer->prepare()};
    CHECK(db.commits == 0);
    sink.commit(4, "job/counts", prepared);
    CHECK(db.get("count of /") == "1");
    CHECK(db.get("checkpoint of job/counts") == "4");
    sink.commit(4, "job/counts", prepared);
    stored_counts(db).recover(4, "job/counts", prepared);
    sink.commit(5, "job/counts", {writer->prepare()});
    CHECK(db.commits == 1);
}

TEST_CASE("a target that holds a later checkpoint is refused with both numbers, and what to do") {
    database db;
    stored_counts sink(db);
    const auto writer = sink.open({.owner = "job/counts"});
    write<page_count>(*writer, {{"/", 1}});
    sink.commit(7, "job/counts", {writer->prepare()});
    CHECK(thrown([&] { stored_counts(db).recover(6, "job/counts", {}); }) ==
          "stored_counts (owner 'job/counts') holds the results up to checkpoint 7, and the job goes on from "
          "checkpoint 6: results would be lost. Go on from checkpoint 7, in the folder where it was made; or remove what is to "
          "come again from the target, and set the number stored there for 'job/counts' to 6.");
    CHECK(thrown([&] { stored_counts(db).recover(0, "job/counts", {}); }) ==
          "stored_counts (owner 'job/counts') holds the results up to checkpoint 7, and the job begins without a "
          "checkpoint: results would be lost. Go on from checkpoint 7, in the folder where it was made; or remove what "
          "is to come again from the target, and set the number stored there for 'job/counts' to 0.");
    CHECK(db.commits == 1);
    stored_counts(db).recover(7, "job/counts", {});
    stored_counts(db).recover(0, "job/other counts", {});
}

TEST_CASE("a target that lacks what it has held is refused with both numbers, and what to do") {
    database db;
    stored_counts sink(db);
    const auto writer = sink.open({.owner = "job/counts"});
    write<page_count>(*writer, {{"/", 1}});
    sink.commit(7, "job/counts", {writer->prepare()});
    const strings prepared{writer->prepare()};  // No results, and still it is known that there were some.
    stored_counts(db).recover(8, "job/counts", prepared);
    db.forget("checkpoint of job/counts");
    CHECK(thrown([&] { stored_counts(db).recover(8, "job/counts", prepared); }) ==
          "stored_counts (owner 'job/counts') holds no results, but has held the results up to checkpoint 7: this is "
          "an older copy, or another target. Put the right one in its place; or, to go on without what is missing, set "
          "the number stored there for 'job/counts' to 7.");
}

TEST_CASE("results of another type are not taken for what they are not, unless they are stored already") {
    database db;
    stored_counts sink(db);
    CHECK(sink.layout() == layout_of<page_count>());
    const auto writer = sink.open({.owner = "job/counts"});
    write<page_count>(*writer, {{"/", 1}});
    const strings prepared{writer->prepare()};
    SUBCASE("another layout") { sink.version = "2"; }
    SUBCASE("bytes that are too few, or too many") {
        for (const std::size_t size : {prepared[0].size() - 1, prepared[0].size() + 1}) {
            std::string other = prepared[0];
            other.resize(size);
            CHECK(thrown([&] { sink.recover(3, "job/counts", {other}); }).find("another type") != std::string::npos);
        }
        return;
    }
    CHECK(thrown([&] { sink.recover(3, "job/counts", prepared); }) ==
          "checkpoint 3 holds results for stored_counts (owner 'job/counts') that are not stored there yet, of another "
          "type than the program has now. Run the version of the program that made the checkpoint once more, until it "
          "has stored them.");
    CHECK(db.commits == 0);
    stored_counts(db).recover(3, "job/counts", prepared);
    sink.recover(3, "job/counts", prepared);
    CHECK(db.commits == 1);
}

// The coordinator's part is played here: what is prepared is kept as a checkpoint, or carried to the next one. Each run
// may end at any step.
TEST_CASE("whatever happens at any step, each result is stored once, in order, when the job has ended") {
    const char* const first = std::getenv("RUNNEL_SEED");
    const std::uint64_t seed_0 = first ? std::strtoull(first, nullptr, 10) : 1;
    std::size_t ends = 0;
    for (std::uint64_t seed = seed_0; seed < seed_0 + 500; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        appended::target target;
        constexpr std::size_t total = 60;
        struct {
            checkpoint_id id = 0;
            std::size_t position = 0;
            strings prepared;
        } durable;
        checkpoint_id last = 0;
        for (bool done = false; !done;) {
            appended sink(target);
            if (random.chance(10)) (random.chance(50) ? target.fail_before : target.fail_after) = true;
            try {
                sink.recover(durable.id, "job/sink", durable.prepared);
                const auto writer = sink.open({.owner = "job/sink"});
                std::size_t at = durable.position;
                strings carried;
                for (;;) {
                    for (std::size_t n = random.below(5); n != 0 && at != total; --n, ++at)
                        write(*writer, strings{std::to_string(at)});
                    strings prepared{writer->prepare()};
                    prepared.insert(prepared.end(), carried.begin(), carried.end());
                    if (random.chance(10)) throw crash();  // The checkpoint is not complete.
                    ++last;
                    carried.clear();
                    if (random.chance(15)) {
                        carried = std::move(prepared);  // This checkpoint fails.
                        continue;
                    }
                    durable = {last, at, std::move(prepared)};
                    if (random.chance(10)) throw crash();
                    if (random.chance(10)) (random.chance(50) ? target.fail_before : target.fail_after) = true;
                    sink.commit(durable.id, "job/sink", durable.prepared);
                    if (random.chance(10)) throw crash();
                    if (at == total) {
                        done = true;
                        break;
                    }
                }
            } catch (const crash&) {
                ++ends;
            }
            target.fail_before = target.fail_after = false;
        }
        strings expected;
        for (std::size_t i = 0; i < total; ++i) expected.push_back(std::to_string(i));
        REQUIRE(target.rows == expected);
    }
    CHECK(ends > 1000);
}
