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

    /// Adds what another subtask of the same operator has written.
    void add(operator_snapshot&& other) {
        for (auto& [name, groups] : other.keyed)
            for (auto& [group, bytes] : groups) keyed[name][group] += bytes;
        for (auto& [name, entries] : other.local)
            for (auto& bytes : entries) local[name].push_back(std::move(bytes));
    }
    friend bool operator==(const operator_snapshot&, const operator_snapshot&) = default;
};

class snapshot_writer;

/// A part of a snapshot that is written later. It owns all that it reads.
using deferred_save = std::function<void(snapshot_writer&)>;

/// Takes the state of one subtask. Thread safety: unsafe.
class snapshot_writer {
    template <class Map>
    static auto& slot(Map& map, std::string_view name) {
        auto it = map.find(name);
        if (it == map.end()) it = map.emplace(std::string(name), typename Map::mapped_type{}).first;
        return it->second;
    }

public:
    /// `deferred`: where parts that are written later go, by another `snapshot_writer` for the same snapshot, on
    /// whatever thread; null: they are written at once.
    explicit snapshot_writer(operator_snapshot& into, std::vector<deferred_save>* deferred = nullptr)
        : into_(into), deferred_(deferred) {}
    /// The bytes of keyed state `name` in group `g`; append to them. Valid until the next call.
    std::string& keyed(std::string_view name, key_group g) { return slot(into_.keyed, name)[g]; }
    /// A new entry of local state `name`; append to it. Valid until the next call.
    std::string& local(std::string_view name) { return slot(into_.local, name).emplace_back(); }
    /// Has `f(snapshot_writer&)` called, once, when the operator may have gone on: a copy of state, which takes less
    /// time than encoding it, keeps the operator's pause short.
    template <class F>
    void later(F f) {
        if (deferred_) deferred_->emplace_back(std::move(f));
        else f(*this);
    }

private:
    operator_snapshot& into_;
    std::vector<deferred_save>* deferred_;
};

/// Hands a subtask its part of a snapshot. Thread safety: unsafe.
class snapshot_reader {
public:
    snapshot_reader(const operator_snapshot& from, key_group_range mine) : from_(from), mine_(mine) {}
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
