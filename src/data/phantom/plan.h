// Which phantom shows which eye of which invented patient.
#ifndef MANAKO_DATA_PHANTOM_PLAN_H_
#define MANAKO_DATA_PHANTOM_PLAN_H_

#include <cstdint>
#include <vector>

namespace manako {

// One picture to draw. (seed, index, detachment) name its random stream; `patient` names the stream
// of what both eyes of a patient share (pigment, choroid, vessels' winding), so that a split that
// ignores patients leaks a little, as it does with real photographs.
struct PhantomEye {
  uint64_t seed = 7;
  int index = 0;  // within its class
  bool detachment = false;
  int patient = 0;
  bool right_eye = false;
  int width = 512, height = 420;  // pixels
};

// The share of each class whose patient has a second picture. A detachment is mostly one-sided, so
// most pairs are a detached eye and its healthy fellow.
inline constexpr double kMixedPairs = 0.15;       // n * 0.15 patients: one normal eye, one detached
inline constexpr double kNormalPairs = 0.05;      // n * 0.05 patients: both eyes normal
inline constexpr double kDetachmentPairs = 0.02;  // n * 0.02 patients: both eyes detached

// The 2 * per_class pictures, the normal ones first, each class by index. Patients are numbered
// from 1 without gaps, in an order that says nothing about the class. Two pictures of a patient are
// a right and a left eye. `eye` gives seed, width and height. per_class must be > 0.
std::vector<PhantomEye> PlanPhantoms(const PhantomEye& eye, int per_class);

}  // namespace manako

#endif  // MANAKO_DATA_PHANTOM_PLAN_H_
