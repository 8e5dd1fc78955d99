// Chromium, driven through its debugging pipe: what a person at the page does and sees.
#ifndef MANAKO_DASHBOARD_TESTING_BROWSER_H_
#define MANAKO_DASHBOARD_TESTING_BROWSER_H_

#include <sys/types.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace manako {

inline constexpr char kChromium[] = "/usr/bin/chromium";

class Browser {
 public:
  // `profile` is an empty folder for its files. Null when it does not start.
  static std::unique_ptr<Browser> Start(const std::string& profile);
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void Open(const std::string& url);
  void SetSize(int width, int height);
  // The value of an expression, awaited; null when it throws (the reason is in console()).
  nlohmann::json Evaluate(const std::string& expression);
  // True once the expression is.
  bool WaitFor(const std::string& expression, int timeout_ms = 30'000);
  // Clicks the button or link that has exactly this text, when it is there.
  bool Click(const std::string& text);
  // Types into the field with this name.
  bool Type(const std::string& name, const std::string& text);
  // Presses a key on what has the focus.
  void Press(const std::string& key);
  // Downloads go into this folder from now on, under the names that the page gives them.
  void SaveDownloadsTo(const std::string& folder);
  // The whole page as PNG into a file.
  void Screenshot(const std::string& path);
  // What scripts and the browser complained about.
  const std::vector<std::string>& console() const { return console_; }
  void ClearConsole() { console_.clear(); }

 private:
  Browser(pid_t pid, int to, int from) : pid_(pid), to_(to), from_(from) {}
  nlohmann::json Call(const std::string& method, nlohmann::json params, bool of_page = true);
  bool Read(int timeout_ms);

  const pid_t pid_;
  const int to_, from_;
  int next_ = 1;
  std::string session_, unread_;
  std::vector<nlohmann::json> answers_;
  std::vector<std::string> console_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_TESTING_BROWSER_H_
