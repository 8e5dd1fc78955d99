// Exact duplicates by decoded pixels, and the groups that no split may divide.
#ifndef MANAKO_DATA_DUPLICATES_H_
#define MANAKO_DATA_DUPLICATES_H_

#include <vector>

#include "base/hash.h"
#include "data/dataset.h"

namespace manako {

// Finds images whose pixels have the same digest (digests[i] belongs to dataset->images[i]) and
// fills dataset->duplicates, as dataset.h says: with different labels all of them are dropped and
// listed among `bad`; where some are in the given test set, those outside of it are dropped.
// Returns the indices that stay, ascending; `images` holds just those afterwards.
std::vector<size_t> SetDuplicatesAside(const std::vector<Sha256Digest>& digests, Dataset* dataset);

// Numbers the groups from 0 in the order of their first image: images of one patient (when
// has_patients) or with the same pixels are in one group, and so are those that are joined by a
// chain of such.
void AssignGroups(const std::vector<Sha256Digest>& digests, Dataset* dataset);

}  // namespace manako

#endif  // MANAKO_DATA_DUPLICATES_H_
