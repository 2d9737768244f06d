#include "runnel/connect/kafka_record.hpp"

#include <string>

#include "kafka_client.hpp"

namespace runnel {

namespace {

rd_kafka_headers_t* headers_of(const kafka_record& r) {
    rd_kafka_headers_t* headers = nullptr;
    const auto* const m = static_cast<const rd_kafka_message_t*>(r.message);
    return rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR ? headers : nullptr;
}

}  // namespace

kafka_record::header_list kafka_record::headers() const {
    header_list all;
    if (const rd_kafka_headers_t* from = headers_of(*this)) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0; rd_kafka_header_get_all(from, i, &name, &value, &size) == 0; ++i)
            all.emplace_back(name, detail::kafka_view(value, size));
    }
    return all;
}

std::optional<std::string_view> kafka_record::header(std::string_view name) const {
    const rd_kafka_headers_t* const from = headers_of(*this);
    const void* value = nullptr;
    std::size_t size = 0;
    if (from == nullptr ||
        rd_kafka_header_get_last(from, std::string(name).c_str(), &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return std::nullopt;
    return detail::kafka_view(value, size);
}

}  // namespace runnel
