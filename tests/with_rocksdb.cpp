#include <unistd.h>

#include <filesystem>
#include <string>

#include "runnel/connect/rocksdb.hpp"
#include "tests/support/state_under_test.hpp"

namespace runnel::tests {

namespace {

/// One database for all tests that ask for one, which is quicker. Its folder is removed at the end.
class shared_database final : public state_backend {
public:
    static shared_database& get() {
        static shared_database one;
        return one;
    }
    std::unique_ptr<key_store> open(const std::string& operator_name, std::size_t subtask) override {
        return database_->open(operator_name, subtask);
    }
    std::size_t keys_in_memory() const override { return 1; }

private:
    shared_database()
        : folder_((std::filesystem::temp_directory_path() / ("runnel_state_" + std::to_string(::getpid()))).string()),
          database_(rocksdb_state(folder_, {.memory = 8 << 20})),
          keeps_it_open_(database_->open("first", 0)) {}
    ~shared_database() override {
        keeps_it_open_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::string folder_;
    std::shared_ptr<state_backend> database_;
    std::unique_ptr<key_store> keeps_it_open_;
};

class limited final : public state_backend {
public:
    explicit limited(std::size_t keys_in_memory) : keys_in_memory_(keys_in_memory) {}
    std::unique_ptr<key_store> open(const std::string& operator_name, std::size_t subtask) override {
        return shared_database::get().open(operator_name, subtask);
    }
    std::size_t keys_in_memory() const override { return keys_in_memory_; }

private:
    std::size_t keys_in_memory_;
};

}  // namespace

bool has_rocksdb() { return true; }
std::shared_ptr<state_backend> rocksdb_under_test(std::size_t keys_in_memory) {
    return std::make_shared<limited>(keys_in_memory);
}

}  // namespace runnel::tests
