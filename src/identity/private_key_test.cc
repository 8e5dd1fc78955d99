#include "identity/private_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "identity/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;
using PrivateKeyTest = FolderTest;

TEST_F(PrivateKeyTest, SignsAndVerifies) {
  const PrivateKey key = *PrivateKey::Generate();
  const PrivateKey other = *PrivateKey::Generate();
  const std::string signature = *key.Sign("message");
  EXPECT_TRUE(key.public_key().Verify("message", signature));
  EXPECT_FALSE(key.public_key().Verify("massage", signature));
  EXPECT_FALSE(other.public_key().Verify("message", signature));
  EXPECT_FALSE(key.public_key().Verify("message", ""));
  EXPECT_FALSE(key.public_key().Verify("message", signature + '\0'));
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string changed = signature;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(key.public_key().Verify("message", changed)) << i;
  }
  EXPECT_TRUE(key.public_key().Verify("", *key.Sign("")));
}

TEST_F(PrivateKeyTest, IsReadBackAsItWas) {
  const PrivateKey key = *PrivateKey::Generate();
  const mode_t old_umask = umask(0);
  ASSERT_TRUE(key.Save(Path("key.pem")).ok());
  umask(old_umask);
  struct stat info {};
  ASSERT_EQ(stat(Path("key.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto again = PrivateKey::Load(Path("key.pem"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->public_key().ToDer(), key.public_key().ToDer());
  EXPECT_TRUE(key.public_key().Verify("m", *again->Sign("m")));
  for (const std::string& text : {key.public_key().ToPem(), key.public_key().ToDer()}) {
    const auto read = PublicKey::Parse(text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->SpkiSha256(), Sha256Hex(key.public_key().ToDer()));
  }
}

TEST_F(PrivateKeyTest, RefusesAKeyThatOthersCanRead) {
  ASSERT_TRUE(PrivateKey::Generate()->Save(Path("key.pem")).ok());
  for (const mode_t mode : {0640, 0604, 0620, 0602}) {
    ASSERT_EQ(chmod(Path("key.pem").c_str(), mode), 0);
    const absl::Status status = PrivateKey::Load(Path("key.pem")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << mode;
    EXPECT_THAT(status.ToString(), HasSubstr("chmod 600 " + Path("key.pem")));
  }
  ASSERT_EQ(chmod(Path("key.pem").c_str(), 0400), 0);
  EXPECT_TRUE(PrivateKey::Load(Path("key.pem")).ok());
}

TEST_F(PrivateKeyTest, RefusesWhatIsNoSuchKey) {
  EXPECT_EQ(PrivateKey::Load(Path("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(PrivateKey::Load(folder_.path()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_FALSE(PrivateKey::Load(Path("pipe")).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("junk"), "junk", 0600).ok());
  const absl::Status junk = PrivateKey::Load(Path("junk")).status();
  EXPECT_EQ(junk.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(junk.ToString(), HasSubstr(Path("junk")));
  const std::string pem = PrivateKey::Generate()->ToPem().text();
  EXPECT_FALSE(PrivateKey::FromPem(pem.substr(0, pem.size() / 2)).ok());
  EXPECT_FALSE(PublicKey::Parse(pem).ok());
  EXPECT_FALSE(PublicKey::Parse("").ok());
  EXPECT_FALSE(PublicKey::Parse(std::string(1 << 20, 'x')).ok());
  EXPECT_FALSE(PublicKey::Parse(PrivateKey::Generate()->public_key().ToDer() + "x").ok());
}

TEST_F(PrivateKeyTest, OpensslAgrees) {
  MANAKO_NEED_OPENSSL();
  const PrivateKey key = *PrivateKey::Generate();
  ASSERT_TRUE(key.Save(Path("key.pem")).ok());
  Write("public.pem", key.public_key().ToPem());
  Write("message", "what was signed");
  Write("signature", *key.Sign("what was signed"));
  // Ours by theirs.
  EXPECT_THAT(Openssl("pkey -noout -text -in " + Path("key.pem")).output, HasSubstr("prime256v1"));
  EXPECT_THAT(Openssl("pkey -pubout -in " + Path("key.pem")).output, key.public_key().ToPem());
  EXPECT_THAT(Openssl("dgst -sha256 -verify " + Path("public.pem") + " -signature " +
                      Path("signature") + " " + Path("message"))
                  .output,
              HasSubstr("Verified OK"));
  // Theirs by ours.
  ASSERT_EQ(Openssl("dgst -sha256 -sign " + Path("key.pem") + " -out " + Path("theirs") + " " +
                    Path("message"))
                .exit_code,
            0);
  EXPECT_TRUE(key.public_key().Verify("what was signed", *ReadFile(Path("theirs"))));
  for (const char* arguments :
       {"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", "genpkey -algorithm ed25519",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes128 -pass pass:secret"}) {
    ASSERT_EQ(Openssl(std::string(arguments) + " -out " + Path("other.pem")).exit_code, 0);
    EXPECT_EQ(PrivateKey::FromPem(*ReadFile(Path("other.pem"))).status().code(),
              absl::StatusCode::kInvalidArgument)
        << arguments;
  }
}

}  // namespace
}  // namespace manako
