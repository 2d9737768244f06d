#include "runnel/plan/graph.hpp"

#include <doctest/doctest.h>

#include <simdjson.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace runnel;
using namespace runnel::plan;

namespace {

/// A graph written by hand; what its nodes do is of no interest.
struct sketch {
    graph g;

    node& at(node_id id) { return g.nodes[id]; }
    node_id source(bool event_time = true, std::size_t splits = 100) {
        node n;
        n.kind = "source";
        n.gives_event_time = event_time;
        n.split_count = [splits] { return splits; };
        n.make_source = [](const source_timing&) { return std::unique_ptr<source_stage_base>(); };
        n.outputs.push_back(&record_type_of<int>());
        return g.add(std::move(n));
    }
    node_id op(std::string kind, const std::vector<node_id>& from, bool by_key = false) {
        return op(std::move(kind), from, by_key ? placement::rule::by_key : placement::rule::forward);
    }
    node_id op(std::string kind, const std::vector<node_id>& from, placement::rule by) {
        node n;
        n.kind = std::move(kind);
        n.make_stage = [](std::function<void()>) { return std::unique_ptr<stage>(); };
        n.outputs.push_back(&record_type_of<int>());
        const node_id id = g.add(std::move(n));
        for (const node_id f : from) g.edges.push_back({f, 0, id, 0, {by, {}}});
        return id;
    }
    node_id sink(const std::vector<node_id>& from, std::size_t max_parallelism = 1) {
        const node_id id = op("sink", from);
        at(id).outputs.clear();
        at(id).is_sink = true;
        at(id).max_parallelism = max_parallelism;
        return id;
    }
    bool has_problem(const std::string& text, std::size_t parallelism = 1) const {
        const auto all = g.validate(parallelism);
        return std::any_of(all.begin(), all.end(), [&](const std::string& p) { return p.find(text) != std::string::npos; });
    }
};

}  // namespace

TEST_CASE("nodes without a name are named by kind and number") {
    sketch s;
    const node_id a = s.source();
    const node_id b = s.op("map, filter", {a});
    CHECK(s.at(a).name == "source_1");
    CHECK(s.at(b).name == "map_filter_2");
    CHECK_FALSE(s.at(a).named);
}

TEST_CASE("a sound graph has no problems") {
    sketch s;
    const node_id window = s.op("window", {s.source()}, true);
    s.at(window).needs_event_time = true;
    s.sink({window});
    CHECK(s.g.validate(1).empty());
    CHECK(s.g.validate(7).empty());
}

TEST_CASE("all problems are reported at once") {
    sketch s;
    const node_id source = s.source(false);
    s.at(source).problems = {"0 splits", "no file"};
    const node_id window = s.op("window", {source}, true);
    s.at(window).needs_event_time = true;
    s.at(window).name = s.at(source).name;
    const node_id sink = s.sink({});
    s.at(sink).parallelism = 0;
    CHECK(s.g.validate(0).size() == 7);
    CHECK(s.has_problem("the parallelism of the job is 0", 0));
    CHECK(s.has_problem("operator 'source_1' (source): 0 splits"));
    CHECK(s.has_problem("operator 'source_1' (source): no file"));
    CHECK(s.has_problem("2 operators are named 'source_1'"));
    CHECK(s.has_problem("(window): it needs event time, but its input has none"));
    CHECK(s.has_problem("(window): its output goes nowhere"));
    CHECK(s.has_problem("operator 'sink_3' (sink): its parallelism is 0"));
}

TEST_CASE("an empty graph and one without a sink are refused") {
    sketch s;
    CHECK(s.has_problem("the pipeline is empty"));
    s.source();
    CHECK(s.has_problem("the pipeline has no sink"));
    CHECK_FALSE(s.has_problem("the pipeline is empty"));
}

TEST_CASE("more subtasks than an operator can have are refused, if asked for by name") {
    sketch s;
    const node_id sink = s.sink({s.source()}, 2);
    CHECK(s.g.validate(8).empty());
    s.at(sink).parallelism = 3;
    CHECK(s.has_problem("its parallelism is 3, but it can run in 2 at most"));
}

TEST_CASE("more subtasks than a source has splits are refused, if asked for by name") {
    sketch s;
    const node_id source = s.source(true, 2);
    s.sink({source});
    CHECK(s.g.validate(8).empty());
    s.at(source).parallelism = 2;
    CHECK(s.g.validate(1).empty());
    s.at(source).parallelism = 3;
    CHECK(s.has_problem("its parallelism is 3, but it has 2 splits to read in parallel"));
    s.at(source).split_count = []() -> std::size_t { throw std::runtime_error("no such folder"); };
    CHECK(s.g.validate(1).empty());  // Whatever is wrong is said when it is opened.
}

TEST_CASE("more subtasks than key groups are refused, if asked for by name") {
    sketch s;
    const node_id source = s.source(true, 9);
    const node_id keyed = s.op("window", {source}, true);
    s.sink({keyed});
    s.at(keyed).parallelism = 9;
    CHECK(s.g.validate(1, 9).empty());
    CHECK(s.g.validate(9, 8).size() == 1);
    CHECK(s.g.validate(9, 8)[0] ==
          "operator 'window_2' (window): its parallelism is 9, but there are only 8 key groups to share. Use at most 8, "
          "or more key_groups.");
    const node_id map = s.op("map", {source}, placement::rule::rebalance);
    s.sink({map});
    s.at(map).parallelism = 9;
    CHECK(s.g.validate(9, 8).size() == 1);
}

TEST_CASE("an operator with more subtasks than feed it is refused, unless records are placed anew") {
    sketch s;
    const node_id source = s.source(true, 2);
    const node_id map = s.op("map", {source});
    s.sink({map});
    s.at(map).parallelism = 5;
    CHECK(s.g.validate(2).size() == 1);
    CHECK(s.has_problem("its records come from 2 subtasks, so that 3 would have nothing to do", 2));
    CHECK(s.has_problem("its records come from 1 subtask, so that 4 would have nothing to do", 1));
    s.at(map).parallelism = 1;
    CHECK(s.g.validate(2).empty());
    s.at(map).parallelism = 5;
    s.g.edges[0].place.by = placement::rule::rebalance;
    CHECK(s.g.validate(2).empty());
}

TEST_CASE("records that cannot be copied cannot go to two places") {
    sketch s;
    const node_id source = s.source();
    s.at(source).outputs = {&record_type_of<std::unique_ptr<int>>()};
    s.sink({source});
    CHECK(s.g.validate(1).empty());
    s.sink({source});
    CHECK(s.has_problem("cannot be copied"));
}

TEST_CASE("a merged stream has event time only if all of its sources give it") {
    sketch s;
    const node_id with = s.source(true);
    const node_id without = s.source(false);
    const node_id good = s.op("map", {with, with});
    const node_id bad = s.op("map", {with, s.op("map", {without})});
    CHECK(s.g.has_event_time(good));
    CHECK_FALSE(s.g.has_event_time(bad));
    CHECK_FALSE(s.g.has_event_time(without));
}

TEST_CASE("parallelism: a source has no more than its splits, a keyed operator the job's, others that of their inputs") {
    sketch s;
    const node_id few = s.source(true, 2);
    const node_id many = s.source(true, 50);
    const node_id broken = s.source();
    s.at(broken).split_count = []() -> std::size_t { throw std::runtime_error("no such folder"); };
    const node_id none = s.source(true, 0);
    const node_id map = s.op("map", {few});
    const node_id merged = s.op("map", {few, many});
    const node_id keyed = s.op("window", {few}, true);
    const node_id after = s.op("map", {keyed});
    const node_id sink = s.sink({after});
    auto of = [&](node_id id) { return s.g.parallelism_of(id, 8); };
    CHECK(of(few) == 2);
    CHECK(of(many) == 8);
    CHECK(of(broken) == 1);
    CHECK(of(none) == 1);
    CHECK(of(map) == 2);
    CHECK(of(merged) == 8);
    CHECK(of(keyed) == 8);
    CHECK(of(after) == 8);
    CHECK(of(sink) == 1);
    s.at(map).parallelism = 5;
    CHECK(of(map) == 5);
}

TEST_CASE("an operator whose records are placed anew has the job's parallelism, and is chained only to a lone one") {
    using rule = placement::rule;
    for (const rule by : {rule::by_key, rule::rebalance, rule::broadcast, rule::custom}) {
        sketch s;
        const node_id source = s.source(true, 2);
        const node_id placed = s.op("map", {source}, by);
        const node_id merged = s.op("map", {source});
        s.g.edges.push_back({source, 0, merged, 0, {by, {}}});
        const edge& e = *s.g.inputs_of(placed)[0];
        CHECK(s.g.parallelism_of(placed, 5) == 5);
        CHECK(s.g.parallelism_of(merged, 5) == 5);
        CHECK_FALSE(s.g.is_chained(e, 5));
        CHECK_FALSE(s.g.is_chained(e, 2));
        CHECK(s.g.is_chained(e, 1));
        for (std::size_t i = 0; i < 2; ++i)
            for (std::size_t k = 0; k < 5; ++k) CHECK(s.g.connects(e, i, k, 5));
        CHECK(s.g.describe(2).find("<- source_1 [" + std::string(e.place.text()) + "]") != std::string::npos);
    }
}

TEST_CASE("parallelism stays as it is once settled, though the splits become more") {
    sketch s;
    std::size_t splits = 2;
    const node_id source = s.source();
    s.at(source).split_count = [&] { return splits; };
    const node_id map = s.op("map", {source});
    s.g.settle_parallelism(4);
    splits = 4;
    CHECK(s.g.parallelism_of(source, 4) == 2);
    CHECK(s.g.parallelism_of(map, 4) == 2);
}

TEST_CASE("two ends are chained if they have the same subtasks and nothing else comes in") {
    sketch s;
    const node_id source = s.source(true, 3);
    const node_id map = s.op("map", {source});
    const node_id keyed = s.op("window", {map}, true);
    const node_id merged = s.op("map", {keyed, map});
    const node_id sink = s.sink({merged});
    auto chained = [&](node_id to, std::size_t parallelism) {
        return s.g.is_chained(*s.g.inputs_of(to)[0], parallelism);
    };
    CHECK(chained(map, 1));
    CHECK(chained(map, 8));
    CHECK(chained(keyed, 1));
    CHECK_FALSE(chained(keyed, 3));  // By key: records change their subtask.
    CHECK_FALSE(chained(merged, 1));
    CHECK(chained(sink, 1));
    CHECK_FALSE(chained(sink, 3));
}

TEST_CASE("without a key every subtask sends to one place, and every subtask that receives has a sender") {
    for (std::size_t from = 1; from <= 6; ++from)
        for (std::size_t to = 1; to <= from; ++to) {
            CAPTURE(from);
            CAPTURE(to);
            sketch s;
            const node_id source = s.source();
            s.at(source).parallelism = from;
            const node_id map = s.op("map", {source});
            s.at(map).parallelism = to;
            const edge& e = *s.g.inputs_of(map)[0];
            for (std::size_t k = 0; k < to; ++k) {
                std::size_t senders = 0;
                for (std::size_t i = 0; i < from; ++i) senders += s.g.connects(e, i, k, 6);
                CHECK(senders >= 1);
            }
            for (std::size_t i = 0; i < from; ++i) {
                std::size_t receivers = 0;
                for (std::size_t k = 0; k < to; ++k) receivers += s.g.connects(e, i, k, 6);
                CHECK(receivers == 1);
            }
        }
}

TEST_CASE("a graph with more paths than anyone could walk is looked at in no time") {
    sketch s;
    node_id last = s.source();
    for (int i = 0; i < 100; ++i) last = s.op("map", {s.op("map", {last}), s.op("filter", {last})});
    s.at(last).needs_event_time = true;
    s.sink({last});
    CHECK(s.g.validate(4).empty());
    CHECK(s.g.parallelism_of(last, 4) == 4);
    CHECK(s.g.describe(4).size() > 1000);
}

TEST_CASE("describe: one line per operator, with what feeds it and how") {
    sketch s;
    s.g.name = "clicks";
    const node_id source = s.source(true, 4);
    s.at(source).detail = "collection";
    const node_id map = s.op("map, filter", {source});
    const node_id window = s.op("window", {map}, true);
    s.at(window).name = "per user";
    s.at(window).outputs.push_back(&record_type_of<int>());
    s.sink({window});
    const node_id late = s.sink({window});
    s.g.edges.back().from_port = 1;
    s.at(late).name = "late";
    CHECK(s.g.describe(1) ==
          "pipeline 'clicks'\n"
          "  source_1: source (collection) x1\n"
          "  map_filter_2: map, filter x1 <- source_1 [chained]\n"
          "  per user: window x1 <- map_filter_2 [chained]\n"
          "  sink_4: sink x1 <- per user [chained]\n"
          "  late: sink x1 <- per user side output 1 [chained]\n");
    CHECK(s.g.describe(2) ==
          "pipeline 'clicks'\n"
          "  source_1: source (collection) x2\n"
          "  map_filter_2: map, filter x2 <- source_1 [chained]\n"
          "  per user: window x2 <- map_filter_2 [by key]\n"
          "  sink_4: sink x1 <- per user [gathered]\n"
          "  late: sink x1 <- per user side output 1 [gathered]\n");
}

TEST_CASE("describe_json: all that describe says, for programs") {
    sketch s;
    s.g.name = "clicks";
    const node_id source = s.source(true, 4);
    s.at(source).detail = "collection";
    const node_id window = s.op("window", {source}, true);
    s.at(window).name = "per user";
    s.at(window).outputs.push_back(&record_type_of<int>());
    s.sink({window});
    s.g.edges.back().from_port = 1;
    CHECK(s.g.describe_json(2) ==
          R"({"pipeline":"clicks","parallelism":2,"operators":[)"
          R"({"id":0,"name":"source_1","kind":"source","detail":"collection","parallelism":2,"inputs":[]},)"
          R"({"id":1,"name":"per user","kind":"window","detail":"","parallelism":2,"inputs":[)"
          R"({"from":0,"output":0,"input":0,"placed":"by key"}]},)"
          R"({"id":2,"name":"sink_3","kind":"sink","detail":"","parallelism":1,"inputs":[)"
          R"({"from":1,"output":1,"input":0,"placed":"gathered"}]}]})");
}

TEST_CASE("describe_json is JSON whatever the names are") {
    std::string every_byte;
    for (int c = 0; c < 256; ++c) every_byte += static_cast<char>(c);
    for (const std::string& text : {std::string("plain"), std::string("quoted \"name\" \\ \n"), every_byte,
                                    std::string("cut off \xE2\x82"), std::string("\xF0\x9F\x9A\x80 \0 zero", 12)}) {
        sketch s;
        s.g.name = text;
        const node_id source = s.source();
        s.at(source).name = text;
        s.at(source).detail = text;
        s.at(s.op("map", {source, source})).kind = text;
        simdjson::dom::parser parser;
        const simdjson::dom::element parsed = parser.parse(s.g.describe_json(3));
        const simdjson::dom::array operators = parsed["operators"];
        CHECK(operators.size() == 2);
        const std::string_view name = parsed["pipeline"];
        CHECK(std::string_view(operators.at(0)["name"]) == name);
        CHECK(std::string_view(operators.at(0)["detail"]) == name);
        CHECK(std::string_view(operators.at(1)["kind"]) == name);
        CHECK(simdjson::dom::array(operators.at(1)["inputs"]).size() == 2);
        if (text == "plain" || text[0] == 'q') CHECK(name == text);
    }
    simdjson::dom::parser parser;
    const simdjson::dom::element empty = parser.parse(graph().describe_json());
    CHECK(simdjson::dom::array(empty["operators"]).size() == 0);
}

TEST_CASE("dot: a digraph whose labels are quoted") {
    sketch s;
    s.g.name = "a \"quoted\" name";
    s.sink({s.source()});
    CHECK(s.g.dot() ==
          "digraph \"a \\\"quoted\\\" name\" {\n"
          "  rankdir=LR;\n"
          "  node [shape=box];\n"
          "  n0 [label=\"source_1\\nsource x1\"];\n"
          "  n1 [label=\"sink_2\\nsink x1\"];\n"
          "  n0 -> n1 [label=\"chained\"];\n"
          "}\n");
}
