// The program `runnel`: a look at what jobs leave on disk.
#include <iostream>

#include "commands.hpp"

int main(int argc, char** argv) {
    const int code = runnel::tool::run({argv + (argc == 0 ? 0 : 1), argv + argc},
                                       {RUNNEL_VERSION, runnel::default_file_system(), std::cout, std::cerr});
    std::cout.flush();
    if (std::cout) return code;
    std::cerr << "runnel: the output could not be written\n";
    return runnel::tool::something_is_wrong;
}
