#include "report/protocol.h"

#include <gtest/gtest.h>

namespace manako {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

TEST(Protocol, RowsInTheOrderOfTheFile) {
  const ProtocolRows p = ReadProtocol(
      "[train]\nlocal_epochs = 2\nlearning_rate = 0.001\naugment = true\n"
      "[data]\nsource = 'eyes'\ncache = ''\nseed = 7\n"
      "[study]\narms = ['pooled', 'federated']\nseed = 9\nmargin = 0.03\nrepeats = 5\nfolds = 4\n");
  EXPECT_EQ(p.rows, (Rows{{"local_epochs", "2"},
                          {"learning_rate", "0.001"},
                          {"augment", "true"},
                          {"source", "eyes"},
                          {"seed", "7"},
                          {"arms", "pooled, federated"},
                          {"study.seed", "9"},
                          {"margin", "0.03"},
                          {"repeats", "5"},
                          {"folds", "4"}}));
  EXPECT_EQ(p.margin, 0.03);
  EXPECT_EQ(p.repeats, 5);
  EXPECT_EQ(p.folds, 4);
}

TEST(Protocol, NonsenseIsNotBelieved) {
  const ProtocolRows p = ReadProtocol("[study]\nmargin = -1\nrepeats = 0\nfolds = 'x'\n");
  EXPECT_FALSE(p.margin || p.repeats || p.folds);
  EXPECT_FALSE(ReadProtocol("[study\n").readable);
  for (const char* bad :
       {"[.a]", "[[[a]]]", "[\n", "[#", "a = [}]", "[\xe7\x9c\xbc]", "a = \xff"}) {
    EXPECT_FALSE(ReadProtocol(bad).readable) << bad;
  }
  EXPECT_FALSE(ReadProtocol(std::string(100000, '[')).readable);
  EXPECT_FALSE(ReadProtocol("a = " + std::string(100000, '[')).readable);
  EXPECT_TRUE(ReadProtocol("").rows.empty());
  EXPECT_FALSE(ReadProtocol("study = 3\nwhen = 1979-05-27\n").margin);
}

}  // namespace
}  // namespace manako
