#include "runnel/state/frozen_slots.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "runnel/codec/binary.hpp"
#include "runnel/state/state_store.hpp"

// A block: of each of its slots that a key has, the key and its record, each behind its size: see `state_parts`.

namespace runnel::detail {

frozen_slots::frozen_slots(const state_store& from, std::size_t slots)
    : from_(&from), slots_(slots), names_(from.parts().names()), blocks_((slots + block_slots - 1) / block_slots) {
    from.frozen_ = this;
    if (blocks_.empty()) complete();
}

frozen_slots::~frozen_slots() {
    if (from_) complete();
}

bool frozen_slots::step(std::size_t bytes) noexcept {
    // A block counts for something even if there is nothing in it.
    constexpr std::size_t least = block_slots * 4;
    try {
        for (std::size_t done = 0; from_ && done < bytes;) {
            done += std::max(least, copy(next_));
            if (++next_ == blocks_.size()) complete();
        }
    } catch (...) {
        fail();
    }
    return !from_;
}

void frozen_slots::before_change(slot s) noexcept {
    if (s >= slots_) return;
    try {
        (void)copy(s / block_slots);
    } catch (...) {
        fail();
    }
}

/// Gives the number of bytes, or 0 if the block was there.
std::size_t frozen_slots::copy(std::size_t block) {
    if (blocks_[block]) return 0;
    scratch_.clear();
    const std::size_t end = std::min((block + 1) * block_slots, slots_);
    for (std::size_t s = block * block_slots; s != end; ++s) from_->append_slot(static_cast<slot>(s), scratch_);
    blocks_[block] = std::make_unique<const std::string>(scratch_);
    return scratch_.size();
}

/// What matters is the store: it goes on, without this copy.
void frozen_slots::fail() noexcept {
    failure_ = std::current_exception();
    complete();
}

void frozen_slots::complete() noexcept {
    from_->frozen_ = nullptr;
    from_ = nullptr;
}

/// Calls `f(key, record)` for each key, both as `byte_reader`, in order of slots.
template <class F>
void frozen_slots::consume(F f) {
    if (failure_) std::rethrow_exception(failure_);
    for (auto& block : blocks_) {
        for (byte_reader in(*block); !in.empty();) {
            const byte_reader key = state_parts::take_sized(in);
            f(key, state_parts::take_sized(in));
        }
        block.reset();
    }
    blocks_.clear();
}

void frozen_slots::write(snapshot_writer& to) {
    struct part {
        std::vector<std::string> groups;
        std::uint64_t keys = 0;
    };
    std::vector<part> parts(names_.size());
    consume([&](byte_reader key_in, byte_reader record) {
        std::string_view key = key_in.take(key_in.remaining());
        const key_group g = state_parts::take_group(key);
        for (part& p : parts) {
            byte_reader held = state_parts::take_sized(record);
            if (held.empty()) continue;
            if (g >= p.groups.size()) p.groups.resize(std::size_t{g} + 1);
            p.groups[g] += key;
            p.groups[g] += held.take(held.remaining());
            ++p.keys;
        }
    });
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].keys != 0) to.count_keys(names_[i], parts[i].keys);
        for (std::size_t g = 0; g < parts[i].groups.size(); ++g)
            if (std::string& bytes = parts[i].groups[g]; !bytes.empty())
                to.keyed(names_[i], static_cast<key_group>(g)) = std::move(bytes);
    }
}

std::map<std::string, std::string, std::less<>> frozen_slots::take_records() {
    std::map<std::string, std::string, std::less<>> all;
    consume([&](byte_reader key, byte_reader record) {
        all.emplace(key.take(key.remaining()), record.take(record.remaining()));
    });
    return all;
}

}  // namespace runnel::detail
