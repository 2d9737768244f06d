#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runnel {

/// Number of a key group: the unit in which keyed state is placed, saved and moved between subtasks.
using key_group = std::uint16_t;

/// The key groups [first, last) that one subtask owns.
struct key_group_range {
    key_group first = 0;
    key_group last = 0;
    bool contains(key_group g) const noexcept { return first <= g && g < last; }
};

/// Keyed state that is read when it is asked for, a key group at a time, since all of it may be larger than memory.
///
/// Thread safety: safe. Lifetime: owns, or shares, what it reads from, unless said otherwise.
/// Errors: those of the place that it reads from.
class keyed_pieces {
public:
    virtual ~keyed_pieces() = default;
    /// Those that it may have.
    virtual key_group_range groups() const = 0;
    /// Of the states that it may have.
    virtual std::vector<std::string> names() const = 0;
    /// Calls `f(group, bytes)` for each group in `range` that has state `name`, in order.
    virtual void read(std::string_view name, key_group_range range,
                      const std::function<void(key_group, std::string_view)>& f) const = 0;
};

/// State of one operator, of any number of its subtasks, in encoded form.
///
/// Keyed state is found by state name and key group, so that it can be handed to other subtasks than wrote it.
/// Local state is a list, one entry per subtask (or split); on restore every subtask sees all entries and
/// picks, or merges, what concerns it.
struct operator_snapshot {
    std::map<std::string, std::map<key_group, std::string>, std::less<>> keyed;
    std::map<std::string, std::vector<std::string>, std::less<>> local;
    /// How many keys keyed state has, where that was counted; only to be told.
    std::map<std::string, std::uint64_t, std::less<>> keys = {};
    /// More keyed state, of other names or of other groups, by group.
    std::vector<std::shared_ptr<const keyed_pieces>> pieces;

    /// Adds what another subtask of the same operator has written.
    void add(operator_snapshot&& other) {
        for (auto& p : other.pieces) add(std::move(p));
        for (auto& [name, groups] : other.keyed)
            for (auto& [group, bytes] : groups) keyed[name][group] += bytes;
        for (auto& [name, entries] : other.local)
            for (auto& bytes : entries) local[name].push_back(std::move(bytes));
        for (auto& [name, n] : other.keys) keys[name] += n;
    }
    void add(std::shared_ptr<const keyed_pieces> p) {
        const auto later = [](const auto& a, const auto& b) { return a->groups().first < b->groups().first; };
        const auto at = std::upper_bound(pieces.begin(), pieces.end(), p, later);
        pieces.insert(at, std::move(p));
    }
    /// Reads all pieces into memory.
    void gather() {
        for (const auto& p : std::exchange(pieces, {}))
            for (const std::string& name : p->names())
                p->read(name, p->groups(), [&](key_group g, std::string_view bytes) { keyed[name][g] += bytes; });
    }
    friend bool operator==(const operator_snapshot&, const operator_snapshot&) = default;
};

class snapshot_writer;

/// What of a snapshot is left for later.
struct deferred_saves {
    /// To be called by the operator's own thread, again and again between other things, until it answers true.
    std::vector<std::function<bool()>> steps;
    /// To be called once, when all steps are done, by any thread. They own all that they read.
    std::vector<std::function<void(snapshot_writer&)>> writes;
};

/// Takes the state of one subtask. Thread safety: unsafe.
class snapshot_writer {
    template <class Map>
    static auto& slot(Map& map, std::string_view name) {
        auto it = map.find(name);
        if (it == map.end()) it = map.emplace(std::string(name), typename Map::mapped_type{}).first;
        return it->second;
    }

public:
    /// `deferred`: where goes what is left for later; null: nothing is.
    explicit snapshot_writer(operator_snapshot& into, deferred_saves* deferred = nullptr)
        : into_(into), deferred_(deferred) {}
    /// The bytes of keyed state `name` in group `g`; append to them. Valid until the next call.
    std::string& keyed(std::string_view name, key_group g) { return slot(into_.keyed, name)[g]; }
    /// Keyed state that is read later.
    void keyed(std::shared_ptr<const keyed_pieces> pieces) { into_.add(std::move(pieces)); }
    /// A new entry of local state `name`; append to it. Valid until the next call.
    std::string& local(std::string_view name) { return slot(into_.local, name).emplace_back(); }
    /// Says that keyed state `name` has so many more keys, for who looks at the checkpoint.
    void count_keys(std::string_view name, std::uint64_t n) { slot(into_.keys, name) += n; }
    /// Has `step()` called until it answers true: a copy of state that is made little by little, while the operator
    /// goes on, keeps its pause short. What the copy shows is the state of now.
    template <class Step>
    void gradually(Step step) {
        if (deferred_) deferred_->steps.emplace_back(std::move(step));
        else while (!step()) continue;
    }
    /// Has `f(snapshot_writer&)` called with a writer for the same snapshot, when what is done gradually is done and
    /// the operator has gone on: encodes such a copy.
    template <class F>
    void later(F f) {
        if (deferred_) deferred_->writes.emplace_back(std::move(f));
        else f(*this);
    }

private:
    operator_snapshot& into_;
    deferred_saves* deferred_;
};

/// Hands a subtask its part of a snapshot. Thread safety: unsafe.
class snapshot_reader {
public:
    snapshot_reader(const operator_snapshot& from, key_group_range mine) : from_(from), mine_(mine) {}
    key_group_range mine() const noexcept { return mine_; }
    /// Calls `f(group, bytes)` for each of this subtask's groups that has state `name`.
    template <class F>
    void keyed(std::string_view name, F&& f) const {
        if (auto it = from_.keyed.find(name); it != from_.keyed.end())
            for (auto g = it->second.lower_bound(mine_.first); g != it->second.end() && g->first < mine_.last; ++g)
                f(g->first, std::string_view(g->second));
        for (const auto& p : from_.pieces)
            p->read(name, mine_, [&](key_group g, std::string_view bytes) { f(g, bytes); });
    }
    /// Calls `f(bytes)` for each entry of local state `name`, of whichever subtask.
    template <class F>
    void local(std::string_view name, F&& f) const {
        if (auto it = from_.local.find(name); it != from_.local.end())
            for (const std::string& bytes : it->second) f(std::string_view(bytes));
    }

private:
    const operator_snapshot& from_;
    key_group_range mine_;
};

}  // namespace runnel
