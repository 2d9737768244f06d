#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/checkpoint/checkpoint_info.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel::detail {

/// What a manifest says: all of a checkpoint, but in place of the state where that lies.
struct manifest {
    struct data_file {
        std::uint64_t number = 0;
        std::uint64_t size = 0;
    };
    /// The bytes of a key group, or an entry of local state.
    struct chunk {
        std::uint32_t number = 0;  // of the group or entry
        std::uint32_t file = 0;    // index into `files`; 0 if there are no bytes
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
        std::uint32_t crc = 0;
        std::uint64_t hash = 0;
        bool has_bytes_of(const chunk& other) const noexcept {
            return length == other.length && crc == other.crc && hash == other.hash;
        }
    };
    struct state {
        std::string name;
        bool keyed = false;
        std::optional<std::uint64_t> keys = {};
        std::vector<chunk> chunks = {};
        const chunk* find(std::uint32_t number) const noexcept;
    };
    struct operator_entry {
        std::string name;
        std::string kind;
        std::uint64_t parallelism = 0;
        std::vector<state> states;
        const state* find(std::string_view name, bool keyed) const noexcept;
    };

    checkpoint_id id = 0;
    timestamp taken;
    bool is_savepoint = false;
    std::uint32_t key_groups = 0;
    std::string job;
    std::map<std::string, std::string> extra;
    std::vector<data_file> files;
    std::vector<operator_entry> operators;

    const operator_entry* find(std::string_view name) const noexcept;
    checkpoint_info info() const;
};

std::string encode(const manifest& m);
/// Reads and verifies the manifest of checkpoint `id` in a folder.
/// Errors: `checkpoint_error`, `io_error`.
manifest read_manifest(file_system& files, const std::string& folder, checkpoint_id id);

/// The file of a manifest or of data, and its name while a manifest is being written.
std::string manifest_name(checkpoint_id id);
std::string partial_manifest_name(checkpoint_id id);
std::string data_name(std::uint64_t number);

/// The numbers of the files of each kind in a folder, rising; other files are left out.
struct folder_contents {
    std::vector<checkpoint_id> manifests;
    std::vector<checkpoint_id> partial_manifests;
    std::vector<std::uint64_t> data;
};
folder_contents look_into(file_system& files, const std::string& folder);

/// Begins a data file: magic, version, number, and the checksum of those.
constexpr std::size_t data_header_size = 24;
std::string data_header(std::uint64_t number);
/// Throws a `checkpoint_error` if the file does not begin with the header of data file `number`.
void check_data_header(file& f, std::uint64_t number);

[[noreturn]] void throw_damaged(const std::string& path, std::uint64_t offset, const std::string& what);

}  // namespace runnel::detail
