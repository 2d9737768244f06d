#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/avro.hpp"
#include "runnel/connect/kafka_output.hpp"
#include "runnel/connect/kafka_record.hpp"
#include "runnel/connect/kafka_sink.hpp"
#include "runnel/connect/kafka_values.hpp"
#include "runnel/connect/schema_registry.hpp"

namespace runnel {

namespace detail {

class kafka_avro_schemas;

/// Reads values by the schemas that they name. Copies share the schemas. Thread safety: distinct objects: safe.
class kafka_avro_reader {
public:
    kafka_avro_reader(schema_registry registry, const text_type& type, const avro_options& options);
    std::vector<std::string> problems() const;
    void read(std::string_view value, void* into);

private:
    std::shared_ptr<kafka_avro_schemas> schemas_;
    std::uint32_t id_ = 0;
    std::shared_ptr<const avro_plan> plan_;  ///< Of `id_`, which came last.
};

/// Writes values after the number of their schema. Copies share it. Thread safety: as `kafka_avro_reader`.
class kafka_avro_writer {
public:
    kafka_avro_writer(schema_registry registry, const text_type& type, const avro_options& options);
    std::vector<std::string> problems() const;
    void open(const std::string& topic) const;
    std::string write(const void* value) const;

private:
    struct registered;
    std::shared_ptr<registered> to_;
};

}  // namespace detail

/// Reads a record's value as Avro with a schema registry's number in front (a zero byte, four bytes of number, binary
/// encoding): by the schema that it was written with, which is asked for once, and made a T as `avro_decoder` says.
/// Errors: `decode_error` for a bad record, which names the schema: another first byte, a schema that the registry does
/// not know or that does not fit T, bytes that are cut off. `io_error` when the registry cannot be asked for longer
/// than its timeout: the job ends, whatever the policy for bad records.
/// Programs that use it link runnel::connect, too.
/// Example: `p.from(runnel::from_kafka(cluster, "clicks", runnel::kafka_avro<click>({"http://localhost:8081"})))`
template <class T>
class kafka_avro {
public:
    explicit kafka_avro(schema_registry registry, const avro_options& options = {})
        : reader_(std::move(registry), detail::text_type_of<T>::value, options) {}

    std::vector<std::string> problems() const { return reader_.problems(); }
    T operator()(const kafka_record& r) {
        T value{};
        reader_.read(detail::value_of(r), &value);
        return value;
    }

private:
    detail::kafka_avro_reader reader_;
};

/// See `kafka_avro_output`.
template <class T, class Key>
class kafka_avro_recipe {
    static_assert(detail::kafka_record_function<Key, T>(),
                  "runnel::kafka_avro_output: the key is a member of the record, or a function that takes (const T&)");

public:
    kafka_avro_recipe(schema_registry registry, Key key, const avro_options& options)
        : key_(std::move(key)), writer_(std::move(registry), detail::text_type_of<T>::value, options) {}

    std::vector<std::string> problems() const { return writer_.problems(); }
    void open(const std::string& topic) const { writer_.open(topic); }
    kafka_output operator()(const T& value) const {
        kafka_output r{.value = writer_.write(&value)};
        if constexpr (!std::is_same_v<Key, std::nullptr_t>) r.key = detail::kafka_text(std::invoke(key_, value));
        return r;
    }

private:
    Key key_;
    detail::kafka_avro_writer writer_;
};

/// For `to_kafka`: writes values so that `kafka_avro` reads them. The schema of T (`avro_schema_of`), with the topic's
/// name, is registered under the subject "TOPIC-value" when the job starts, and has to be compatible with those there
/// as the registry demands. `key`, a member or function of the record, gives its key, as it does for `to_kafka`;
/// without it there is none.
/// Errors: `io_error` at the start if the registry refuses the schema or cannot be asked; for values, see
/// `append_avro`.
/// Programs that use it link runnel::connect, too.
/// Example: `alerts.to(runnel::to_kafka(cluster, "alerts", runnel::delivery::exactly_once,
///                                      runnel::kafka_avro_output<alert>({"http://localhost:8081"}, &alert::card)))`
template <class T, class Key = std::nullptr_t>
kafka_avro_recipe<T, Key> kafka_avro_output(schema_registry registry, Key key = {}, const avro_options& options = {}) {
    return {std::move(registry), std::move(key), options};
}

}  // namespace runnel
