#include "data/phantom/phantom.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <mutex>
#include <opencv2/core.hpp>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "data/phantom/draw.h"
#include "data/phantom/plan.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

constexpr int kDrawing = 1;  // raise it when the same options draw other pictures
constexpr int kMaxPerClass = 1'000'000;
constexpr char kMark[] = "SYNTHETIC.txt";
constexpr char kManifest[] = "manifest.csv";
constexpr char kLock[] = ".lock";  // base/files.h's FolderLock

const char* LabelOf(const PhantomEye& eye) { return eye.detachment ? "detachment" : "normal"; }

std::string FileOf(const PhantomEye& eye) {
  return fmt::format("{0}/{0}_{1:06}.jpg", LabelOf(eye), eye.index);
}

absl::Status Check(const PhantomOptions& options) {
  if (options.out.empty()) return InvalidArgument("the folder for phantom images is empty (--out)");
  if (options.per_class < 1 || options.per_class > kMaxPerClass) {
    return InvalidArgument("per_class must be 1 to {}, but is {} (--per-class)", kMaxPerClass,
                           options.per_class);
  }
  for (const int side : {options.width, options.height}) {
    if (side < kMinPhantomSide || side > kMaxPhantomSide) {
      return InvalidArgument(
          "width and height must be {} to {} pixels, but are {} x {} (--width, --height)",
          kMinPhantomSide, kMaxPhantomSide, options.width, options.height);
    }
  }
  if (options.threads < 1) {
    return InvalidArgument("threads must be > 0, but is {} (--threads)", options.threads);
  }
  return absl::OkStatus();
}

// Equal for equal options, and only for them: it tells whose folder this is.
std::string MarkOf(const PhantomOptions& options) {
  return fmt::format(
      "The images in this folder are synthetic: a program (manako phantom) drew them. They show no "
      "person's eye.\n"
      "このフォルダの画像は合成画像です。プログラム (manako phantom) "
      "が描いたもので、実在の人の眼ではありません。\n"
      "per_class={} seed={} width={} height={} drawing={}\n",
      options.per_class, options.seed, options.width, options.height, kDrawing);
}

// The last line of a mark, fit to be shown whatever the file holds.
std::string OptionsIn(std::string_view mark) {
  while (!mark.empty() && mark.back() == '\n') mark.remove_suffix(1);
  const size_t line = mark.rfind('\n');
  if (line != std::string_view::npos) mark.remove_prefix(line + 1);
  std::string shown(mark.substr(0, 120));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < 32 || c > 126; }, '?');
  return shown;
}

// "normal/normal_000001.jpg.part.a1B2c3" -> "normal/normal_000001.jpg"; empty when it is no such
// name. An interrupted AtomicFileWriter leaves such files.
std::string WholeNameOf(const std::string& name) {
  constexpr std::string_view kPart = ".part.";
  constexpr size_t kTail = kPart.size() + 6;
  if (name.size() <= kTail || name.compare(name.size() - kTail, kPart.size(), kPart) != 0)
    return "";
  return name.substr(0, name.size() - kTail);
}

// Looks at everything in the folder. Leaves what this run would write, collects the torn rest of an
// earlier one, and refuses at the first file that is neither.
absl::StatusOr<std::vector<std::string>> Leftovers(const PhantomOptions& options,
                                                   const std::set<std::string>& ours) {
  std::vector<std::string> leftovers;
  std::error_code error;
  fs::recursive_directory_iterator entry(options.out, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().lexically_relative(options.out).generic_string();
    if (ours.contains(name) && !entry->is_symlink()) continue;
    if (ours.contains(WholeNameOf(name))) {
      leftovers.push_back(entry->path().string());
      continue;
    }
    return FailedPrecondition(
        "{} holds something else than phantoms ({}): give a new folder (--out)", options.out, name);
  }
  if (error) return FailedPrecondition("cannot list {}: {}", options.out, error.message());
  return leftovers;
}

absl::Status CheckMark(const PhantomOptions& options) {
  constexpr uint64_t kMaxMark = 1 << 16;
  const std::string path = options.out + "/" + kMark;
  const absl::StatusOr<std::string> mark = ReadFile(path, kMaxMark);
  const std::string wanted = MarkOf(options);
  if (mark.ok()) {
    if (*mark == wanted) return absl::OkStatus();
    return FailedPrecondition(
        "{} holds phantoms of other options ({}) than asked for ({}): give a new folder (--out)",
        options.out, OptionsIn(*mark), OptionsIn(wanted));
  }
  if (!absl::IsNotFound(mark.status())) return mark.status();
  std::error_code error;
  for (fs::directory_iterator entry(options.out, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name == kLock || WholeNameOf(name) == kMark) continue;
    return FailedPrecondition("{} is not empty (it holds {}): give a new folder (--out)",
                              options.out, name);
  }
  if (error) return FailedPrecondition("cannot list {}: {}", options.out, error.message());
  return absl::OkStatus();
}

// A JPEG from its first marker to its last. Files appear whole, but a disk can lose what it had
// promised.
bool IsWholeJpeg(const std::string& path) {
  constexpr uint64_t kMaxJpeg = uint64_t{1} << 27;
  const absl::StatusOr<std::string> bytes = ReadFile(path, kMaxJpeg);
  return bytes.ok() && bytes->size() > 4 && bytes->starts_with("\xff\xd8") &&
         bytes->ends_with("\xff\xd9");
}

// Draws a picture unless it is there. `share` gets the detached share in either case.
absl::Status DrawInto(const std::string& path, const PhantomEye& eye, double& share) {
  try {
    share = DetachmentShare(eye);
    if (IsWholeJpeg(path)) return absl::OkStatus();
    MANAKO_ASSIGN_OR_RETURN(const std::string jpeg, EncodeJpeg(DrawPhantom(eye)));
    return WriteFileAtomically(path, jpeg);
  } catch (const cv::Exception& error) {
    return Internal("OpenCV cannot draw {}: {}", path, error.what());
  } catch (const std::bad_alloc&) {
    return ResourceExhausted(
        "not enough memory to draw {} ({} x {} pixels): use fewer threads or a smaller size", path,
        eye.width, eye.height);
  }
}

std::string ManifestOf(const std::vector<PhantomEye>& eyes, const std::vector<double>& shares) {
  std::string csv = "file,label,patient,detachment_share\n";
  for (size_t i = 0; i < eyes.size(); ++i) {
    csv += fmt::format("{},{},P{:06},{:.4f}\n", FileOf(eyes[i]), LabelOf(eyes[i]), eyes[i].patient,
                       shares[i]);
  }
  return csv;
}

}  // namespace

absl::Status WritePhantoms(const PhantomOptions& options,
                           const std::function<void(int done, int total)>& progress) {
  MANAKO_RETURN_IF_ERROR(Check(options));
  const std::string& out = options.out;
  const std::vector<PhantomEye> eyes = PlanPhantoms(
      {.seed = options.seed, .width = options.width, .height = options.height}, options.per_class);
  std::set<std::string> ours = {kMark, kManifest, kLock, "normal", "detachment"};
  for (const PhantomEye& eye : eyes) ours.insert(FileOf(eye));

  MANAKO_RETURN_IF_ERROR(MakeFolders(out));
  // Before the lock, so that a folder that is refused is left exactly as it was.
  MANAKO_RETURN_IF_ERROR(CheckMark(options));
  MANAKO_RETURN_IF_ERROR(Leftovers(options, ours).status());
  MANAKO_ASSIGN_OR_RETURN(const std::unique_ptr<FolderLock> lock, FolderLock::Take(out));
  MANAKO_RETURN_IF_ERROR(CheckMark(options));
  MANAKO_ASSIGN_OR_RETURN(const std::vector<std::string> leftovers, Leftovers(options, ours));
  for (const std::string& leftover : leftovers) {
    std::error_code ignored;  // one that stays does no harm
    fs::remove(leftover, ignored);
  }
  if (!fs::exists(out + "/" + kMark)) {
    MANAKO_RETURN_IF_ERROR(WriteFileAtomically(out + "/" + kMark, MarkOf(options)));
  }
  for (const char* label : {"normal", "detachment"})
    MANAKO_RETURN_IF_ERROR(MakeFolders(out + "/" + label));

  std::vector<double> shares(eyes.size());
  std::mutex mutex;
  absl::Status failure;
  int done = 0;
  ParallelFor(options.threads, eyes.size(), [&](size_t i) {
    {
      const std::lock_guard<std::mutex> guard(mutex);
      if (!failure.ok()) return;
    }
    const std::string path = out + "/" + FileOf(eyes[i]);
    const absl::Status status = DrawInto(path, eyes[i], shares[i]);
    const std::lock_guard<std::mutex> guard(mutex);
    if (!status.ok()) {
      failure = status;
      return;
    }
    ++done;
    if (progress) progress(done, static_cast<int>(eyes.size()));
  });
  MANAKO_RETURN_IF_ERROR(failure);

  const std::string manifest = ManifestOf(eyes, shares);
  const absl::StatusOr<std::string> present = ReadFile(out + "/" + kManifest);
  if (present.ok() && *present == manifest) return absl::OkStatus();
  return WriteFileAtomically(out + "/" + kManifest, manifest);
}

}  // namespace manako
