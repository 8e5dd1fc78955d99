// The learning rate at each step of a run.
#ifndef MANAKO_LEARN_SCHEDULE_H_
#define MANAKO_LEARN_SCHEDULE_H_

#include <cstdint>

#include "core/run_config.h"

namespace manako {

// The factor on the learning rate at `step` (from 0) of `total_steps`: a linear warm-up over
// config.warmup_share of the steps, then cosine to zero (Loshchilov and Hutter, ICLR 2017, without
// restarts), step_factor every step_rounds rounds, or constant. All sites of a run share the
// schedule by its relative position, however many steps each makes.
double ScheduleFactor(const TrainConfig& config, int64_t step, int64_t total_steps,
                      int64_t steps_per_round);

}  // namespace manako

#endif  // MANAKO_LEARN_SCHEDULE_H_
