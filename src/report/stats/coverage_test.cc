// Where the truth is known: how often do the intervals hold it? Fixed seeds, so the counts are
// facts, asserted in bands wide enough that a right method could not leave them by another choice
// of seed, and a wrong one would.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/random.h"
#include "report/stats/auc.h"
#include "report/stats/compare.h"

namespace manako::stats {
namespace {

// P(X > Y) for X ~ N(shift, v), Y ~ N(0, v).
double TrueAuc(double shift, double v) { return StudentTCdf(shift / std::sqrt(2 * v), kNormal); }

struct Simulated {
  std::vector<uint8_t> positive;
  std::vector<int64_t> patient;
  std::vector<double> scores;
};

// Patients with `images` images each; their scores share a part `common` (a variance of 1 in all).
// A patient is healthy or diseased with all images.
Simulated Simulate(Random& random, int patients, int images, double shift, double common) {
  Simulated s;
  for (int p = 0; p < patients; ++p) {
    const bool diseased = p % 2 == 0;
    const double shared = std::sqrt(common) * random.Normal();
    for (int k = 0; k < images; ++k) {
      s.positive.push_back(diseased);
      s.patient.push_back(p);
      s.scores.push_back((diseased ? shift : 0) + shared + std::sqrt(1 - common) * random.Normal());
    }
  }
  return s;
}

bool Holds(const Estimate& e, double truth) { return e.low <= truth && truth <= e.high; }

TEST(Coverage, LogitHoldsBetterThanPlainWhereAucsAreHigh) {
  const int trials = 2000;
  const double shift = 2.5;  // an AUC of 0.961
  int logit = 0, plain = 0;
  for (int t = 0; t < trials; ++t) {
    Random random(11, "coverage", t);
    const Simulated s = Simulate(random, 50, 1, shift, 0);
    const AucComponents model = ComputeAuc(s.scores, s.positive);
    const Clusters singles = Clusters::Singles(s.scores.size());
    const Joint joint = AucCovariance(std::span(&model, 1), s.positive, singles);
    const Measured m{model.auc, std::sqrt(joint.cov(0, 0)), kNormal};
    const double truth = TrueAuc(shift, 1);
    logit += Holds(AucInterval(m, CountPatients(s.positive, singles), "delong"), truth);
    plain += Holds(PlainInterval(m, 0.95, 0, 1), truth);
  }
  RecordProperty("logit", logit);
  RecordProperty("plain", plain);
  EXPECT_GT(logit, trials * 0.93);
  EXPECT_LT(logit, trials * 0.98);
  EXPECT_LT(plain, logit - trials * 0.02);
}

TEST(Coverage, ClusteredHoldsWherePlainIsTooNarrow) {
  const int trials = 1000;
  int clustered = 0, naive = 0;
  for (int t = 0; t < trials; ++t) {
    Random random(12, "coverage", t);
    const Simulated s = Simulate(random, 80, 5, 1.2, 0.7);
    const AucComponents model = ComputeAuc(s.scores, s.positive);
    const Clusters patients = Clusters::From(s.patient);
    const Clusters singles = Clusters::Singles(s.scores.size());
    const double truth = TrueAuc(1.2, 1);
    const auto interval = [&](const Clusters& clusters) {
      const Joint joint = AucCovariance(std::span(&model, 1), s.positive, clusters);
      return AucInterval({model.auc, std::sqrt(joint.cov(0, 0)), kNormal},
                         CountPatients(s.positive, clusters), "delong");
    };
    clustered += Holds(interval(patients), truth);
    naive += Holds(interval(singles), truth);
  }
  RecordProperty("clustered", clustered);
  RecordProperty("naive", naive);
  EXPECT_GT(clustered, trials * 0.92);
  EXPECT_LT(clustered, trials * 0.98);
  EXPECT_LT(naive, trials * 0.80);
}

TEST(Coverage, PairedDifference) {
  const int trials = 1000;
  int held = 0, independent = 0;
  for (int t = 0; t < trials; ++t) {
    Random random(13, "coverage", t);
    Simulated s = Simulate(random, 120, 1, 1.5, 0.8);
    std::vector<double> other;  // a second model: shares most of the image's difficulty, no better
    for (size_t i = 0; i < s.scores.size(); ++i) {
      other.push_back(s.scores[i] + 0.4 * random.Normal());
      s.scores[i] += 0.4 * random.Normal();
    }
    const std::vector<AucComponents> models = {ComputeAuc(s.scores, s.positive),
                                               ComputeAuc(other, s.positive)};
    Joint joint = AucCovariance(models, s.positive, Clusters::Singles(other.size()));
    held += Holds(PlainInterval(PairedDifference(joint), 0.95, -1, 1), 0);
    joint.covariance[1] = joint.covariance[2] = 0;
    independent += Holds(PlainInterval(PairedDifference(joint), 0.95, -1, 1), 0);
  }
  RecordProperty("held", held);
  EXPECT_GT(held, trials * 0.92);
  EXPECT_LT(held, trials * 0.98);
  EXPECT_GT(independent, trials * 0.99);  // as if on different patients: needlessly wide
}

// Two arms that are equally good on average, while each training (seed) shifts its model. A test
// that looks at one seed only, or at the test sample only, calls luck a difference; Obuchowski and
// Rockette's does not.
TEST(Coverage, RepeatsCountTheLuckOfTraining) {
  const int trials = 600, repeats = 4, images = 100;
  int held = 0, test_sample_only = 0;
  for (int t = 0; t < trials; ++t) {
    Random random(14, "coverage", t);
    std::vector<uint8_t> positive;
    std::vector<double> base;
    for (int i = 0; i < images; ++i) {
      positive.push_back(i % 2);
      base.push_back((i % 2) * 1.2 + random.Normal());
    }
    std::vector<AucComponents> models;
    for (int k = 0; k < 2 * repeats; ++k) {
      const double luck = 0.35 * random.Normal();  // this training separates better or worse
      std::vector<double> scores;
      for (int i = 0; i < images; ++i) {
        scores.push_back(base[i] + luck * positive[i] + 0.5 * random.Normal());
      }
      models.push_back(ComputeAuc(scores, positive));
    }
    const Joint joint = AucCovariance(models, positive, Clusters::Singles(images));
    held += Holds(PlainInterval(ObuchowskiRocketteDifference(joint), 0.95, -1, 1), 0);
    std::vector<double> weights(2 * repeats, 1.0 / repeats);
    for (int k = repeats; k < 2 * repeats; ++k) weights[k] = -1.0 / repeats;
    test_sample_only += Holds(PlainInterval(Combine(joint, weights), 0.95, -1, 1), 0);
  }
  RecordProperty("held", held);
  RecordProperty("test_sample_only", test_sample_only);
  EXPECT_GT(held, trials * 0.92);
  EXPECT_LT(held, trials * 0.99);
  EXPECT_LT(test_sample_only, trials * 0.80);
}

// Cross-validation's folds share training images. Means of k noisy numbers whose errors correlate
// as n_test / (n_test + n_train), which is Nadeau and Bengio's assumption, are held; the plain t
// interval is too narrow.
TEST(Coverage, CorrectedResampledT) {
  const int trials = 2000, folds = 10;
  const double ratio = 1.0 / 9, correlation = ratio / (1 + ratio);
  int held = 0, plain = 0;
  for (int t = 0; t < trials; ++t) {
    Random random(15, "coverage", t);
    const double shared = std::sqrt(correlation) * random.Normal();
    std::vector<double> values;
    for (int k = 0; k < folds; ++k) {
      values.push_back(shared + std::sqrt(1 - correlation) * random.Normal());
    }
    held += Holds(PlainInterval(CorrectedResampledT(values, ratio), 0.95, -9, 9), 0);
    plain += Holds(PlainInterval(CorrectedResampledT(values, 0), 0.95, -9, 9), 0);
  }
  RecordProperty("held", held);
  RecordProperty("plain", plain);
  EXPECT_GT(held, trials * 0.93);
  EXPECT_LT(held, trials * 0.97);
  EXPECT_LT(plain, trials * 0.90);
}

}  // namespace
}  // namespace manako::stats
