#include "runnel/state/table.hpp"

#include <algorithm>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace runnel::detail {

namespace {

constexpr std::size_t huge_page = 2 * 1024 * 1024;

/// Below, rounding to whole huge pages would cost more memory than it saves time.
std::align_val_t alignment_for(std::size_t bytes, std::size_t alignment) noexcept {
    return std::align_val_t(bytes >= 2 * huge_page ? std::max(huge_page, alignment) : alignment);
}

}  // namespace

void* allocate_table_memory(std::size_t bytes, std::size_t alignment) {
    void* memory = ::operator new(bytes, alignment_for(bytes, alignment));
#if defined(__linux__)
    // Only advice: when the system declines, everything works on small pages.
    if (bytes >= 2 * huge_page) ::madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return memory;
}

void free_table_memory(void* memory, std::size_t bytes, std::size_t alignment) noexcept {
    ::operator delete(memory, alignment_for(bytes, alignment));
}

}  // namespace runnel::detail
