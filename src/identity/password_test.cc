#include "identity/password.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace manako {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(PasswordTest, OnlyTheRightOneFits) {
  const auto hash = HashPassword("correct horse 眼");
  ASSERT_TRUE(hash.ok()) << hash.status();
  EXPECT_THAT(*hash, StartsWith("$argon2id$v=19$m=131072,t=3,p=1$"));
  EXPECT_TRUE(VerifyPassword(*hash, "correct horse 眼"));
  EXPECT_FALSE(VerifyPassword(*hash, "correct horse"));
  EXPECT_FALSE(VerifyPassword(*hash, "Correct horse 眼"));
  EXPECT_FALSE(VerifyPassword(*hash, ""));
  EXPECT_NE(*hash, *HashPassword("correct horse 眼")) << "no salt";
}

TEST(PasswordTest, NobodyHasAnEmptyHash) {
  EXPECT_FALSE(VerifyPassword("", ""));
  EXPECT_FALSE(VerifyPassword("", "correct horse"));
  EXPECT_FALSE(VerifyPassword("junk", "correct horse"));
  EXPECT_FALSE(VerifyPassword(std::string(1000, '$'), "correct horse"));
}

// libsodium's own hash of another cost is read too (its parameters are in it). Made by the argon2
// command: printf 'correct horse' | argon2 saltsaltsaltsalt -id -t 2 -k 8192 -p 1 -e
TEST(PasswordTest, ReadsTheCommonForm) {
  EXPECT_TRUE(
      VerifyPassword("$argon2id$v=19$m=8192,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$wbFO6HMaSfz+q+"
                     "xidHa4AkHi2VSDtWjesFSFre9OcLA",
                     "correct horse"));
  EXPECT_FALSE(
      VerifyPassword("$argon2id$v=19$m=8192,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$wbFO6HMaSfz+q+"
                     "xidHa4AkHi2VSDtWjesFSFre9OcLA",
                     "correct horsf"));
}

TEST(PasswordTest, TooShortAndTooLong) {
  EXPECT_THAT(CheckPassword("ninechars").ToString(),
              HasSubstr("at least 10 characters, but this one has 9"));
  EXPECT_TRUE(CheckPassword("ten-chars!").ok());
  EXPECT_FALSE(CheckPassword("眼眼眼眼").ok()) << "bytes are not characters";
  EXPECT_TRUE(CheckPassword(std::string(1024, 'x')).ok());
  EXPECT_FALSE(CheckPassword(std::string(1025, 'x')).ok());
  EXPECT_FALSE(HashPassword("short").ok());
}

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

// How long the next attempt must wait, in seconds.
int WaitOf(const absl::Status& status) {
  if (status.ok()) return 0;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const std::string text = status.ToString();
  return std::stoi(text.substr(text.find("wait ") + 5));
}

TEST(AttemptLimiterTest, DelaysDouble) {
  AttemptLimiter limiter;
  absl::Time now = kStart;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.Begin("anna", "10.0.0.1", now).ok());
  for (const int wait : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}) {
    EXPECT_EQ(WaitOf(limiter.Begin("anna", "10.0.0.1", now)), wait);
    // Asking too early costs nothing more.
    EXPECT_EQ(WaitOf(limiter.Begin("anna", "10.0.0.1",
                                   now + absl::Seconds(wait) - absl::Milliseconds(1))),
              1);
    now += absl::Seconds(wait);
    EXPECT_TRUE(limiter.Begin("anna", "10.0.0.1", now).ok());
  }
  EXPECT_TRUE(limiter.Begin("anna", "10.0.0.1", now + absl::Hours(24)).ok());
  EXPECT_TRUE(limiter.Begin("anna", "10.0.0.1", now + absl::Hours(24)).ok())
      << "it was to be forgotten";
}

TEST(AttemptLimiterTest, ByNameAndByAddress) {
  AttemptLimiter limiter;
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(limiter.Begin("anna", "10.0.0." + std::to_string(i), kStart).ok());
  EXPECT_FALSE(limiter.Begin("anna", "10.0.0.99", kStart).ok()) << "one name from many addresses";
  EXPECT_TRUE(limiter.Begin("ben", "10.0.0.99", kStart).ok());
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(limiter.Begin("user" + std::to_string(i), "10.1.0.1", kStart).ok());
  EXPECT_FALSE(limiter.Begin("user9", "10.1.0.1", kStart).ok()) << "many names from one address";
}

TEST(AttemptLimiterTest, SuccessForgetsTheName) {
  AttemptLimiter limiter;
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(limiter.Begin("anna", "a" + std::to_string(i), kStart).ok());
  limiter.Succeeded("anna", "a4");
  EXPECT_TRUE(limiter.Begin("anna", "a4", kStart).ok());
  // Successes with one's own account between guesses at another's change nothing for the address.
  AttemptLimiter other;
  int guesses = 0;
  for (int i = 0; i < 100; ++i) {
    if (other.Begin("mine", "x", kStart).ok()) other.Succeeded("mine", "x");
    guesses += other.Begin("victim" + std::to_string(i), "x", kStart).ok();
  }
  EXPECT_EQ(guesses, 5);
}

TEST(AttemptLimiterTest, ManyAtOnceAreMany) {
  AttemptLimiter limiter;
  int begun = 0;
  for (int i = 0; i < 100; ++i) begun += limiter.Begin("anna", "a", kStart).ok();
  EXPECT_EQ(begun, 5);
}

TEST(AttemptLimiterTest, AClockSetBackLocksNobodyOut) {
  AttemptLimiter limiter;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.Begin("anna", "a", kStart).ok());
  EXPECT_LE(WaitOf(limiter.Begin("anna", "a", kStart - absl::Hours(1000))), 1);
}

TEST(AttemptLimiterTest, RemembersNoMoreThanItMay) {
  AttemptLimiter limiter({.most_remembered = 10});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.Begin("anna", "a", kStart).ok());
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(limiter
                    .Begin(std::string(100000, 'x') + std::to_string(i), std::to_string(i),
                           kStart + absl::Seconds(i))
                    .ok());
  }
  EXPECT_LE(limiter.remembered(), 10u);
}

}  // namespace
}  // namespace manako
