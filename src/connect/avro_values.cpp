// The wire format of Confluent's schema registry: a zero byte, the schema's number (four bytes, the highest first), and
// the value in Avro's binary encoding.
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "avro_registry.hpp"
#include "runnel/connect/kafka_avro.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace {

constexpr std::size_t front = 5;
/// For so long a schema that is not there is not asked for again: one of a hostile record would be asked for each time.
constexpr std::chrono::seconds unknown_for{5};
constexpr std::size_t most_unknown = 1000;

std::string schema_name(std::uint32_t id) { return "schema " + std::to_string(id) + ": "; }

/// The topic as a name that Avro allows.
std::string record_name(const std::string& topic) {
    std::string name = topic;
    for (char& c : name) {
        const bool allowed = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!allowed) c = '_';
    }
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) name.insert(0, "_");
    return name;
}

}  // namespace

/// The schemas that have been seen, and how their values become a type. Thread safety: safe.
class kafka_avro_schemas {
public:
    kafka_avro_schemas(schema_registry registry, const text_type& type, const avro_options& options)
        : registry_(std::move(registry)), type_(type), options_(options) {}

    const avro_registry& registry() const noexcept { return registry_; }
    std::shared_ptr<const avro_plan> plan(std::uint32_t id) {
        // Held while the registry is asked: others may want the same.
        const std::lock_guard lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (const auto at = known_.find(id); at != known_.end()) {
            if (at->second.plan) return at->second.plan;
            if (now < at->second.until) throw decode_error(at->second.problem);
        }
        try {
            const std::string text = registry_.schema(id);
            try {
                return known_.insert_or_assign(id, entry{plan_avro(text, type_, options_)}).first->second.plan;
            } catch (const decode_error& e) {
                throw decode_error(schema_name(id) + e.what());
            }
        } catch (const decode_error& e) {
            if (unknown_++ == most_unknown) forget_unknown();
            known_.insert_or_assign(id, entry{nullptr, e.what(), now + unknown_for});
            throw;
        }
    }

private:
    struct entry {
        std::shared_ptr<const avro_plan> plan;
        std::string problem = {};  ///< Instead of a plan.
        std::chrono::steady_clock::time_point until = {};
    };
    void forget_unknown() {
        std::erase_if(known_, [](const auto& e) { return !e.second.plan; });
        unknown_ = 0;
    }

    const avro_registry registry_;
    const text_type& type_;
    const avro_options options_;
    std::mutex mutex_;
    std::map<std::uint32_t, entry> known_;
    std::size_t unknown_ = 0;
};

kafka_avro_reader::kafka_avro_reader(schema_registry registry, const text_type& type, const avro_options& options)
    : schemas_(std::make_shared<kafka_avro_schemas>(std::move(registry), type, options)) {}

std::vector<std::string> kafka_avro_reader::problems() const { return schemas_->registry().problems(); }

void kafka_avro_reader::read(std::string_view value, void* into) {
    if (value.size() < front)
        throw decode_error("a value of " + std::to_string(value.size()) +
                           " bytes has no room for the number of its schema, which takes 5");
    if (value[0] != 0)
        throw decode_error("the value begins with byte " + std::to_string(static_cast<unsigned char>(value[0])) +
                           " instead of 0: it was not written with a schema registry");
    std::uint32_t id = 0;
    for (std::size_t i = 1; i != front; ++i) id = id << 8 | static_cast<unsigned char>(value[i]);
    if (!plan_ || id != id_) {
        plan_ = schemas_->plan(id);
        id_ = id;
    }
    try {
        read_avro(*plan_, value.substr(front), into);
    } catch (const decode_error& e) {
        throw decode_error(schema_name(id) + e.what());
    }
}

/// Made when the first writer is opened.
struct kafka_avro_writer::registered {
    avro_registry registry;
    const text_type& type;
    const avro_options options;
    std::mutex mutex = {};
    std::optional<std::uint32_t> id = {};
};

kafka_avro_writer::kafka_avro_writer(schema_registry registry, const text_type& type, const avro_options& options)
    : to_(new registered{avro_registry(std::move(registry)), type, options}) {}

std::vector<std::string> kafka_avro_writer::problems() const {
    std::vector<std::string> all = to_->registry.problems();
    try {
        (void)avro_schema_text(to_->type, "value", to_->options);
    } catch (const error& e) {
        all.emplace_back(e.what());
    }
    return all;
}

void kafka_avro_writer::open(const std::string& topic) const {
    const std::lock_guard lock(to_->mutex);
    if (!to_->id)
        to_->id = to_->registry.add(topic + "-value", avro_schema_text(to_->type, record_name(topic), to_->options));
}

std::string kafka_avro_writer::write(const void* value) const {
    // Set before any writer was there, and never changed.
    const std::uint32_t id = *to_->id;
    std::string bytes(1, '\0');
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(id >> shift);
    write_avro(bytes, to_->type, value, to_->options);
    return bytes;
}

}  // namespace runnel::detail
