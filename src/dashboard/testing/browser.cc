#include "dashboard/testing/browser.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

namespace manako {
namespace {

using nlohmann::json;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

constexpr int kCallMs = 60'000;

std::string FromBase64(const std::string& text) {
  std::string bytes;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+') value = 62;
    if (c == '/') value = 63;
    if (value < 0) continue;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have >= 8) {
      have -= 8;
      bytes += static_cast<char>(bits >> have & 0xff);
    }
  }
  return bytes;
}

}  // namespace

std::unique_ptr<Browser> Browser::Start(const std::string& profile) {
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) return nullptr;
  const std::string data = "--user-data-dir=" + profile;
  const pid_t pid = fork();
  if (pid == 0) {
    // The browser reads commands from 3 and answers on 4. The ends may be 3 and 4 themselves.
    const int in = fcntl(to[0], F_DUPFD, 10), out = fcntl(from[1], F_DUPFD, 10);
    dup2(in, 3);
    dup2(out, 4);
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, 0);
    dup2(nothing, 1);
    dup2(nothing, 2);
    setpgid(0, 0);
    execl(kChromium, kChromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
          "--no-first-run", "--disable-background-networking", "--disable-component-update",
          "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe", data.c_str(),
          "about:blank", nullptr);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  if (pid < 0) return nullptr;
  std::unique_ptr<Browser> browser(new Browser(pid, to[1], from[0]));
  const json target = browser->Call("Target.createTarget", {{"url", "about:blank"}}, false);
  if (!target.contains("targetId")) return nullptr;
  const json attached = browser->Call("Target.attachToTarget",
                                      {{"targetId", target["targetId"]}, {"flatten", true}}, false);
  if (!attached.contains("sessionId")) return nullptr;
  browser->session_ = attached["sessionId"];
  for (const char* domain : {"Page.enable", "Runtime.enable", "Log.enable"}) {
    browser->Call(domain, json::object());
  }
  return browser;
}

Browser::~Browser() {
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(to_);
  close(from_);
}

bool Browser::Read(int timeout_ms) {
  pollfd ready{.fd = from_, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, timeout_ms) <= 0) return false;
  char piece[65536];
  const ssize_t got = read(from_, piece, sizeof piece);
  if (got <= 0) return false;
  unread_.append(piece, static_cast<size_t>(got));
  for (size_t end; (end = unread_.find('\0')) != std::string::npos;) {
    json message = json::parse(unread_.substr(0, end), nullptr, false);
    unread_.erase(0, end + 1);
    if (message.is_discarded()) continue;
    if (message.contains("id")) {
      answers_.push_back(std::move(message));
      continue;
    }
    const std::string method = message.value("method", "");
    const json& params = message["params"];
    if (method == "Log.entryAdded" && params["entry"].value("level", "") == "error") {
      console_.push_back(params["entry"].value("text", "") + " " +
                         params["entry"].value("url", ""));
    } else if (method == "Runtime.exceptionThrown") {
      console_.push_back(params["exceptionDetails"].dump());
    } else if (method == "Runtime.consoleAPICalled" &&
               (params.value("type", "") == "error" || params.value("type", "") == "warning")) {
      console_.push_back(params["args"].dump());
    }
  }
  return true;
}

json Browser::Call(const std::string& method, json params, bool of_page) {
  const int id = next_++;
  json request = {{"id", id}, {"method", method}, {"params", std::move(params)}};
  if (of_page) request["sessionId"] = session_;
  const std::string text = request.dump() + '\0';
  for (size_t done = 0; done < text.size();) {
    const ssize_t sent = write(to_, text.data() + done, text.size() - done);
    if (sent <= 0) return nullptr;
    done += static_cast<size_t>(sent);
  }
  const int64_t until = NowMs() + kCallMs;
  for (;;) {
    for (auto answer = answers_.begin(); answer != answers_.end(); ++answer) {
      if ((*answer)["id"] != id) continue;
      json result = answer->contains("result") ? (*answer)["result"] : json();
      if (answer->contains("error")) console_.push_back(method + ": " + (*answer)["error"].dump());
      answers_.erase(answer);
      return result;
    }
    const int64_t left = until - NowMs();
    if (left <= 0 || !Read(static_cast<int>(left))) return nullptr;
  }
}

void Browser::Open(const std::string& url) {
  Call("Page.navigate", {{"url", url}});
  WaitFor("document.readyState === 'complete'");
}

void Browser::SetSize(int width, int height) {
  Call("Emulation.setDeviceMetricsOverride",
       {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", width < 600}});
}

json Browser::Evaluate(const std::string& expression) {
  const json result = Call("Runtime.evaluate", {{"expression", expression},
                                                {"awaitPromise", true},
                                                {"returnByValue", true},
                                                {"userGesture", true}});
  if (!result.is_object()) return nullptr;
  if (result.contains("exceptionDetails")) {
    console_.push_back(result["exceptionDetails"].dump());
    return nullptr;
  }
  return result["result"].value("value", json());
}

bool Browser::WaitFor(const std::string& expression, int timeout_ms) {
  const int64_t until = NowMs() + timeout_ms;
  do {
    if (Evaluate("!!(" + expression + ")") == json(true)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  } while (NowMs() < until);
  return false;
}

bool Browser::Click(const std::string& text) {
  const std::string found =
      "[...(document.querySelector('dialog[open]') ?? document).querySelectorAll('button, "
      "a')].find((b) => "
      "b.textContent.trim() === " +
      json(text).dump() + ")";
  return WaitFor(found, 15'000) && Evaluate("(" + found + ".click(), true)") == json(true);
}

bool Browser::Type(const std::string& name, const std::string& text) {
  const std::string field = "document.querySelector('[name=\"" + name + "\"]')";
  if (!WaitFor(field + "?.offsetParent", 15'000)) return false;
  Evaluate("(" + field + ".focus(), " + field + ".select(), true)");
  Call("Input.insertText", {{"text", text}});
  return Evaluate(field + ".value") == json(text);
}

void Browser::Press(const std::string& key) {
  json event = {{"type", "keyDown"}, {"key", key}};
  if (key == "Enter") event.update({{"windowsVirtualKeyCode", 13}, {"text", "\r"}});
  if (key == "Escape") event["windowsVirtualKeyCode"] = 27;
  if (key == "Tab") event["windowsVirtualKeyCode"] = 9;
  Call("Input.dispatchKeyEvent", event);
  event["type"] = "keyUp";
  event.erase("text");
  Call("Input.dispatchKeyEvent", event);
}

void Browser::SaveDownloadsTo(const std::string& folder) {
  Call("Browser.setDownloadBehavior", {{"behavior", "allow"}, {"downloadPath", folder}}, false);
}

void Browser::Screenshot(const std::string& path) {
  const json metrics = Call("Page.getLayoutMetrics", json::object());
  if (!metrics.is_object()) return;
  json clip = metrics["cssContentSize"];
  clip["scale"] = 1;
  const json shot = Call("Page.captureScreenshot",
                         {{"format", "png"}, {"captureBeyondViewport", true}, {"clip", clip}});
  if (!shot.is_object()) return;
  std::ofstream(path, std::ios::binary) << FromBase64(shot.value("data", ""));
}

}  // namespace manako
