#include <iostream>

#include "runnel/core/batch.hpp"
#include "runnel/core/timestamp.hpp"

int main() {
    runnel::batch<int> numbers(4);
    numbers.append(40, runnel::timestamp(0));
    numbers.append(2, runnel::timestamp(1));
    std::cout << numbers.value(0) + numbers.value(1) << ' ' << to_string(numbers.max_time()) << '\n';
}
