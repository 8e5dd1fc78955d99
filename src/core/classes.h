// Which of two classes is the disease.
#ifndef MANAKO_CORE_CLASSES_H_
#define MANAKO_CORE_CLASSES_H_

#include <string>
#include <vector>

namespace manako {

// Whether a class of this name is the healthy one: normal, control, no_dr, ...
bool MeansHealthy(const std::string& name);

// The index of the positive class of two: the one that is wanted by name, or else the one that
// isn't healthy by its name, or else the second. -1 where there are not two classes, or none has
// the wanted name.
int PositiveClass(const std::vector<std::string>& classes, const std::string& wanted);

}  // namespace manako

#endif  // MANAKO_CORE_CLASSES_H_
