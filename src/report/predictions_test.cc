#include "report/predictions.h"

#include <gtest/gtest.h>

namespace manako {
namespace {

const std::string kHeader =
    "repeat,fold,arm,site,split,file,patient,image_site,label,p_ill,p_well\n";

TEST(RunPredictions, ColumnsInOrderOfImages) {
  const auto p =
      ParsePredictions(kHeader +
                       "1,1,pooled,,test,a.png,A,one,ill,0.75,0.25\n"
                       "1,1,pooled,,test,b.png,B,two,well,0.5,0.5\n"
                       "1,1,alone,one,test,b.png,B,two,well,0.1,0.9\n"
                       "1,1,alone,one,test,a.png,A,one,ill,0.9,0.1\n"
                       "1,1,alone,one,test,b.png,B,two,well,0.25,0.75\n"  // after a crash
                       "1,1,pooled,,validation,\"c,\"\"\n.png\",C,,ill,1,0\n");
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(p->classes, (std::vector<std::string>{"ill", "well"}));
  EXPECT_EQ(p->files, (std::vector<std::string>{"a.png", "b.png", "c,\"\n.png"}));
  const ModelPredictions& alone = *p->test.at({1, 1, "alone", "one"});
  EXPECT_EQ(alone.image, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(alone.label, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(alone.probability, (std::vector<float>{0.9f, 0.1f, 0.25f, 0.75f}));
  EXPECT_EQ(alone.image_site, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(p->validation.at({1, 1, "pooled", ""})->size(), 1u);
  EXPECT_FALSE(p->torn);
}

TEST(RunPredictions, NineDigitsAreAFloatExactly) {
  const auto p = ParsePredictions(kHeader + "1,1,pooled,,test,a,A,,ill,0.333333343,0.666666687\n");
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(p->test.begin()->second->probability, (std::vector<float>{1.0f / 3.0f, 2.0f / 3.0f}));
}

TEST(RunPredictions, TornLastLineIsLeftOut) {
  const auto p = ParsePredictions(kHeader +
                                  "1,1,pooled,,test,a,A,,ill,1,0\n"
                                  "1,1,pooled,,test,b,B,,ill,1,0.");
  ASSERT_TRUE(p.ok());
  EXPECT_TRUE(p->torn);
  EXPECT_EQ(p->test.begin()->second->size(), 1u);
  EXPECT_TRUE(ParsePredictions("repeat,fo")->torn);
  EXPECT_TRUE(ParsePredictions("")->classes.empty());
}

TEST(RunPredictions, NumbersThatAreNoProbability) {
  for (const char* bad : {"nan", "inf", "-0.1", "1.5", "1e999"}) {
    const auto p =
        ParsePredictions(kHeader + "1,1,pooled,,test,a,A,,ill," + std::string(bad) + ",0\n");
    ASSERT_TRUE(p.ok()) << bad;
    EXPECT_FALSE(p->test.begin()->second->finite) << bad;
  }
}

TEST(RunPredictions, RefusesWithTheLine) {
  const std::string good = "1,1,pooled,,test,a,A,,ill,1,0\n";
  const std::vector<std::string> bad = {
      "1,1,pooled,,test,b,B,,ill,1\n",              // a field too few
      "1,1,pooled,,test,b,B,,ill,1,0,0\n",          // one too many
      "0,1,pooled,,test,b,B,,ill,1,0\n",            // repeats count from 1
      "1,99999999999,pooled,,test,b,B,,ill,1,0\n",  // overflow
      "1,1,pooled,,train,b,B,,ill,1,0\n",           // no such split
      "1,1,pooled,,test,b,B,,sick,1,0\n",           // no such class
      "1,1,pooled,,test,b,B,,ill,one,0\n",          // no number
      "1,1,alone,x,test,a,A,,well,1,0\n",           // another class for the same image
      "1,1,alone,x,test,a,Z,,ill,1,0\n",            // another patient
      "1,1,pooled,,test,\"b\"x,B,,ill,1,0\n"};
  for (const std::string& line : bad) {
    const auto p = ParsePredictions(kHeader + good + line);
    ASSERT_FALSE(p.ok()) << line;
    EXPECT_NE(std::string(p.status().message()).find("line 3"), std::string::npos) << p.status();
  }
  EXPECT_FALSE(ParsePredictions("a,b\n").ok());
  EXPECT_FALSE(ParsePredictions("repeat,fold,arm,site,split,file,patient,image_site,label\n").ok());
  EXPECT_FALSE(
      ParsePredictions("repeat,fold,arm,site,split,file,patient,image_site,label,p_a,p_a\n").ok());
}

}  // namespace
}  // namespace manako
