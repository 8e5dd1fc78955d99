#include "dashboard/sessions.h"

#include <algorithm>

#include "absl/time/time.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "dashboard/users.h"
#include "identity/random_token.h"

namespace manako {

absl::StatusOr<Sessions::SignIn> Sessions::TrySignIn(const std::string& user,
                                                     std::string_view password,
                                                     const std::string& address) {
  MANAKO_RETURN_IF_ERROR(limiter_.Begin(user, address, absl::FromUnixMillis(now_ms_())));
  // Before the check: a password that changes meanwhile ends this session, too.
  const std::string version = users_->Version(user);
  if (!users_->Check(user, password) || version.empty()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++failed_;
    return absl::PermissionDeniedError("the name or the password is wrong");
  }
  limiter_.Succeeded(user, address);
  SignIn signed_in{.token = NewSessionToken(),
                   .session = {.user = user, .csrf = NewSessionToken()}};
  const int64_t now = now_ms_();
  const std::lock_guard<std::mutex> lock(mutex_);
  while (static_cast<int>(sessions_.size()) >= std::max(1, options_.max_sessions)) {
    sessions_.erase(std::min_element(sessions_.begin(), sessions_.end(), [](auto& a, auto& b) {
      return a.second.used_ms < b.second.used_ms;
    }));
  }
  sessions_[Sha256Hex(signed_in.token)] = {
      .session = signed_in.session, .version = version, .started_ms = now, .used_ms = now};
  return signed_in;
}

std::optional<Session> Sessions::Find(std::string_view token, bool use) {
  if (token.empty()) return std::nullopt;
  // By hash: how far two tokens agree cannot be told from the time that a look-up takes.
  const std::string key = Sha256Hex(token);
  const int64_t now = now_ms_();
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return std::nullopt;
  Open& open = found->second;
  if (now - open.used_ms >= options_.idle_ms || now - open.started_ms >= options_.absolute_ms ||
      users_->Version(open.session.user) != open.version) {
    sessions_.erase(found);
    return std::nullopt;
  }
  if (use) open.used_ms = std::max(open.used_ms, now);
  return open.session;
}

void Sessions::SignOut(std::string_view token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  sessions_.erase(Sha256Hex(token));
}

int64_t Sessions::failed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failed_;
}

int64_t Sessions::open() const {
  const int64_t now = now_ms_();
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::count_if(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    return now - entry.second.used_ms < options_.idle_ms &&
           now - entry.second.started_ms < options_.absolute_ms;
  });
}

}  // namespace manako
