// Who may sign in to a folder's web page: the file web-users, readable by its owner alone, one line
// for each user: the name, a space, and the password's Argon2id hash.
#ifndef MANAKO_DASHBOARD_USERS_H_
#define MANAKO_DASHBOARD_USERS_H_

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// Makes a user or gives one a new password, which ends that user's sign-ins: what `manako server
// password` and `manako site password` do with what was typed. The password is in no message.
// InvalidArgument: a name other than 1 to 40 of a-z, 0-9, '-', '_' and '.', or what
// CheckPassword() says of the password.
absl::Status SetWebPassword(const std::string& path, const std::string& user,
                            std::string_view password);
absl::Status RemoveWebUser(const std::string& path, const std::string& user);

// The file as it is now: read again when it has changed. Thread-safe.
class WebUsers {
 public:
  explicit WebUsers(std::string path) : path_(std::move(path)) {}
  // Whether there is anybody who could sign in.
  bool any();
  // Takes as long for a name that does not exist.
  bool Check(const std::string& user, std::string_view password);
  // Changes with the user's password; empty: no such user.
  std::string Version(const std::string& user);

 private:
  void Refresh();  // mutex_ is held
  std::string path_;
  std::mutex mutex_;
  std::string stamp_;  // of the file as it was read
  std::map<std::string, std::string> hashes_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_USERS_H_
