#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "runnel/core/error.hpp"
#include "runnel/state/state_backend.hpp"

namespace runnel::tests {

/// Keeps the state of keys that are not in use in plain maps.
class map_backend final : public state_backend {
    using map = std::map<std::string, std::string, std::less<>>;

public:
    explicit map_backend(std::size_t keys_in_memory) : keys_in_memory_(keys_in_memory) {}

    std::unique_ptr<key_store> open(const std::string&, std::size_t) override {
        return std::make_unique<store>(*this);
    }
    std::size_t keys_in_memory() const override { return keys_in_memory_; }

    std::size_t gets = 0, puts = 0;
    /// After so many more calls of any kind, every one fails.
    std::size_t calls_left = static_cast<std::size_t>(-1);
    /// All that is in the newest store.
    const map& held() const { return *newest_; }

private:
    class view final : public key_store_view {
    public:
        explicit view(map all) : all_(std::move(all)) {}
        void for_each(std::string_view first, std::string_view end,
                      const std::function<void(std::string_view, std::string_view)>& f) const override {
            for (auto at = all_.lower_bound(first); at != all_.end() && at->first < end; ++at) f(at->first, at->second);
        }

    private:
        map all_;
    };
    class store final : public key_store {
    public:
        explicit store(map_backend& of) : of_(of) { of_.newest_ = all_; }
        bool get(std::string_view key, std::string& value) override {
            of_.count();
            ++of_.gets;
            const auto at = all_->find(key);
            if (at == all_->end()) return false;
            value = at->second;
            return true;
        }
        void put(std::string_view key, std::string_view value) override {
            of_.count();
            ++of_.puts;
            all_->insert_or_assign(std::string(key), std::string(value));
        }
        void erase(std::string_view key) override {
            of_.count();
            all_->erase(std::string(key));
        }
        bool first(std::string_view from, std::string& key) override {
            of_.count();
            const auto at = all_->lower_bound(from);
            if (at == all_->end()) return false;
            key = at->first;
            return true;
        }
        std::unique_ptr<key_store_view> view() override {
            of_.count();
            return std::make_unique<map_backend::view>(*all_);
        }

    private:
        map_backend& of_;
        std::shared_ptr<map> all_ = std::make_shared<map>();
    };

    void count() {
        if (calls_left == 0) throw state_error("the map has had enough");
        if (calls_left != static_cast<std::size_t>(-1)) --calls_left;
    }

    std::size_t keys_in_memory_;
    std::shared_ptr<const map> newest_ = std::make_shared<const map>();
};

}  // namespace runnel::tests
