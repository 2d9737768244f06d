#pragma once

#include "runnel/codec/avro.hpp"
#include "runnel/connect/kafka_avro.hpp"
#include "runnel/connect/kafka_options.hpp"
#include "runnel/connect/kafka_output.hpp"
#include "runnel/connect/kafka_record.hpp"
#include "runnel/connect/kafka_sink.hpp"
#include "runnel/connect/kafka_source.hpp"
#include "runnel/connect/kafka_source_options.hpp"
#include "runnel/connect/kafka_values.hpp"
#include "runnel/connect/schema_registry.hpp"
