#pragma once

#include <cstdint>
#include <functional>
#include <map>
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

    /// Adds what another subtask of the same operator has written.
    void add(operator_snapshot&& other) {
        for (auto& [name, groups] : other.keyed)
            for (auto& [group, bytes] : groups) keyed[name][group] += bytes;
        for (auto& [name, entries] : other.local)
            for (auto& bytes : entries) local[name].push_back(std::move(bytes));
        for (auto& [name, n] : other.keys) keys[name] += n;
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
