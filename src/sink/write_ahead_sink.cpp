#include "runnel/sink/write_ahead_sink.hpp"

namespace runnel::detail {

namespace {

std::string place(const std::string& sink, const std::string& owner) { return sink + " (owner '" + owner + "')"; }

std::string up_to(checkpoint_id there) {
    return there == 0 ? "no results" : "the results up to checkpoint " + std::to_string(there);
}

[[noreturn]] void refuse_later(const std::string& sink, const std::string& owner, checkpoint_id there,
                               checkpoint_id id) {
    const std::string begins =
        id == 0 ? "begins without a checkpoint" : "goes on from checkpoint " + std::to_string(id);
    throw checkpoint_error(place(sink, owner) + " holds " + up_to(there) + ", and the job " + begins +
                           ": results would be lost. Go on from checkpoint " + std::to_string(there) +
                           ", in the folder where it was made; or remove what is to come again from the target, and "
                           "set the number stored there for '" + owner + "' to " + std::to_string(id) + ".");
}

[[noreturn]] void refuse_lost(const std::string& sink, const std::string& owner, checkpoint_id there,
                              checkpoint_id after) {
    throw checkpoint_error(place(sink, owner) + " holds " + up_to(there) + ", but has held " + up_to(after) +
                           ": this is an older copy, or another target. Put the right one in its place; or, to go on "
                           "without what is missing, set the number stored there for '" + owner + "' to " +
                           std::to_string(after) + ".");
}

}  // namespace

// The parts before the values have the codecs of their types.

std::string write_ahead_part::encode(std::string_view encoded_values) const {
    std::string bytes;
    codec<checkpoint_id>::encode(after, bytes);
    codec<std::uint64_t>::encode(number, bytes);
    codec<std::string>::encode(layout, bytes);
    codec<std::uint64_t>::encode(count, bytes);
    return bytes += encoded_values;
}

std::vector<write_ahead_part> read_parts(const std::vector<std::string>& prepared) {
    std::vector<write_ahead_part> parts;
    for (const std::string& bytes : prepared) {
        if (bytes.empty()) continue;
        byte_reader in(bytes);
        write_ahead_part& part = parts.emplace_back();
        part.after = codec<checkpoint_id>::decode(in);
        part.number = codec<std::uint64_t>::decode(in);
        part.layout = codec<std::string>::decode(in);
        part.count = codec<std::uint64_t>::decode(in);
        part.values = in;
    }
    std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    return parts;
}

void check_target(const std::string& sink, const std::string& owner, checkpoint_id there, checkpoint_id id,
                  const std::vector<write_ahead_part>& parts) {
    if (there > id) refuse_later(sink, owner, there, id);
    for (const write_ahead_part& part : parts)
        if (part.after > there) refuse_lost(sink, owner, there, part.after);
}

void refuse_layout(const std::string& sink, const std::string& owner, checkpoint_id id) {
    throw checkpoint_error("checkpoint " + std::to_string(id) + " holds results for " + place(sink, owner) +
                           " that are not stored there yet, of another type than the program has now. Run the version "
                           "of the program that made the checkpoint once more, until it has stored them.");
}

}  // namespace runnel::detail
