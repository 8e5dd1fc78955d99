// Which round's model a training ends with, judged on validation images.
#ifndef MANAKO_ROUND_ROUND_CHOICE_H_
#define MANAKO_ROUND_ROUND_CHOICE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace manako {

// The standard error of an AUC (Hanley and McNeil 1982), with images[c] images of class c; of more
// than two classes the mean of each against the others. An AUC counts as at most one from which
// half an image of the smaller class is taken, so that a perfect one of few images is not taken for
// certain. NaN where a class has no image.
double AucStandardError(double auc, const std::vector<int64_t>& images);

// What is known of the rounds so far. A checkpoint keeps it; it may also be made again from all
// rounds.
struct RoundChoice {
  int round = -1;  // whose model is kept; -1: none, 0: the untrained one
  double best_auc =
      0;  // the highest so far, of trained rounds; NaN: undefined (validation images of one class)
  double best_loss = 0;  // of the same round
  int since_best = 0;    // rounds behind that one
};

// `select` as federation.select:
//   near_best  the last round whose AUC is within two standard errors of the highest (the rule of
//              Breiman et al. 1984, which has one). Of a few dozen validation images the highest
//              AUC is mostly luck, and the early round that has it mostly worse than later ones.
//   best       the round with the highest AUC
//   last       the last round
// Of equal AUCs the one with the lower loss is the best; where AUC is undefined the lowest loss.
// Without validation images: the last.
class RoundChooser {
 public:
  RoundChooser(std::string select, std::vector<int64_t> validation_images)
      : select_(std::move(select)), images_(std::move(validation_images)) {}

  // Takes a round, each later than those before. True: its model is the one to keep now.
  bool Add(RoundChoice& choice, int round, double auc, double loss) const;

 private:
  std::string select_;
  std::vector<int64_t> images_;  // by class
};

}  // namespace manako

#endif  // MANAKO_ROUND_ROUND_CHOICE_H_
