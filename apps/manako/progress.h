// Shows a study's progress: live lines on a terminal, plain lines elsewhere, JSON for machines.
#ifndef MANAKO_APPS_MANAKO_PROGRESS_H_
#define MANAKO_APPS_MANAKO_PROGRESS_H_

#include <memory>

#include "study/observer.h"

namespace manako {

enum class ProgressStyle { kTerminal, kPlain, kJson };

// kTerminal rewrites its lines on standard error; kPlain writes a line a round there; kJson writes
// the journal's events to standard output, one a line.
std::unique_ptr<StudyObserver> MakeProgress(ProgressStyle style);

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_PROGRESS_H_
