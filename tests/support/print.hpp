#pragma once

#include <doctest/doctest.h>

#include "runnel/core/timestamp.hpp"

/// Has doctest show times in the messages of failed checks.
template <>
struct doctest::StringMaker<runnel::timestamp> {
    static String convert(runnel::timestamp t) {
        const std::string text = std::to_string(t.ns()) + " ns";
        return text.c_str();
    }
};
