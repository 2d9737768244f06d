#pragma once

#include "runnel/observe/job_list.hpp"
#include "runnel/observe/live_page.hpp"
#include "runnel/observe/metric.hpp"
#include "runnel/observe/prometheus.hpp"
#include "runnel/observe/statsd.hpp"
