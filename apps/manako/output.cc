#include "apps/manako/output.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace manako {
namespace {

// Columns that a terminal takes for UTF-8 text: East Asian characters take two.
size_t Width(const std::string& text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t n = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    width += n >= 3 ? 2 : 1;
    i += n;
  }
  return width;
}

}  // namespace

void PrintTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], Width(row[c]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      line += row[c];
      if (c + 1 < row.size()) line += std::string(widths[c] - Width(row[c]) + 2, ' ');
    }
    fmt::print("{}\n", line);
  }
}

void PrintJson(const nlohmann::json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string ShowTime(int64_t ms) {
  if (ms == 0) return "-";
  const std::time_t time = ms / 1000;
  std::tm local{};
  localtime_r(&time, &local);
  return fmt::format("{:%Y-%m-%d %H:%M}", local);
}

std::string ShowAge(int64_t ms, int64_t now_ms) {
  if (ms == 0) return "-";
  const int64_t seconds = std::abs(now_ms - ms) / 1000;
  const std::string span = seconds < 120       ? fmt::format("{} s", seconds)
                           : seconds < 7200    ? fmt::format("{} min", seconds / 60)
                           : seconds < 172'800 ? fmt::format("{} h", seconds / 3600)
                                               : fmt::format("{} days", seconds / 86'400);
  return ms <= now_ms ? span + " ago" : "in " + span;
}

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace manako
