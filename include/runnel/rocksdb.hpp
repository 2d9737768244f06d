#pragma once

#include "runnel/connect/rocksdb.hpp"
