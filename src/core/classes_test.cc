#include "core/classes.h"

#include <gtest/gtest.h>

namespace manako {
namespace {

TEST(ClassesTest, TheDiseaseIsTheOneThatIsNotHealthy) {
  EXPECT_EQ(PositiveClass({"normal", "glaucoma"}, ""), 1);
  EXPECT_EQ(PositiveClass({"glaucoma", "Normal"}, ""), 0);
  EXPECT_EQ(PositiveClass({"dr", "No_DR"}, ""), 0);
  EXPECT_EQ(PositiveClass({"nodule", "control"}, ""), 0);
  EXPECT_EQ(PositiveClass({"a", "b"}, ""), 1);
  EXPECT_EQ(PositiveClass({"a", "b"}, "a"), 0);
  EXPECT_EQ(PositiveClass({"a", "b"}, "c"), -1);
  EXPECT_EQ(PositiveClass({"a", "b", "c"}, "a"), -1);
}

}  // namespace
}  // namespace manako
