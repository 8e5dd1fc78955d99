#include "report/journal.h"

#include <gtest/gtest.h>

#include <cmath>

namespace manako {
namespace {

TEST(RunJournal, LastOfTheSameNameCounts) {
  const RunJournal j = ParseJournal(
      R"({"event":"round","time":1,"repeat":1,"fold":1,"arm":"pooled","site":"","round":3,"train_loss":0.5,"seconds":4})"
      "\n"
      R"({"event":"round","time":2,"repeat":1,"fold":1,"arm":"pooled","site":"","round":3,"train_loss":null,"test_auc":0.9,"seconds":5})"
      "\n");
  const auto& rounds = j.rounds.at({1, 1, "pooled", ""});
  ASSERT_EQ(rounds.size(), 1u);
  EXPECT_TRUE(std::isnan(rounds.at(3).train_loss));
  EXPECT_EQ(rounds.at(3).test_auc, 0.9);
  EXPECT_EQ(rounds.at(3).seconds, 5);
  EXPECT_EQ(j.total_seconds, 1);
  EXPECT_FALSE(j.run_finished);
}

TEST(RunJournal, UnknownTornAndBadLines) {
  const RunJournal j = ParseJournal(
      "{\"event\":\"moon_rose\",\"time\":5,\"phase\":[1]}\n"
      "not json\n"
      "[1,2]\n"
      "\n"
      "{\"event\":\"round\",\"repeat\":\"one\"}\n"
      "{\"event\":\"round\",\"repeat\":1e300,\"fold\":1,\"arm\":\"pooled\",\"round\":1}\n"
      "{\"event\":\"cell_started\",\"repeat\":1,\"fold\":0}\n"
      "{\"event\":\"warning\",\"en\":\"a\",\"ja\":\"b\"}\n"
      "{\"event\":\"warning\",\"en\":\"a\",\"ja\":\"b\"}\n"
      "{\"event\":\"run_finis");
  EXPECT_EQ(j.unreadable, 5);
  EXPECT_EQ(j.warnings.size(), 1u);
  EXPECT_FALSE(j.run_finished);
  EXPECT_TRUE(j.rounds.empty() && j.cells.empty());
  EXPECT_EQ(j.last_time, 5);
}

TEST(RunJournal, WrongTypesAreTakenAsMissing) {
  const RunJournal j = ParseJournal(
      R"({"event":"data_loaded","data":{"source":3,"classes":"ab","positive":9,"images":-4,"patients":1.5,"bad":[1],"duplicates":null}})"
      "\n"
      R"({"event":"cell_started","repeat":2,"fold":1,"seed":17,"splits":7,"sites":{"a":[]}})"
      "\n");
  ASSERT_TRUE(j.data.has_value());
  EXPECT_EQ(j.data->source, "");
  EXPECT_FALSE(j.data->positive.has_value());
  EXPECT_EQ(j.data->images, 0);
  EXPECT_FALSE(j.data->patients.has_value());
  EXPECT_EQ(j.cells.count({2, 1}), 1u);
}

TEST(RunJournal, ResumedRunKeepsItsStart) {
  const RunJournal j = ParseJournal(
      "{\"event\":\"run_started\",\"version\":\"1\",\"threads\":4,\"config\":\"a = 1\"}\n"
      "{\"event\":\"run_resumed\",\"version\":\"2\"}\n"
      "{\"event\":\"run_finished\",\"seconds\":12.5}\n");
  EXPECT_EQ(j.start->version, "1");
  EXPECT_EQ(j.start->threads, 4);
  EXPECT_TRUE(j.run_finished);
  EXPECT_EQ(j.total_seconds, 12.5);
}

}  // namespace
}  // namespace manako
