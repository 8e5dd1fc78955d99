#include "data/phantom/plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace manako {
namespace {

TEST(PlanPhantoms, HasEachClassAndEachIndexOnce) {
  const std::vector<PhantomEye> eyes = PlanPhantoms({.seed = 7, .width = 99, .height = 88}, 100);
  ASSERT_EQ(eyes.size(), 200u);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(eyes[i].detachment, i >= 100);
    EXPECT_EQ(eyes[i].index, i % 100);
    EXPECT_EQ(eyes[i].seed, 7u);
    EXPECT_EQ(eyes[i].width, 99);
    EXPECT_EQ(eyes[i].height, 88);
  }
}

TEST(PlanPhantoms, PairsEyesAsPromised) {
  std::map<int, std::vector<PhantomEye>> patients;
  for (const PhantomEye& eye : PlanPhantoms({.seed = 7}, 973)) patients[eye.patient].push_back(eye);
  int number = 0, mixed = 0, normal = 0, detached = 0;
  for (const auto& [patient, eyes] : patients) {
    EXPECT_EQ(patient, ++number) << "patients are numbered without gaps";
    ASSERT_LE(eyes.size(), 2u);
    if (eyes.size() == 1) continue;
    EXPECT_NE(eyes[0].right_eye, eyes[1].right_eye);
    ++(eyes[0].detachment != eyes[1].detachment ? mixed : eyes[0].detachment ? detached : normal);
  }
  EXPECT_EQ(mixed, 145);    // floor(0.15 * 973)
  EXPECT_EQ(normal, 48);    // floor(0.05 * 973)
  EXPECT_EQ(detached, 19);  // floor(0.02 * 973)
}

TEST(PlanPhantoms, PatientNumbersSayNothingOfTheClass) {
  // Of the lower half of the patients' numbers about half must be detached.
  const std::vector<PhantomEye> eyes = PlanPhantoms({.seed = 3}, 1000);
  int low = 0, low_and_detached = 0;
  for (const PhantomEye& eye : eyes) {
    if (eye.patient > 890) continue;
    ++low;
    low_and_detached += eye.detachment ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(low_and_detached) / low, 0.5, 0.06);
}

TEST(PlanPhantoms, WorksForOneOfEach) {
  const std::vector<PhantomEye> eyes = PlanPhantoms({}, 1);
  ASSERT_EQ(eyes.size(), 2u);
  EXPECT_EQ((std::set<int>{eyes[0].patient, eyes[1].patient}), (std::set<int>{1, 2}));
}

TEST(PlanPhantoms, DependsOnTheSeed) {
  const auto patients = [](uint64_t seed) {
    std::vector<int> numbers;
    for (const PhantomEye& eye : PlanPhantoms({.seed = seed}, 50)) numbers.push_back(eye.patient);
    return numbers;
  };
  EXPECT_EQ(patients(1), patients(1));
  EXPECT_NE(patients(1), patients(2));
}

}  // namespace
}  // namespace manako
