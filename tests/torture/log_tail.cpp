// R4: the last segment of a partition, cut at every byte, every byte flipped, filled with zeros from every byte,
// lengthened by garbage. What a crash may have done is cut off, exactly; what it cannot have done is reported.
//
// log_tail [COUNT [SEED]]: some such variants, about so many; all of them for 200,000 and more.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "runnel/log/log_error.hpp"
#include "runnel/testing/manual_clock.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "src/log/batch_cursor.hpp"
#include "tests/log/log_kit.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using test::read_all;
using test::values;
using testing::memory_file_system;

namespace {

const std::string home = "/log/t/0/";

/// Of the made-up log itself.
void demand(bool holds) {
    if (holds) return;
    std::printf("the log is not as it was made\n");
    std::exit(1);
}

/// A batch, as the test sees it.
struct seen_batch {
    std::uint64_t position = 0;
    detail::batch_header header;
    std::vector<test::kept_record> records;
};

/// A partition of two segments, and what of its last one must be found after what happens to it.
class made_up_log {
public:
    explicit made_up_log(std::uint64_t seed) : log("/log", {.files = &disk, .clock = &clock}), random_(seed) {
        const log_topic topic = log.topic("t", {});
        {
            log_writer out = topic.writer(0, {.batch_bytes = 1500, .segment_bytes = 80'000});
            log_transaction across = out.begin("across");
            while (names().size() < 2) step(out, &across);
            across.prepare(7);
            names_ = names();
            while (disk.size(names_.back()) < 40'000) step(out, nullptr);
            out.commit("across", 6);
            out.commit("across", 7);
            while (disk.size(names_.back()) < 66'000) step(out, nullptr);
            // Batches that are written together, so that one may be there without the one before it.
            for (int i = 0; i < 3; ++i) append(out, 1000);
            out.flush();
            log_transaction last = out.begin("last");
            last.append({.time = {}, .value = "last"});
            last.prepare(9);
            append(out, 10);
            out.flush();
            out.commit("last", 9);
        }
        names_ = names();
        demand(names_.size() == 2);
        for (const std::string& path : disk.files()) others_[path] = disk.get(path);
        for (const std::string& path : names_) see(path);
        bytes = disk.get(names_.back());
        demand(bytes.size() >= 65'536);
        for (std::size_t n = 0; n <= batches.size(); ++n) wanted_.push_back(visible(n));
    }

    const std::string& path() const { return names_.back(); }
    /// A disk on which the last segment has these bytes.
    std::unique_ptr<memory_file_system> with(std::string_view changed) const {
        auto other = std::make_unique<memory_file_system>();
        other->make_directories(home);
        for (const auto& [name, contents] : others_) other->put(name, name == path() ? changed : contents);
        return other;
    }
    /// Records that readers must see when the first `n` batches of the last segment are there.
    const std::vector<test::kept_record>& wanted(std::size_t n) const { return wanted_[n]; }
    std::uint64_t next_after(std::size_t n) const { return n == 0 ? base : batches[n - 1].header.end(); }
    std::uint64_t position_of(std::size_t n) const { return n == batches.size() ? bytes.size() : batches[n].position; }

    memory_file_system disk;
    testing::manual_clock clock{timestamp(std::chrono::hours(1))};
    log_folder log;
    std::string bytes;                 // of the last segment
    std::vector<seen_batch> batches;   // in it
    std::uint64_t base = 0;

private:
    std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const std::string& path : disk.files())
            if (path.ends_with(".log")) found.push_back(path);
        return found;
    }
    void append(log_writer& out, std::size_t most) {
        const std::string value(random_.below(most), static_cast<char>(random_.below(4)));
        const std::string key = std::to_string(random_.below(9));
        out.append({.time = timestamp(random_.between(-9, 9)), .key = key, .value = value});
    }
    void step(log_writer& out, log_transaction* across) {
        switch (random_.below(8)) {
            case 0:
                if (across) across->append({.time = {}, .value = "across"});
                break;
            case 1: {
                log_transaction t = out.begin("w");
                t.append({.time = timestamp(1), .value = "of w"});
                if (random_.chance(30)) break;
                append(out, 100);
                t.append({.time = timestamp(2), .value = std::string(random_.below(2000), 'w')});
                t.prepare(++checkpoint_);
                out.commit("w", checkpoint_);
                break;
            }
            default:
                for (std::size_t n = random_.below(4); n != 0; --n) append(out, 600);
        }
        out.flush();
    }
    void see(const std::string& name) {
        const auto f = disk.open(name, open_mode::read);
        detail::batch_cursor cursor(*f, salt(), 1 << 16);
        cursor.seek(detail::segment_header_size, f->size());
        std::vector<seen_batch>& into = name == path() ? batches : earlier_;
        if (name == path()) base = std::stoull(name.substr(home.size()));
        while (cursor.next() == detail::batch_cursor::found::batch) {
            demand(cursor.read_body());
            seen_batch b{cursor.position(), cursor.header(), {}};
            std::vector<log_header> headers;
            log_record r;
            if (!b.header.is_control())
                for (detail::record_cursor in(cursor.body(), b.header.base); !in.empty();) {
                    demand(in.read(r, headers));
                    b.records.push_back(test::keep(r));
                }
            into.push_back(std::move(b));
        }
        demand(cursor.position() == f->size());
    }
    std::uint32_t salt() const {
        return detail::salt_of(static_cast<std::uint64_t>(timestamp(std::chrono::hours(1)).ns()), 0);
    }
    /// By the rules: all records but those of transactions that are not committed, up to the first undecided one.
    std::vector<test::kept_record> visible(std::size_t n) const {
        std::vector<const seen_batch*> all;
        for (const seen_batch& b : earlier_) all.push_back(&b);
        for (std::size_t i = 0; i < n; ++i) all.push_back(&batches[i]);
        std::map<std::uint64_t, detail::batch_kind> state;
        for (const seen_batch* b : all)
            if (b->header.is_control()) state[b->header.transaction] = b->header.kind;
        std::vector<test::kept_record> records;
        for (const seen_batch* b : all) {
            if (b->header.kind == detail::batch_kind::in_transaction) {
                const detail::batch_kind how = state[b->header.transaction];
                if (how == detail::batch_kind::prepare) break;
                if (how != detail::batch_kind::commit) continue;
            }
            records.insert(records.end(), b->records.begin(), b->records.end());
        }
        return records;
    }

    tests::random_numbers random_;
    std::uint64_t checkpoint_ = 10;
    std::vector<std::string> names_;
    std::map<std::string, std::string> others_;
    std::vector<seen_batch> earlier_;
    std::vector<std::vector<test::kept_record>> wanted_;
};

/// Counts what is not as it must be, and tells of the first few.
class verdict {
public:
    explicit verdict(const made_up_log& of) : of_(of) {}
    std::size_t differences() const { return differences_; }

    void check(const std::string& what, std::string_view changed, bool thoroughly) {
        what_ = what;
        // The first batch that is not whole, and what is whole behind it.
        std::size_t same = 0;
        while (same < std::min(changed.size(), of_.bytes.size()) && changed[same] == of_.bytes[same]) ++same;
        std::size_t good = 0;
        while (good < of_.batches.size() && of_.position_of(good + 1) <= same) ++good;
        const bool header = same >= detail::segment_header_size;
        const std::uint64_t position = header ? of_.position_of(good) : 0;
        bool proof = false;
        bool whole = false;
        for (std::size_t i = good; i < of_.batches.size(); ++i) {
            const std::size_t begin = of_.batches[i].position;
            const std::size_t size = of_.batches[i].header.size();
            if (begin + size > changed.size() || of_.bytes.compare(begin, size, changed.substr(begin, size)) != 0) {
                // The header alone is as good a proof.
                if (begin + detail::batch_header_size > changed.size() ||
                    of_.bytes.compare(begin, detail::batch_header_size,
                                      changed.substr(begin, detail::batch_header_size)) != 0)
                    continue;
            } else {
                whole = true;
            }
            proof = proof || of_.batches[i].header.synced > position;
        }
        if (!header && whole) proof = true;

        const auto disk = of_.with(changed);
        testing::manual_clock clock(timestamp(std::chrono::hours(2)));
        const log_topic topic = log_folder("/log", {.files = disk.get(), .clock = &clock}).topic("t");
        try {
            log_writer out = topic.writer(0);
            require(!proof, "damage is reported");
            require(out.recovery().cut == changed.size() - position, "all behind the last good batch is cut off");
            require(out.recovery().kept.empty() != (whole && header), "good batches that are cut off are kept");
            if (!out.recovery().kept.empty())
                require(disk->get(out.recovery().kept) == changed.substr(position), "all that is cut off is kept");
            require(out.next_offset() >= of_.next_after(good), "offsets go on");
            require(read_all(topic) == of_.wanted(good), "readers see the longest good prefix");
            if (thoroughly) {
                for (const log_prepared& t : out.prepared()) out.abort_after(t.writer, 0);
                out.append({.time = {}, .value = "more"});
                out.flush();
                require(values(topic).back() == "more", "more can be appended");
            }
        } catch (const log_corrupted& e) {
            require(proof, e.what());
            require(e.file() == of_.path() && e.position() == position, e.what());
            require(disk->get(of_.path()) == changed, "nothing is changed");
        }
        if (thoroughly && !proof) require(topic.writer(0).recovery().cut == 0, "what was recovered is clean");
    }

private:
    void require(bool holds, const std::string& rule) {
        if (holds) return;
        if (++differences_ <= 20) std::printf("%s: %s\n", what_.c_str(), rule.c_str());
    }

    const made_up_log& of_;
    std::string what_;
    std::size_t differences_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    const std::size_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 3'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20261125;
    const auto began = std::chrono::steady_clock::now();
    const made_up_log of(seed);
    tests::random_numbers random(seed);
    verdict v(of);
    const std::size_t stride = std::max<std::size_t>(1, 200'000 / std::max<std::size_t>(1, goal));
    std::size_t count = 0;
    const auto check = [&](const std::string& what, const std::string& changed) {
        v.check(what, changed, count % 17 == 0);
        ++count;
    };
    check("nothing", of.bytes);
    for (std::size_t i = 0; i < of.bytes.size(); i += 1 + random.below(2 * stride - 1)) {
        const std::string at = std::to_string(i);
        check("cut at " + at, of.bytes.substr(0, i));
        std::string flipped = of.bytes;
        flipped[i] = static_cast<char>(random.chance(50) ? ~flipped[i] : flipped[i] ^ (1 << random.below(8)));
        check("flipped at " + at, flipped);
        std::string zeroed = of.bytes;
        std::fill(zeroed.begin() + static_cast<std::ptrdiff_t>(i), zeroed.end(), '\0');
        check("zeroed from " + at, zeroed);
    }
    const std::string last = of.bytes.substr(of.batches.back().position);
    for (std::size_t n = 1; n < 6000; n += 1 + random.below(2 * stride - 1)) {
        std::string garbage(n, '\0');
        switch (n % 4) {
            case 0: break;
            case 1:
                for (char& c : garbage) c = static_cast<char>(random.seed());
                break;
            case 2: garbage = of.bytes.substr(random.below(of.bytes.size() - n), n); break;
            default: garbage = last + garbage;
        }
        check("lengthened by " + std::to_string(n), of.bytes + garbage);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("torture R4 %zu of %zu differences %zu seed %llu seconds %.1f\n", count, goal, v.differences(),
                static_cast<unsigned long long>(seed), took.count());
    return v.differences() == 0 ? 0 : 1;
}
