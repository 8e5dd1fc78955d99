// Prometheus' text exposition (format 0.0.4).
#ifndef MANAKO_DASHBOARD_METRICS_TEXT_H_
#define MANAKO_DASHBOARD_METRICS_TEXT_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace manako {

class MetricsText {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;
  // Begins a metric; its samples follow. `type`: gauge, counter.
  void Metric(std::string_view name, std::string_view type, std::string_view help);
  // A value that is no finite number is left out.
  void Sample(double value, const Labels& labels = {});
  const std::string& text() const { return text_; }

 private:
  std::string name_, text_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_METRICS_TEXT_H_
