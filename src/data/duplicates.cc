#include "data/duplicates.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/status_macros.h"

namespace manako {
namespace {

using ByDigest = std::map<Sha256Digest, std::vector<size_t>>;

ByDigest Collect(const std::vector<Sha256Digest>& digests) {
  ByDigest same;
  for (size_t i = 0; i < digests.size(); ++i) same[digests[i]].push_back(i);
  return same;
}

size_t Root(std::vector<size_t>* parent, size_t i) {
  while ((*parent)[i] != i) i = (*parent)[i] = (*parent)[(*parent)[i]];
  return i;
}

}  // namespace

std::vector<size_t> SetDuplicatesAside(const std::vector<Sha256Digest>& digests, Dataset* dataset) {
  std::vector<Image>& images = dataset->images;
  std::vector<bool> dropped(images.size(), false);
  for (const auto& [digest, members] : Collect(digests)) {
    if (members.size() < 2) continue;
    ++dataset->duplicates.groups;
    dataset->duplicates.images += static_cast<int>(members.size());
    const Image& first = images[members[0]];
    const auto other = std::find_if(members.begin(), members.end(),
                                    [&](size_t i) { return images[i].label != first.label; });
    if (other != members.end()) {
      ++dataset->duplicates.conflicting;
      for (size_t i : members) {
        const Image& twin = images[i].label == first.label ? images[*other] : first;
        dropped[i] = true;
        dataset->bad.push_back(
            {images[i].file,
             fmt::format("same pixels as {}, which has another label ({})", twin.file,
                         dataset->classes[static_cast<size_t>(twin.label)])});
      }
      continue;
    }
    const bool in_test = std::any_of(members.begin(), members.end(),
                                     [&](size_t i) { return images[i].given == Split::kTest; });
    for (size_t i : members) {
      if (!in_test || images[i].given == Split::kTest) continue;
      dropped[i] = true;
      ++dataset->duplicates.moved;
    }
  }
  std::vector<size_t> kept;
  std::vector<Image> remaining;
  for (size_t i = 0; i < images.size(); ++i) {
    if (dropped[i]) continue;
    kept.push_back(i);
    remaining.push_back(std::move(images[i]));
  }
  images = std::move(remaining);
  return kept;
}

void AssignGroups(const std::vector<Sha256Digest>& digests, Dataset* dataset) {
  std::vector<Image>& images = dataset->images;
  std::vector<size_t> parent(images.size());
  std::iota(parent.begin(), parent.end(), size_t{0});
  const auto join = [&](size_t a, size_t b) {
    a = Root(&parent, a), b = Root(&parent, b);
    parent[std::max(a, b)] = std::min(a, b);
  };
  for (const auto& [digest, members] : Collect(digests)) {
    for (size_t i : members) join(members[0], i);
  }
  if (dataset->has_patients) {
    std::map<std::string, size_t> first;
    for (size_t i = 0; i < images.size(); ++i)
      join(first.emplace(images[i].patient, i).first->second, i);
  }
  std::map<size_t, int> number;
  for (size_t i = 0; i < images.size(); ++i) {
    images[i].group =
        number.emplace(Root(&parent, i), static_cast<int>(number.size())).first->second;
  }
}

}  // namespace manako
