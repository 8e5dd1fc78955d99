#include "dashboard/http_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/status_macros.h"
#include "dashboard/http_connection.h"

namespace manako {
namespace {

constexpr int kRequestsOfAConnection = 1000;

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

std::string SslReason() {
  const unsigned long error = ERR_get_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

absl::StatusOr<Context> MakeContext(const HttpServer::Options& options) {
  Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Internal("TLS cannot be set up: {}", SslReason());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1) {
    return FailedPrecondition("{}: not a certificate in PEM: {}", options.certificate, SslReason());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return FailedPrecondition("{}: not the key of {}: {}", options.key, options.certificate,
                              SslReason());
  }
  return context;
}

// A listening socket, and the port that it got.
absl::StatusOr<int> Listen(const std::string& host, uint16_t& port) {
  sockaddr_storage address{};
  socklen_t size = 0;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    size = sizeof v4;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    size = sizeof v6;
  } else {
    return InvalidArgument("the address to listen at must be an IP address, but is {}", host);
  }
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Internal("no socket: {}", std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 128) != 0) {
    const std::string why = std::strerror(errno);
    close(fd);
    return absl::UnavailableError(fmt::format("cannot listen at {} port {}: {}", host, port, why));
  }
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.ss_family == AF_INET ? v4.sin_port : v6.sin6_port);
  return fd;
}

// httplib does the talking (request line, headers, chunks); connections, time and bodies are ours.
class Server : public HttpServer, private httplib::Server {
 public:
  Server(const HttpServer::Options& options, HttpHandler handler, Context context, int fd,
         uint16_t port)
      : options_(options),
        handler_(std::move(handler)),
        context_(std::move(context)),
        listening_(fd),
        port_(port),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    svr_sock_ = listening_;  // what httplib looks at to see whether it is to stop
    // Before httplib reads a body, unpacks it, takes it apart or looks for a route.
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Answer(request, response);
      return HandlerResponse::Handled;
    });
    // Answers that httplib gives by itself (400, 414, 416) have the headers that count, too.
    set_error_handler(HandlerWithResponse([](const httplib::Request&, httplib::Response& response) {
      if (!response.has_header("X-Content-Type-Options")) {
        response.set_header("X-Content-Type-Options", "nosniff");
        response.set_header("Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
        response.set_header("Cache-Control", "no-store");
      }
      return HandlerResponse::Unhandled;
    }));
    set_keep_alive_timeout(std::max(1, options_.idle_ms / 1000));
    accepting_ = std::thread([this] { Accept(); });
  }

  ~Server() override {
    stopping_ = true;
    svr_sock_ = INVALID_SOCKET;
    const uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) < 0) {
      // It is not 0 any more already.
    }
    accepting_.join();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      for (const int fd : connections_) shutdown(fd, SHUT_RDWR);
      none_.wait(lock, [this] { return connections_.empty(); });
    }
    close(listening_);
    close(wake_);
  }

  uint16_t port() const override { return port_; }

 private:
  void Accept() {
    while (!stopping_) {
      pollfd waits[] = {{.fd = listening_, .events = POLLIN, .revents = 0},
                        {.fd = wake_, .events = POLLIN, .revents = 0}};
      poll(waits, 2, -1);
      if (stopping_) return;
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      const int fd =
          accept4(listening_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC);
      if (fd < 0) {
        // No memory or no descriptors left: others will free some.
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        continue;
      }
      const std::string key = KeyOf(address);
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto at = by_address_.find(key);
        if (static_cast<int>(connections_.size()) >= options_.max_connections ||
            (at != by_address_.end() && at->second >= options_.max_connections_per_address)) {
          close(fd);
          continue;
        }
        connections_.insert(fd);
        ++by_address_[key];
      }
      try {
        std::thread([this, fd, key] {
          Serve(fd);
          Forget(fd, key);
        }).detach();
      } catch (const std::system_error&) {
        Forget(fd, key);
      }
    }
  }

  static std::string KeyOf(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
      return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr};
    }
    // A machine has a whole /64 of addresses.
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return {reinterpret_cast<const char*>(&v6.sin6_addr), 8};
  }

  void Forget(int fd, const std::string& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    close(fd);
    connections_.erase(fd);
    if (--by_address_[key] == 0) by_address_.erase(key);
    none_.notify_all();
  }

  void Serve(int fd) {
    HttpConnection connection(fd, context_.get(), options_.write_ms);
    if (!connection.Handshake(options_.request_ms)) return;
    current_ = &connection;
    for (int i = 0; i < kRequestsOfAConnection && !stopping_; ++i) {
      if (!connection.WaitForRequest(i == 0 ? options_.request_ms : options_.idle_ms)) break;
      connection.StartRequest(options_.max_header_bytes, options_.request_ms);
      bool closed = false;
      const bool last = i + 1 == kRequestsOfAConnection;
      const bool good = process_request(connection, last, closed, [&](httplib::Request& request) {
        request.ranges.clear();
        request.headers.erase("Accept-Encoding");
      });
      if (!good || closed || last || connection.closes_behind_answer()) break;
    }
    connection.FinishWriting();
    current_ = nullptr;
  }

  // The request's body; false when the answer is an error already.
  bool ReadBody(const httplib::Request& request, httplib::Response& response, std::string& body) {
    const auto refuse = [&](int status, const char* why) {
      response.status = status;
      response.set_content(fmt::format("{{\"error\":\"{}\"}}", why), "application/json");
      current_->CloseBehindAnswer();
      return false;
    };
    if (request.has_header("Transfer-Encoding"))
      return refuse(411, "a body needs its Content-Length");
    const size_t lengths = request.get_header_value_count("Content-Length");
    if (lengths > 1 || request.get_header_value_count("Host") > 1) {
      return refuse(400, "a header stands twice");
    }
    if (lengths == 0) return true;
    const std::string text = request.get_header_value("Content-Length");
    if (text.empty() || text.size() > 18 ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return refuse(400, "Content-Length is no number");
    }
    const auto size = static_cast<size_t>(std::stoull(text));
    if (size > options_.max_body_bytes) return refuse(413, "the body is too large");
    current_->StartRequest(size, options_.request_ms);
    if (!current_->ReadExactly(body, size)) return refuse(408, "the body did not come in time");
    return true;
  }

  void Answer(const httplib::Request& from, httplib::Response& to) {
    HttpRequest request{.method = from.method,
                        .path = from.path,
                        .remote = current_->remote(),
                        .tls = current_->tls()};
    if (!ReadBody(from, to, request.body)) return;
    for (const auto& [name, value] : from.params) request.query.emplace(name, value);
    for (const auto& [name, value] : from.headers) {
      std::string lower = name;
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      request.headers.emplace(std::move(lower), value);
    }
    HttpAnswer answer;
    try {
      answer = handler_(request);
    } catch (const std::exception&) {
      answer = {.status = 500,
                .content_type = "application/json",
                .body = "{\"error\":\"this was a fault of the program\"}"};
    }
    to.status = answer.status;
    for (auto& [name, value] : answer.headers)
      to.headers.emplace(std::move(name), std::move(value));
    if (current_->closes_behind_answer()) to.set_header("Connection", "close");
    if (answer.file != nullptr) {
      SendFile(*answer.file, answer.file, to);
    } else if (answer.stream) {
      Stream(std::move(answer), to);
    } else {
      to.set_content(answer.body, answer.content_type);
    }
  }

  static void SendFile(const FileSource& file, std::shared_ptr<FileSource> keep,
                       httplib::Response& to) {
    std::string name = file.name();
    std::replace_if(
        name.begin(), name.end(),
        [](unsigned char c) { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '/'; },
        '_');
    to.set_header("Content-Disposition", fmt::format("attachment; filename=\"{}\"", name));
    if (file.bytes() == 0) {
      to.set_content("", file.content_type());
      return;
    }
    to.set_content_provider(
        static_cast<size_t>(file.bytes()), file.content_type(),
        [keep = std::move(keep)](size_t offset, size_t length, httplib::DataSink& sink) {
          std::string piece(std::min<size_t>(length, 256 << 10), '\0');
          const auto got = keep->Read(static_cast<int64_t>(offset), piece.data(), piece.size());
          return got.ok() && *got > 0 && sink.write(piece.data(), *got);
        });
  }

  void Stream(HttpAnswer answer, httplib::Response& to) {
    current_->CloseBehindAnswer();
    const HttpConnection* connection = current_;
    to.set_chunked_content_provider(
        answer.content_type,
        [this, connection, stream = std::move(answer.stream)](size_t, httplib::DataSink& sink) {
          const bool goes_on =
              !stopping_ && !connection->gone() && stream([&](std::string_view bytes) {
                return !stopping_ && sink.write(bytes.data(), bytes.size());
              });
          if (!goes_on) sink.done();
          return true;
        });
  }

  const HttpServer::Options options_;
  const HttpHandler handler_;
  const Context context_;
  const int listening_;
  const uint16_t port_;
  const int wake_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable none_;
  std::set<int> connections_;
  std::map<std::string, int> by_address_;
  std::thread accepting_;
  static thread_local HttpConnection* current_;  // whose request this thread answers
};

thread_local HttpConnection* Server::current_ = nullptr;

}  // namespace

bool IsLoopback(const std::string& ip) {
  in_addr v4{};
  if (inet_pton(AF_INET, ip.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, ip.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Options& options,
                                                              HttpHandler handler) {
  const bool tls = !options.certificate.empty();
  if (tls != !options.key.empty()) return InvalidArgument("a certificate and its key go together");
  if (!tls && !IsLoopback(options.host)) {
    return InvalidArgument(
        "other machines can reach {}: listening there needs a certificate and its key",
        options.host);
  }
  Context context;
  if (tls) {
    MANAKO_ASSIGN_OR_RETURN(context, MakeContext(options));
  }
  uint16_t port = options.port;
  MANAKO_ASSIGN_OR_RETURN(const int fd, Listen(options.host, port));
  return std::make_unique<Server>(options, std::move(handler), std::move(context), fd, port);
}

}  // namespace manako
