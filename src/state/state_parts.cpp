#include "runnel/state/state_parts.hpp"

#include <cstdint>

#include "runnel/codec/binary.hpp"

namespace runnel::detail {

std::vector<std::string> state_parts::names() const {
    std::vector<std::string> all;
    for (const auto& c : columns) all.push_back("state " + c->declared().name);
    for (const timer_queue* queue : {&event_timers, &processing_timers})
        for (const timer_queue::timer& timer : queue->timers()) all.push_back("timer " + timer.name);
    return all;
}

void state_parts::append_record(slot s, std::string& out) const {
    for (const auto& c : columns)
        append_sized(out, [&] {
            if (c->holds(s)) c->save(s, out);
        });
    for (const timer_queue* queue : {&event_timers, &processing_timers})
        for (const timer_queue::timer& timer : queue->timers())
            append_sized(out, [&] {
                if (timer.cells[s].empty()) return;
                codec<std::uint64_t>::encode(timer.cells[s].size(), out);
                timer.cells[s].for_each([&](timestamp t) { codec<timestamp>::encode(t, out); });
            });
}

byte_reader state_parts::take_sized(byte_reader& in) {
    return byte_reader(in.take(static_cast<std::size_t>(codec<std::uint64_t>::decode(in))));
}

key_group state_parts::take_group(std::string_view& key) {
    byte_reader in(key);
    const std::string_view bytes = in.take(sizeof(key_group));
    key.remove_prefix(bytes.size());
    const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
    return static_cast<key_group>(byte(0) << 8 | byte(1));
}

}  // namespace runnel::detail
