#include "kafka_input.hpp"

#include <algorithm>
#include <charconv>
#include <regex>
#include <utility>

#include "quiet_thread.hpp"

namespace runnel::detail {

namespace {

/// How long to wait for brokers where waiting holds others up.
constexpr std::chrono::milliseconds patience{1000};
/// Fewer bytes than this are not worth a fetch.
constexpr std::size_t smallest_queue = 64 * 1024;

/// Stands for "the first" and "the end" where Kafka's ListOffsets takes a time.
constexpr std::int64_t first_offset = -2;
constexpr std::int64_t end_offset = -1;

kafka_offsets list_of(const std::vector<kafka_partition>& partitions) {
    kafka_offsets list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const kafka_partition& p : partitions)
        rd_kafka_topic_partition_list_add(list.get(), p.topic.c_str(), p.number);
    return list;
}

/// Bytes of a partition's queue: each has one of its own.
std::size_t queue_bytes_of(const kafka_source_options& options, std::size_t partitions) {
    constexpr std::size_t largest = std::size_t{2'000'000} * 1024;  // of what librdkafka takes
    return std::clamp(options.queue_bytes / std::max<std::size_t>(1, partitions), smallest_queue, largest);
}

kafka_settings defaults_of(const kafka_source_options& options, std::size_t partitions) {
    // One half for the records' bytes, the other for what they are held by.
    const std::size_t half = queue_bytes_of(options, partitions) / 2;
    kafka_settings s{
        {"queued.max.messages.kbytes", std::to_string(half / 1024)},
        {"queued.min.messages", std::to_string(half / kafka_record_overhead)},
        // While a broker is asked for the partitions that have room, it is not asked for another one that has become
        // empty meanwhile: an answer without records must not take long.
        {"fetch.wait.max.ms", "20"},
        {"check.crcs", "true"},
    };
    // How long it takes to see that a queue that was full has room again; see kafka_partition_reader for versions that
    // do not have the setting.
    const kafka_conf probe(rd_kafka_conf_new());
    if (rd_kafka_conf_set(probe.get(), "fetch.queue.backoff.ms", "1", nullptr, 0) == RD_KAFKA_CONF_OK)
        s["fetch.queue.backoff.ms"] = "1";
    return s;
}

kafka_settings fixed_of(const kafka_source_options& options) {
    return {
        {"auto.offset.reset", "error"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"isolation.level", options.read_uncommitted ? "read_uncommitted" : "read_committed"},
        {"enable.partition.eof", options.until.what() == kafka_end::kind::never ? "false" : "true"},
        {"group.id", options.group},
    };
}

}  // namespace

std::string kafka_split_id(const kafka_partition& p) { return kafka_place(p.topic, p.number); }

kafka_partition kafka_partition_of(const std::string& id) {
    const std::size_t slash = id.rfind('/');
    kafka_partition p;
    if (slash != id.npos) {
        const char* const end = id.data() + id.size();
        const auto read = std::from_chars(id.data() + slash + 1, end, p.number);
        p.topic = id.substr(0, slash);
        if (read.ec == std::errc() && read.ptr == end && !p.topic.empty()) return p;
    }
    throw error("\"" + id + "\" is no partition of a topic. The state was saved by another source: give the new one "
                "another name.");
}

// A position is the offset of the next record in decimal digits; if reading ends, then a slash and the end's offset.

std::string encode_kafka_range(const kafka_range& p) {
    return std::to_string(p.next) + (p.end ? "/" + std::to_string(*p.end) : "");
}

kafka_range decode_kafka_range(const std::string& text) {
    kafka_range p;
    const char* const end = text.data() + text.size();
    auto read = std::from_chars(text.data(), end, p.next);
    if (read.ec == std::errc() && read.ptr != end && *read.ptr == '/') {
        p.end = 0;
        read = std::from_chars(read.ptr + 1, end, *p.end);
    }
    if (read.ec != std::errc() || read.ptr != end)
        throw error("\"" + text + "\" is no position in a topic. The state was saved by another source: give the new "
                    "one another name.");
    return p;
}

kafka_session::kafka_session(kafka_input& of, const kafka_cluster& cluster, const kafka_source_options& options,
                             std::size_t partitions)
    : input_(of), client_(RD_KAFKA_CONSUMER, cluster, defaults_of(options, partitions), fixed_of(options)),
      discovery_(options.discovery), queue_bytes_(queue_bytes_of(options, partitions)),
      events_(rd_kafka_queue_get_main(client_.get())) {
    thread_ = start_quiet_thread([this] { serve(); });
}

kafka_session::~kafka_session() {
    stopping_.store(true, std::memory_order_release);
    rd_kafka_queue_yield(events_.get());
    thread_.join();
}

std::shared_ptr<std::atomic<std::int64_t>> kafka_session::progress_of(const kafka_partition& p) {
    auto made = std::make_shared<std::atomic<std::int64_t>>(0);
    std::lock_guard lock(mutex_);
    progress_[p] = made;
    return made;
}

source_condition kafka_session::condition() {
    source_condition c{.trouble = client_.trouble(), .lag = 0};
    std::lock_guard lock(mutex_);
    if (c.trouble.empty()) c.trouble = lost_;
    for (const auto& [partition, at] : progress_) {
        const auto next = at.lock();
        std::int64_t low = 0;
        std::int64_t high = 0;
        // What the last fetch has told.
        if (!next || rd_kafka_get_watermark_offsets(client_.get(), partition.topic.c_str(), partition.number, &low,
                                                    &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        // Pairs with nothing: a recent value will do.
        const std::int64_t rest = high - next->load(std::memory_order_relaxed);
        const auto lag = static_cast<std::uint64_t>(std::max<std::int64_t>(0, rest));
        *c.lag += lag;
        c.lag_by_split[kafka_split_id(partition)] = lag;
    }
    return c;
}

void kafka_session::serve() {
    using clock = std::chrono::steady_clock;
    clock::time_point discovers_at = clock::now() + discovery_;
    while (!stopping_.load(std::memory_order_acquire)) {
        const bool discovers = discovery_.count() > 0 && is_watched();
        std::chrono::milliseconds wait = patience;
        if (discovers)
            wait = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(discovers_at - clock::now()), {}, patience);
        rd_kafka_poll(client_.get(), static_cast<int>(wait.count()));
        if (stopping_.load(std::memory_order_acquire)) return;
        const bool due = discovers && clock::now() >= discovers_at;
        if (!due && client_.trouble().empty()) continue;
        try {
            if (!due) (void)input_.find(client_, patience);  // That brokers are back shows when one answers.
            else if (input_.discover(client_)) wake_watches();
        } catch (const kafka_error& e) {
            // That a topic has been deleted librdkafka does not tell by itself; what is wrong with brokers it does.
            if (!is_kafka_silence(e.reason()) || client_.trouble().empty()) client_.set_trouble(e.what());
        }
        if (due) discovers_at = clock::now() + discovery_;
    }
}

std::string kafka_input::name() const {
    std::string text = topics_.is_pattern() ? "kafka topics like" : "kafka";
    for (const std::string& n : topics_.names()) text += " " + n;
    return text;
}

std::vector<std::string> kafka_input::problems() const {
    std::vector<std::string> found;
    const auto add = [&](const std::string& p) { found.push_back(name() + ": " + p); };
    for (const std::string& p : kafka_problems(cluster_, defaults_of(options_, 1), fixed_of(options_))) add(p);
    if (topics_.names().empty()) add("no topic is named. Name at least one");
    for (const std::string& n : topics_.names())
        if (n.empty()) add("the name of a topic is empty. Give its name");
    if (topics_.is_pattern()) {
        try {
            (void)std::regex(topics_.names()[0]);
        } catch (const std::regex_error& e) {
            add(std::string("the pattern is no regular expression: ") + e.what());
        }
    }
    if (options_.from.what() == kafka_start::kind::committed && options_.group.empty())
        add("to begin with what was committed, name the group that has committed it");
    for (const auto* at : {&options_.from.at_offsets(), &options_.until.at_offsets()})
        for (const auto& [partition, offset] : *at)
            if (offset < 0)
                add("offset " + std::to_string(offset) + " of " + kafka_split_id(partition) + " is below 0");
    return found;
}

std::vector<std::string> kafka_input::splits() {
    std::lock_guard lock(mutex_);
    if (!is_fresh_ && !is_connected()) {
        kafka_client client(RD_KAFKA_CONSUMER, cluster_, defaults_of(options_, 1), fixed_of(options_));
        const std::vector<kafka_partition> found = find(client, cluster_.timeout);
        // What was known keeps its place.
        const auto is_in = [](const std::vector<kafka_partition>& list, const kafka_partition& p) {
            return std::find(list.begin(), list.end(), p) != list.end();
        };
        std::erase_if(partitions_, [&](const kafka_partition& p) { return !is_in(found, p); });
        for (const kafka_partition& p : found)
            if (!is_in(partitions_, p)) partitions_.push_back(p);
        is_fresh_ = true;
    }
    std::vector<std::string> ids;
    for (const kafka_partition& p : partitions_) ids.push_back(kafka_split_id(p));
    return ids;
}

std::vector<std::string> kafka_input::splits_from(std::size_t known) const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> ids;
    for (; known < partitions_.size(); ++known) ids.push_back(kafka_split_id(partitions_[known]));
    return ids;
}

std::vector<kafka_partition> kafka_input::find(kafka_client& client, std::chrono::milliseconds timeout) const {
    std::vector<kafka_partition> found;
    const auto add = [&](const kafka_client::topic_partitions& t) {
        client.check("read topic \"" + t.topic + "\"", t.failure);
        for (const std::int32_t p : t.partitions) found.push_back({t.topic, p});
    };
    if (topics_.is_pattern()) {
        const std::regex fits(topics_.names()[0]);
        for (const auto& t : client.topics(nullptr, timeout))
            if (!t.topic.starts_with("__") && std::regex_match(t.topic, fits)) add(t);
    } else {
        for (const std::string& name : topics_.names()) add(client.topics(&name, timeout).at(0));
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

bool kafka_input::discover(kafka_client& client) {
    const std::vector<kafka_partition> found = find(client, patience);
    std::lock_guard lock(mutex_);
    const std::size_t before = partitions_.size();
    for (const kafka_partition& p : found)
        if (std::find(partitions_.begin(), partitions_.end(), p) == partitions_.end()) partitions_.push_back(p);
    return partitions_.size() != before;
}

std::shared_ptr<kafka_session> kafka_input::session() {
    std::lock_guard lock(mutex_);
    is_fresh_ = false;
    std::lock_guard session_lock(session_mutex_);
    if (auto there = session_.lock()) return there;
    auto made = std::make_shared<kafka_session>(*this, cluster_, options_, partitions_.size());
    session_ = made;
    return made;
}

std::vector<std::int64_t> kafka_input::at_times(kafka_session& s, const std::vector<kafka_partition>& partitions,
                                                std::int64_t time) const {
    const kafka_offsets list = list_of(partitions);
    for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = time;
    kafka_client& client = s.client();
    const auto end = std::chrono::steady_clock::now() + cluster_.timeout;
    for (;;) {
        const rd_kafka_resp_err_t failure =
            rd_kafka_offsets_for_times(client.get(), list.get(), client.timeout_ms());
        const auto moves = [](const rd_kafka_topic_partition_t& p) { return kafka_leader_moves(p.err); };
        const bool again = kafka_leader_moves(failure) || std::any_of(list->elems, list->elems + list->cnt, moves);
        if (!again || std::chrono::steady_clock::now() >= end) {
            client.check("find offsets of " + name(), failure);
            break;
        }
        rd_kafka_poll(client.get(), 50);
        for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = time;
    }
    std::vector<std::int64_t> offsets;
    for (int i = 0; i < list->cnt; ++i) {
        const rd_kafka_topic_partition_t& p = list->elems[i];
        client.check("find an offset of " + kafka_place(p.topic, p.partition), p.err);
        offsets.push_back(p.offset);
    }
    return offsets;
}

std::vector<std::int64_t> kafka_input::committed(kafka_session& s,
                                                 const std::vector<kafka_partition>& partitions) const {
    const kafka_offsets list = list_of(partitions);
    kafka_client& client = s.client();
    client.check("read what group \"" + options_.group + "\" has committed",
                 client.committed(list.get(), client.cluster().timeout));
    std::vector<std::int64_t> offsets;
    for (int i = 0; i < list->cnt; ++i) {
        const rd_kafka_topic_partition_t& p = list->elems[i];
        client.check("read what was committed of " + kafka_place(p.topic, p.partition), p.err);
        offsets.push_back(p.offset);
    }
    return offsets;
}

std::vector<kafka_range> kafka_input::resolve(kafka_session& s, const std::vector<kafka_partition>& partitions) const {
    using kind = kafka_start::kind;
    const kafka_start& from = options_.from;
    std::vector<kafka_range> ranges(partitions.size());
    // Those of which nothing else is known begin here.
    const bool at_end = from.what() == kind::latest || from.otherwise() == kind::latest || from.what() == kind::time;
    const std::vector<std::int64_t> otherwise = at_times(s, partitions, at_end ? end_offset : first_offset);
    std::vector<std::int64_t> known(partitions.size(), end_offset);
    if (from.what() == kind::time) {
        const auto ms = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds(from.at().ns())).count();
        known = at_times(s, partitions, std::max<std::int64_t>(0, ms));
    } else if (from.what() == kind::committed) {
        known = committed(s, partitions);
    }
    for (std::size_t i = 0; i != partitions.size(); ++i) {
        if (const auto at = from.at_offsets().find(partitions[i]); at != from.at_offsets().end()) known[i] = at->second;
        ranges[i].next = known[i] >= 0 ? known[i] : otherwise[i];
        ranges[i].is_first = known[i] < 0 && !at_end;
    }
    if (options_.until.what() == kafka_end::kind::latest) {
        const std::vector<std::int64_t> ends = at_times(s, partitions, end_offset);
        for (std::size_t i = 0; i != partitions.size(); ++i) ranges[i].end = ends[i];
    } else if (options_.until.what() == kafka_end::kind::offsets) {
        for (std::size_t i = 0; i != partitions.size(); ++i) {
            const auto at = options_.until.at_offsets().find(partitions[i]);
            ranges[i].end = at == options_.until.at_offsets().end() ? ranges[i].next : at->second;
        }
    }
    return ranges;
}

kafka_range kafka_input::range_of(kafka_session& s, const kafka_partition& p) {
    std::lock_guard lock(mutex_);
    if (!ranges_.contains(p)) {
        std::vector<kafka_partition> missing;
        for (const kafka_partition& q : partitions_)
            if (!ranges_.contains(q)) missing.push_back(q);
        if (std::find(missing.begin(), missing.end(), p) == missing.end()) missing.push_back(p);
        const std::vector<kafka_range> found = resolve(s, missing);
        for (std::size_t i = 0; i != missing.size(); ++i) ranges_[missing[i]] = found[i];
    }
    return ranges_.at(p);
}

kafka_range kafka_input::beginning_of(kafka_session& s, const kafka_partition& p) {
    return {.next = at_times(s, {p}, first_offset).at(0), .is_first = true};
}

std::pair<std::int64_t, std::int64_t> kafka_input::bounds_of(kafka_session& s, const kafka_partition& p) const {
    return {at_times(s, {p}, first_offset).at(0), at_times(s, {p}, end_offset).at(0)};
}

std::optional<std::int64_t> kafka_input::end_of(kafka_session& s, const kafka_partition& p) {
    if (options_.until.what() == kafka_end::kind::never) return std::nullopt;
    return range_of(s, p).end;
}

bool kafka_input::is_connected() const {
    std::lock_guard lock(session_mutex_);
    return !session_.expired();
}

source_condition kafka_input::condition() const {
    std::shared_ptr<kafka_session> s;
    {
        std::lock_guard lock(session_mutex_);
        s = session_.lock();
    }
    return s ? s->condition() : source_condition();
}

void kafka_input::passed(const std::vector<split_position>& positions) {
    if (options_.group.empty() || positions.empty()) return;
    // Others may look at it, but no result depends on it: what fails now is made up for by the next one.
    try {
        const bool is_read = is_connected();
        const std::shared_ptr<kafka_session> s = session();
        const kafka_offsets list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
        for (const split_position& p : positions) {
            const kafka_partition partition = kafka_partition_of(p.id);
            rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.number)->offset =
                decode_kafka_range(p.position).next;
        }
        rd_kafka_t* const handle = s->client().get();
        if (is_read) {
            s->client().check("commit", rd_kafka_commit(handle, list.get(), 1));
            return;
        }
        // The last one: there is nobody behind whose back it can be done.
        const kafka_queue answers(rd_kafka_queue_new(handle));
        s->client().check("commit", rd_kafka_commit_queue(handle, list.get(), answers.get(), nullptr, nullptr));
        const kafka_event done(rd_kafka_queue_poll(answers.get(), s->client().timeout_ms()));
    } catch (const kafka_error&) {
    }
}

}  // namespace runnel::detail
