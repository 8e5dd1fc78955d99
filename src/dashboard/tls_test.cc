// The pages over TLS, with a certificate of the federation's own kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/files.h"
#include "base/temporary_folder.h"
#include "dashboard/http_server.h"
#include "dashboard/server_pages.h"
#include "dashboard/testing/fake_admin.h"
#include "dashboard/testing/fuzzed_pages.h"
#include "dashboard/testing/raw_client.h"
#include "dashboard/users.h"
#include "identity/certificate.h"
#include "identity/private_key.h"

namespace manako {
namespace {

using testing::HasSubstr;

// One request over TLS; the answer to its end.
std::string AskOverTls(uint16_t port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) == 1) {
      SSL_write(ssl, request.data(), static_cast<int>(request.size()));
      char piece[4096];
      for (int got; (got = SSL_read(ssl, piece, sizeof piece)) > 0;)
        answer.append(piece, static_cast<size_t>(got));
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  close(fd);
  return answer;
}

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto ca_key = PrivateKey::Generate();
    const auto key = PrivateKey::Generate();
    ASSERT_TRUE(ca_key.ok() && key.ok());
    const auto ca = MakeFederationCa(*ca_key, "Himeji Eye Federation", absl::Now());
    ASSERT_TRUE(ca.ok()) << ca.status();
    const std::vector<std::string> hosts = {"127.0.0.1"};
    const auto certificate =
        MakeServerCertificate({*ca, *ca_key}, key->public_key(), hosts, absl::Now());
    ASSERT_TRUE(certificate.ok()) << certificate.status();
    ASSERT_TRUE(WriteFileAtomically(folder_ / "web.pem", certificate->pem + ca->pem).ok());
    ASSERT_TRUE(key->Save(folder_ / "web.key").ok());
    ASSERT_TRUE(ca_key->Save(folder_ / "other.key").ok());
  }
  const TemporaryFolder folder_;
};

TEST_F(TlsTest, CookiesAreSecureAndOfThisHostAlone) {
  constexpr char kPassword[] = "a long enough password";
  ASSERT_TRUE(SetWebPassword(folder_ / "web-users", "admin", kPassword).ok());
  FakeServer admin(folder_.path(), 1'800'000'000'000);
  ServerPages pages({.config = {}, .users_path = folder_ / "web-users", .now_ms = nullptr}, &admin);
  const auto server = HttpServer::Start(
      {.certificate = folder_ / "web.pem", .key = folder_ / "web.key", .request_ms = 2'000},
      [&](const HttpRequest& request) { return pages.Handle(request); });
  ASSERT_TRUE(server.ok()) << server.status();
  const uint16_t port = (*server)->port();
  const std::string body = "{\"user\":\"admin\",\"password\":\"" + std::string(kPassword) + "\"}";
  const std::string answer =
      AskOverTls(port,
                 "POST /api/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: "
                 "https://localhost\r\nContent-Type: application/json\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Set-Cookie: __Host-manako_server_8480="));
  EXPECT_THAT(answer, HasSubstr("; Secure"));
  EXPECT_THAT(answer, HasSubstr("Strict-Transport-Security: "));
  const size_t at = answer.find("__Host-");
  const std::string cookie = answer.substr(at, answer.find(';', at) - at);
  EXPECT_THAT(
      AskOverTls(port,
                 "GET /api/overview HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: " +
                     cookie + "\r\n\r\n"),
      HasSubstr("Himeji Eye Federation"));
  // The same page as one file larger than a record.
  EXPECT_THAT(AskOverTls(port, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
              HasSubstr("</html>"));

  // Plain HTTP, random bytes and silence are closed.
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                                   std::string(500, '\x16'), std::string()}) {
    RawClient client(port);
    client.Send(bytes);
    client.ReadToEnd();
    EXPECT_TRUE(client.closed());
  }
}

TEST_F(TlsTest, AKeyOfAnotherCertificateIsRefused) {
  const auto server =
      HttpServer::Start({.certificate = folder_ / "web.pem", .key = folder_ / "other.key"},
                        [](const HttpRequest&) { return HttpAnswer(); });
  EXPECT_EQ(server.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(TlsTest, RequestsOfTheCorpusAndTheirNeighboursAreAnswered) {
  FuzzedPages pages(folder_.path());
  uint64_t state = 0x9e3779b97f4a7c15u;
  const auto next = [&] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  };
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(MANAKO_SOURCE_DIR "/src/dashboard/fuzz_corpus/pages")) {
    ++files;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    pages.Ask(bytes);
    for (int i = 0; i < 100; ++i) {
      std::string changed = bytes;
      for (uint64_t n = 1 + next() % 4; n > 0; --n)
        changed[next() % changed.size()] = static_cast<char>(next());
      pages.Ask(changed);
    }
  }
  EXPECT_GE(files, 10);
}

}  // namespace
}  // namespace manako
