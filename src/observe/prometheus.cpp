#include "runnel/observe/prometheus.hpp"

#include "numbers.hpp"
#include "runnel/codec/utf8.hpp"
#include "runnel/observe/metric.hpp"

namespace runnel::observe {
namespace {

/// In a label's value backslash, quote and line feed are escaped; what is no UTF-8 becomes the replacement character.
void append_label_value(std::string& out, std::string_view text) {
    while (!text.empty()) {
        const std::size_t valid = valid_utf8_prefix(text);
        for (char c : text.substr(0, valid)) {
            if (c == '\\') out += "\\\\";
            else if (c == '"') out += "\\\"";
            else if (c == '\n') out += "\\n";
            else out += c;
        }
        text.remove_prefix(valid);
        if (text.empty()) break;
        out += "\xEF\xBF\xBD";
        text.remove_prefix(1);
    }
}

std::string labels_of(const metric& m) {
    std::string text;
    for (const auto& [name, value] : m.labels) {
        if (!text.empty()) text += ',';
        text += name;
        text += "=\"";
        append_label_value(text, value);
        text += '"';
    }
    return text;
}

class writer {
public:
    void show(const metric& m) {
        if (m.name != last_) head(m);
        const std::string labels = labels_of(m);
        if (m.kind == metric_kind::histogram) return histogram(m, labels);
        sample(m.name, "", labels, m.value);
    }
    std::string take() { return std::move(out_); }

private:
    void head(const metric& m) {
        last_ = m.name;
        out_ += "# HELP ";
        out_ += m.name;
        out_ += ' ';
        out_ += m.help;
        out_ += "\n# TYPE ";
        out_ += m.name;
        switch (m.kind) {
            case metric_kind::counter: out_ += " counter\n"; return;
            case metric_kind::gauge: out_ += " gauge\n"; return;
            case metric_kind::histogram: out_ += " histogram\n"; return;
        }
    }
    void sample(std::string_view name, std::string_view suffix, const std::string& labels, double value) {
        out_ += name;
        out_ += suffix;
        out_ += '{';
        out_ += labels;
        out_ += "} ";
        detail::append_number(out_, value);
        out_ += '\n';
    }
    void histogram(const metric& m, const std::string& labels) {
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i <= duration_counts::bound_count; ++i) {
            seen += m.counts->counts[i];
            std::string bounded = labels + ",le=\"";
            if (i == duration_counts::bound_count) bounded += "+Inf";
            else detail::append_number(bounded, std::chrono::duration<double>(duration_counts::bound(i)).count());
            sample(m.name, "_bucket", bounded += '"', static_cast<double>(seen));
        }
        sample(m.name, "_sum", labels, std::chrono::duration<double>(m.counts->sum).count());
        sample(m.name, "_count", labels, static_cast<double>(seen));
    }

    std::string out_;
    std::string_view last_;
};

}  // namespace

std::string to_prometheus(const std::vector<job_status>& jobs) {
    writer w;
    visit_metrics(jobs, [&](const metric& m) { w.show(m); });
    return w.take();
}

}  // namespace runnel::observe
