#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <string>

#include "runnel/sink/sink.hpp"

namespace runnel {

/// See `null_sink`.
class null_recipe {
    template <class T>
    class null final : public sink<T> {
    public:
        std::string name() const override { return "null"; }
        std::unique_ptr<sink_writer<T>> open(const sink_context&) override { return std::make_unique<writer>(); }
        std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }

    private:
        class writer final : public sink_writer<T> {
        public:
            progress write(batch<T>& records) override {
                records.consume_until(records.size());
                return progress::done;
            }
        };
    };

public:
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        return std::make_shared<null<T>>();
    }
};

/// Takes all records and does nothing with them.
inline null_recipe null_sink() { return {}; }

}  // namespace runnel
