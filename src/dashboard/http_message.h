// A request and its answer, without sockets: what the pages work on, and what the tests make.
#ifndef MANAKO_DASHBOARD_HTTP_MESSAGE_H_
#define MANAKO_DASHBOARD_HTTP_MESSAGE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dashboard/file_source.h"

namespace manako {

struct HttpRequest {
  std::string method = {};                        // upper case
  std::string path = {};                          // decoded, without the query
  std::map<std::string, std::string> query = {};  // decoded; of a repeated name the first
  std::map<std::string, std::string> headers =
      {};  // names in lower case; of a repeated one the first
  std::string body = {};
  std::string remote = {};  // IP address
  bool tls = false;

  // Empty when there is none. `name` in lower case.
  std::string_view Header(std::string_view name) const;
  std::string_view Query(std::string_view name) const;
};

// Sends a piece of an answer that has no end yet; false when the other side is gone or the server
// stops.
using HttpWriter = std::function<bool(std::string_view bytes)>;

struct HttpAnswer {
  int status = 200;
  std::string content_type = {};
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  // Either may stand instead of `body`: a file; or a stream, which is called again and again, a
  // second at most each time, until it gives false.
  std::shared_ptr<FileSource> file = nullptr;
  std::function<bool(const HttpWriter& write)> stream = nullptr;
};

// Any thread; several at once.
using HttpHandler = std::function<HttpAnswer(const HttpRequest& request)>;

}  // namespace manako

#endif  // MANAKO_DASHBOARD_HTTP_MESSAGE_H_
