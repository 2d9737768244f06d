#pragma once

#include "runnel/log/durable_inlet.hpp"
#include "runnel/log/log_error.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/log/log_options.hpp"
#include "runnel/log/log_reader.hpp"
#include "runnel/log/log_record.hpp"
#include "runnel/log/log_repair.hpp"
#include "runnel/log/log_sink.hpp"
#include "runnel/log/log_source.hpp"
#include "runnel/log/log_topic.hpp"
#include "runnel/log/log_writer.hpp"
