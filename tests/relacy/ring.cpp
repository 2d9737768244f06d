// Model of the ring: what goes in comes out, once, in order, and no slot is touched by both sides at once.

#include "relacy_atomics.hpp"

#include "runnel/exchange/ring.hpp"

namespace {

using ring = runnel::spsc_ring<int, model::relacy_atomics>;

/// A producer and a consumer on a ring that is much smaller than what goes through it.
template <int Capacity, int Items>
struct passes_in_order : rl::test_suite<passes_in_order<Capacity, Items>, 2> {
    std::unique_ptr<ring> between;

    void before() { between = std::make_unique<ring>(Capacity); }
    void after() { RL_ASSERT(between->empty()); }
    void thread(unsigned index) {
        if (index == 0) {
            for (int i = 1; i <= Items;) {
                int value = i;
                if (between->try_push(value)) ++i;
                else model::yield();
            }
        } else {
            for (int i = 1; i <= Items;) {
                int value = 0;
                if (between->try_pop(value)) RL_ASSERT(value == i++);
                else model::yield();
            }
        }
    }
};

/// A bystander asks for the size: never more than ever went in.
struct size_is_sane : rl::test_suite<size_is_sane, 3> {
    std::unique_ptr<ring> between;

    void before() { between = std::make_unique<ring>(4); }
    void thread(unsigned index) {
        int value = 1;
        if (index == 0) {
            RL_ASSERT(between->try_push(value));
        } else if (index == 1) {
            between->try_pop(value);
        } else {
            RL_ASSERT(between->size() <= 1);
        }
    }
};

}  // namespace

int main(int argc, char** argv) {
    model::driver driver(argc, argv);
    driver.add<passes_in_order<1, 4>>("ring of 1");
    driver.add<passes_in_order<2, 5>>("ring of 2");
    driver.add<passes_in_order<3, 6>>("ring of 3, in 4 slots");
    driver.add<size_is_sane>("size");
    return driver.check();
}
