#pragma once

#include "runnel/connect/sqlite.hpp"
