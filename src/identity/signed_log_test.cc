#include "identity/signed_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "base/hash.h"
#include "identity/random_token.h"
#include "identity/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;
using Json = nlohmann::ordered_json;

class SignedLogTest : public FolderTest {
 protected:
  std::string Log() const { return Path("ledger.jsonl"); }
  SignedLogOptions Options() const {
    return {.clock = [] { return absl::FromUnixSeconds(1'800'000'000); }};
  }
  std::unique_ptr<SignedLog> OpenOrDie() {
    auto log = SignedLog::Open(Log(), key_, Options());
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
  // A log of so many lines; gives them.
  std::vector<std::string> Make(int lines) {
    auto log = OpenOrDie();
    for (int i = 1; i <= lines; ++i) {
      EXPECT_TRUE(
          log->Append({{"round", i}, {"sha256", Sha256Hex(std::to_string(i))}, {"norm", 0.5 * i}})
              .ok());
    }
    return Lines();
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    std::string text = *ReadFile(Log());
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
      lines.push_back(text.substr(at, end - at));
    }
    return lines;
  }
  void Put(const std::vector<std::string>& lines) const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    Write("ledger.jsonl", text);
  }
  absl::Status Verify(std::vector<LogHead> remembered = {}, bool head_file = true) const {
    return VerifyLog(Log(), key_.public_key(),
                     {.remembered = std::move(remembered), .head_file = head_file})
        .status();
  }
  std::string Why() const {
    const absl::Status status = Verify();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
    return status.ToString();
  }
  // The line with other fields, signed by the log's own key.
  std::string SignedAgain(const std::string& body, const PrivateKey& key) const {
    return body.substr(0, body.size() - 1) + ",\"sig\":\"" + ToBase64Url(*key.Sign(body)) + "\"}";
  }
  static std::string BodyOf(const std::string& line) {
    return line.substr(0, line.rfind(",\"sig\":")) + "}";
  }

  PrivateKey key_ = *PrivateKey::Generate();
};

TEST_F(SignedLogTest, LinesAreAsPromised) {
  const std::vector<std::string> lines = Make(3);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0],
              testing::StartsWith(
                  "{\"seq\":1,\"time\":\"2027-01-15T08:00:00.000Z\",\"round\":1,\"sha256\":"));
  EXPECT_THAT(lines[0], HasSubstr("\"prev\":\"" + std::string(64, '0') + "\",\"sig\":\""));
  EXPECT_THAT(lines[1], HasSubstr("\"prev\":\"" + Sha256Hex(lines[0]) + "\",\"sig\":\""));
  EXPECT_TRUE(Verify().ok()) << Verify();
  EXPECT_EQ(OpenOrDie()->head(), (LogHead{3, Sha256Hex(lines[2])}));
  EXPECT_EQ(*ReadLogHead(Log()), (LogHead{3, Sha256Hex(lines[2])}));
  std::vector<int> rounds;
  ASSERT_TRUE(VerifyLog(Log(), key_.public_key(),
                        {.each = [&](const Json& line) { rounds.push_back(line["round"]); }})
                  .ok());
  EXPECT_THAT(rounds, testing::ElementsAre(1, 2, 3));
}

TEST_F(SignedLogTest, GoesOnWhereItWas) {
  for (int i = 0; i < 3; ++i) Make(2);
  EXPECT_EQ(Lines().size(), 6u);
  EXPECT_TRUE(Verify().ok()) << Verify();
}

TEST_F(SignedLogTest, AnEmptyLogIsGood) {
  OpenOrDie();
  EXPECT_TRUE(Verify().ok());
  EXPECT_EQ(VerifyLog(Path("none"), key_.public_key()).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(SignedLogTest, EveryEditedByteIsFoundAtItsLine) {
  const std::vector<std::string> lines = Make(3);
  const PublicKey key = key_.public_key();
  for (size_t line = 0; line < 3; ++line) {
    for (size_t at = 0; at < lines[line].size(); ++at) {
      std::vector<std::string> changed = lines;
      changed[line][at] = static_cast<char>(changed[line][at] ^ 1);
      LogVerifier verifier(&key);
      absl::Status status;
      for (const std::string& text : changed) {
        if (status.ok()) status = verifier.Next(text);
      }
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss)
          << "line " << line + 1 << " byte " << at;
      ASSERT_THAT(status.ToString(), HasSubstr("line " + std::to_string(line + 1) + " ")) << at;
    }
  }
}

TEST_F(SignedLogTest, DeletionInsertionAndReorderingAreFound) {
  const std::vector<std::string> lines = Make(6);
  auto changed = lines;
  changed.erase(changed.begin() + 2);
  Put(changed);
  EXPECT_THAT(Why(), HasSubstr("line 3 has seq 4: before it seq 3 is missing"));
  changed.erase(changed.begin() + 2);
  Put(changed);
  EXPECT_THAT(Why(), HasSubstr("line 3 has seq 5: before it seq 3 to 4 is missing"));
  changed = lines;
  changed.erase(changed.begin());
  Put(changed);
  EXPECT_THAT(Why(), HasSubstr("line 1 has seq 2: before it seq 1 is missing"));
  changed = lines;
  changed.insert(changed.begin() + 3, lines[1]);
  Put(changed);
  EXPECT_THAT(Why(), HasSubstr("line 4 has seq 2: it was put in or moved there"));
  changed = lines;
  std::swap(changed[1], changed[2]);
  Put(changed);
  EXPECT_THAT(Why(), HasSubstr("line 2 has seq 3"));
  for (const char* junk : {"", "{}", "null", "hello", "{\"seq\":3}"}) {
    changed = lines;
    changed.insert(changed.begin() + 2, junk);
    Put(changed);
    EXPECT_THAT(Why(), HasSubstr("line 3 is not a line of a log")) << junk;
  }
  // A line by another key.
  changed = lines;
  changed[3] = SignedAgain(BodyOf(lines[3]), *PrivateKey::Generate());
  Put(changed);
  EXPECT_THAT(Why(), HasSubstr("line 4 does not fit its signature"));
}

TEST_F(SignedLogTest, ARewriteWithTheKeyIsFoundByTheChainAndTheHead) {
  const std::vector<std::string> lines = Make(4);
  const LogHead told{2, Sha256Hex(lines[1])};
  const std::string body = BodyOf(lines[1]);
  auto changed = lines;
  std::string other = body;
  other.replace(other.find("\"round\":2"), 9, "\"round\":9");
  changed[1] = SignedAgain(other, key_);
  Put(changed);
  EXPECT_THAT(Why(), HasSubstr("line 3 does not follow line 2"));
  // The whole rest written anew: consistent in itself.
  for (size_t i = 2; i < 4; ++i) {
    std::string next = BodyOf(lines[i]);
    next.replace(next.find(Sha256Hex(lines[i - 1])), 64, Sha256Hex(changed[i - 1]));
    changed[i] = SignedAgain(next, key_);
  }
  Put(changed);
  EXPECT_TRUE(Verify({}, false).ok());
  EXPECT_THAT(Why(), HasSubstr("line 4 is not the one that was remembered"));
  EXPECT_THAT(Verify({told}, false).ToString(),
              HasSubstr("line 2 is not the one that was remembered"));
  // The same content signed a second time is another line too.
  changed = lines;
  changed[3] = SignedAgain(BodyOf(lines[3]), key_);
  Put(changed);
  EXPECT_TRUE(Verify({}, false).ok());
  EXPECT_THAT(Why(), HasSubstr("line 4 is not the one"));
  EXPECT_EQ(SignedLog::Open(Log(), key_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SignedLogTest, LinesCutOffTheEndAreFound) {
  const std::vector<std::string> lines = Make(5);
  const LogHead told{5, Sha256Hex(lines[4])};
  for (size_t keep = 0; keep < 5; ++keep) {
    Put({lines.begin(), lines.begin() + static_cast<long>(keep)});
    EXPECT_THAT(Why(), HasSubstr("the log ends with line " + std::to_string(keep) + ", but had 5"));
    EXPECT_TRUE(Verify({}, false).ok());
    EXPECT_EQ(Verify({told}, false).code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(SignedLog::Open(Log(), key_).status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(Lines().size(), keep) << "evidence was changed";
  }
  // Half of the last line: no crash leaves that, for its head was remembered.
  Write("ledger.jsonl", lines[0] + "\n" + lines[1].substr(0, 50));
  EXPECT_EQ(SignedLog::Open(Log(), key_).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadFile(Log())->size(), lines[0].size() + 51);
}

TEST_F(SignedLogTest, ALostOrChangedHeadIsTold) {
  const std::vector<std::string> lines = Make(3);
  std::string head = *ReadFile(Log() + ".head");
  EXPECT_EQ(head.size(), 1024u);
  std::filesystem::remove(Log() + ".head");
  EXPECT_THAT(Why(), HasSubstr(".head is missing"));
  EXPECT_EQ(SignedLog::Open(Log(), key_).status().code(), absl::StatusCode::kDataLoss);
  // One place torn: the other still says where the log was a line ago.
  head[512 + 5] ^= 1;
  Write("ledger.jsonl.head", head);
  EXPECT_EQ(ReadLogHead(Log())->seq, 2);
  EXPECT_TRUE(Verify().ok());
  head[5] ^= 1;
  Write("ledger.jsonl.head", head);
  EXPECT_THAT(Why(), HasSubstr("does not say where the log ends"));
  EXPECT_FALSE(SignedLog::Open(Log(), key_).ok());
  SignedLogOptions options;
  options.adopt_lost_head = true;
  ASSERT_TRUE(SignedLog::Open(Log(), key_, options).ok());
  EXPECT_TRUE(Verify().ok());
}

TEST_F(SignedLogTest, ATornLineIsCutAndNothingElse) {
  const std::vector<std::string> lines = Make(2);
  const std::string text = *ReadFile(Log());
  for (size_t size = 1; size < lines[1].size(); size += 7) {
    Write("ledger.jsonl", text + lines[1].substr(0, size));
    EXPECT_TRUE(Verify().ok());
    OpenOrDie();
    ASSERT_EQ(*ReadFile(Log()), text) << size;
  }
  // A torn line of zeros, as some file systems leave.
  Write("ledger.jsonl", text + std::string(100, '\0'));
  OpenOrDie();
  EXPECT_EQ(*ReadFile(Log()), text);
}

// Crashes between the line and its head: the line is there, the head says less.
TEST_F(SignedLogTest, AHeadThatIsBehindIsBroughtUpToDate) {
  Make(2);
  const std::string head = *ReadFile(Log() + ".head");
  Make(2);
  Write("ledger.jsonl.head", head);
  EXPECT_TRUE(Verify().ok());
  OpenOrDie();
  EXPECT_EQ(ReadLogHead(Log())->seq, 4);
}

TEST_F(SignedLogTest, KilledAtAnyMomentKeepsWhatWasTold) {
  int told = 0;
  for (int kill_after = 1; kill_after <= 8; ++kill_after) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto log = *SignedLog::Open(Log(), key_, Options());
      while (true) {
        if (log->Append({{"text", std::string(2000, 'x')}}).ok()) (void)!write(ends[1], "x", 1);
      }
    }
    close(ends[1]);
    char c;
    for (int i = 0; i < kill_after; ++i) EXPECT_EQ(read(ends[0], &c, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    told += kill_after;
    while (read(ends[0], &c, 1) == 1) ++told;
    close(ends[0]);
    OpenOrDie();
    ASSERT_TRUE(Verify().ok()) << Verify();
    const int found = static_cast<int>(Lines().size());
    EXPECT_GE(found, told);
    EXPECT_LE(found, told + 1);
    told = found;
  }
}

// A full disk (here: the process's file size limit) loses the line that was being written, no
// other, and the log goes on.
TEST_F(SignedLogTest, AFailedWriteLeavesTheLogAsItWas) {
  Make(1);
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto log = *SignedLog::Open(Log(), key_, Options());
    const rlimit limit{2000, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    if (log->Append({{"text", std::string(5000, 'x')}}).ok()) _exit(1);
    if (!log->Append({{"text", "small"}}).ok()) _exit(2);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(Verify().ok()) << Verify();
  EXPECT_EQ(Lines().size(), 2u);
}

TEST_F(SignedLogTest, FieldsThatCannotBeALineAreRefused) {
  auto log = OpenOrDie();
  for (const Json& fields : {Json::array(), Json("x"), Json{{"seq", 1}}, Json{{"sig", 1}},
                             Json{{"prev", 1}}, Json{{"time", 1}}, Json{{"text", "\xff"}},
                             Json{{"text", std::string(kMaxLogLineBytes, 'x')}}}) {
    EXPECT_EQ(log->Append(fields).status().code(), absl::StatusCode::kInvalidArgument);
  }
  Json deep = 1;
  for (int i = 0; i < 40; ++i) deep = Json::array({deep});
  EXPECT_FALSE(log->Append({{"deep", deep}}).ok());
  // What JSON can say is taken, and stays verifiable.
  ASSERT_TRUE(log->Append({{"text", "\",\"sig\":\"\n\\ 眼 \x01"},
                           {"nan", std::nan("")},
                           {"tiny", 5e-324},
                           {"big", 1e308},
                           {"max", ~uint64_t{0}},
                           {"min", std::numeric_limits<int64_t>::min()},
                           {"float", 0.1f},
                           {"zero", -0.0},
                           {"nested", {{"sig", "x"}, {"list", {1, "a", nullptr, true}}}}})
                  .ok());
  ASSERT_TRUE(log->Append(Json::object()).ok());
  EXPECT_TRUE(Verify().ok()) << Verify();
}

// By the key's owner, who may be no friend: what is signed must still have one reading.
TEST_F(SignedLogTest, OnlyOneSpellingIsALine) {
  const std::string line = Make(1)[0];
  const std::string body = BodyOf(line);
  const PublicKey key = key_.public_key();
  ASSERT_TRUE(LogVerifier(&key).Next(SignedAgain(body, key_)).ok());
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = body;
    other.replace(other.find(from), from.size(), to);
    return SignedAgain(other, key_);
  };
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"round\":1", "\"round\":1,\"round\":2"},
           {"\"round\":1", "\"sig\":\"x\""},
           {"\"round\":1", "\"round\": 1"},
           {"\"round\":1", "\"round\":1e0"},
           {"\"seq\":1", "\"seq\":1.0"},
           {"\"seq\":1", "\"seq\":-1"},
           {"\"seq\":1", "\"seq\":\"1\""},
           {"\"seq\":1,", ""},
           {"\"round\"", "\"\\u0072ound\""},
           {"{\"seq\"", "{\"x\":0,\"seq\""},
           {"\"round\":1", "\"round\":" + std::string(50000, '[')},
           {"\"round\":1", "\"round\":" + std::string(30000, '[') + std::string(30000, ']')},
           {"\"round\":1", "\"round\":\"\xff\""}}) {
    EXPECT_THAT(LogVerifier(&key).Next(changed(from, to)).ToString(),
                HasSubstr("is not written as logs are"))
        << to.substr(0, 50);
  }
}

TEST_F(SignedLogTest, OneWriterAtATime) {
  auto log = OpenOrDie();
  EXPECT_EQ(SignedLog::Open(Log(), key_).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(log->Append({{"a", 1}}).ok());
  log.reset();
  EXPECT_EQ(SignedLog::Open(Log(), *PrivateKey::Generate()).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(SignedLogTest, AnyThreadMayAppend) {
  auto log = OpenOrDie();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(log->Append({{"thread", t}}).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log->head().seq, 40);
  EXPECT_TRUE(Verify().ok()) << Verify();
}

TEST_F(SignedLogTest, LongLogsAreReadInPieces) {
  {
    auto log = OpenOrDie();
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(log->Append({{"text", std::string(40000, 'x')}}).ok());
  }
  EXPECT_TRUE(Verify().ok()) << Verify();
  Write("ledger.jsonl", *ReadFile(Log()) + std::string(1 << 20, 'x'));
  EXPECT_THAT(Why(), HasSubstr("line 41 has no end"));
}

TEST_F(SignedLogTest, OpensslVerifiesALine) {
  MANAKO_NEED_OPENSSL();
  const std::string line = Make(1)[0];
  const size_t sig = line.rfind("\"sig\":\"") + 7;
  Write("body", BodyOf(line));
  Write("sig", *FromBase64Url(line.substr(sig, line.size() - sig - 2)));
  Write("public.pem", key_.public_key().ToPem());
  EXPECT_THAT(Openssl("dgst -sha256 -verify " + Path("public.pem") + " -signature " + Path("sig") +
                      " " + Path("body"))
                  .output,
              HasSubstr("Verified OK"));
  EXPECT_THAT(Openssl("dgst -sha256 " + Write("line", line)).output, HasSubstr(Sha256Hex(line)));
}

}  // namespace
}  // namespace manako
