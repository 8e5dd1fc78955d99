#include "data/phantom/draw.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "base/status_macros.h"
#include "data/phantom/camera.h"
#include "data/phantom/canvas.h"
#include "data/phantom/detachment.h"
#include "data/phantom/eye.h"
#include "data/phantom/fundus.h"
#include "data/phantom/media.h"
#include "data/phantom/vessels.h"

namespace manako {
namespace phantom {
namespace {

constexpr int kJpegQuality = 92;

// The grey that detached retina and its flat lookalikes take on, relative to a fundus of medium
// brightness. One distribution for both, so that the colour alone does not tell them apart.
Pixel Grey(Random& random) {
  const float bright = static_cast<float>(random.Uniform(0.8, 1.2));
  const float green = static_cast<float>(random.Uniform(-10, 12));
  return bright * Pixel(137 - green, 125 + green, 78 + static_cast<float>(random.Uniform(-14, 20)));
}

// Lays the grey over the canvas. The local brightness of the fundus still shows through it.
void Veil(cv::Mat& canvas, const cv::Mat& cover, const Pixel& grey, double opacity) {
  for (int row = 0; row < canvas.rows; ++row) {
    Pixel* out = canvas.ptr<Pixel>(row);
    const float* cover_row = cover.ptr<float>(row);
    for (int column = 0; column < canvas.cols; ++column) {
      const float amount = static_cast<float>(opacity) * cover_row[column];
      if (amount <= 0.002f) continue;
      const float local = 0.45f + 0.55f * (out[column][0] + out[column][1]) * (1.0f / 235);
      Mix(out[column], local * grey, amount);
    }
  }
}

void Shade(cv::Mat& canvas, const Detachment& detachment) {
  const cv::Mat shade = Enlarged(detachment.shade, canvas.size());
  const cv::Mat line = Enlarged(detachment.line, canvas.size());
  for (int row = 0; row < canvas.rows; ++row) {
    Pixel* out = canvas.ptr<Pixel>(row);
    const float* shade_row = shade.ptr<float>(row);
    const float* line_row = line.ptr<float>(row);
    for (int column = 0; column < canvas.cols; ++column) {
      out[column] *= (1 + shade_row[column]) * (1 - 0.3f * line_row[column]);
    }
  }
}

// A horseshoe: the choroid's red in the hole, and the torn flap, pale, at its inner side.
void PaintBreak(cv::Mat& canvas, const Detachment& detachment) {
  const double radius = detachment.break_radius, angle = detachment.break_angle;
  const cv::Point2d inwards(std::cos(angle), std::sin(angle));
  const Pixel pale(196, 176, 128), red(158, 62, 24);
  PaintSpot(canvas, {detachment.break_at, 1.35 * radius, 0.35, 1.15, angle},
            [&](Pixel& p, float amount) { Mix(p, pale, 0.6f * amount); });
  PaintSpot(canvas, {detachment.break_at, radius, 0.3, 1.15, angle},
            [&](Pixel& p, float amount) { Mix(p, red, 0.9f * amount); });
  PaintSpot(canvas, {detachment.break_at - 0.35 * radius * inwards, 0.5 * radius, 0.5, 1.2, angle},
            [&](Pixel& p, float amount) { Mix(p, pale, 0.75f * amount); });
}

void MoveVessels(std::vector<Vessel>& vessels, const Detachment& detachment) {
  for (Vessel& vessel : vessels) {
    for (cv::Point2f& point : vessel.points) {
      const int x = std::clamp(static_cast<int>(point.x / 2), 0, detachment.shift_x.cols - 1);
      const int y = std::clamp(static_cast<int>(point.y / 2), 0, detachment.shift_x.rows - 1);
      point += cv::Point2f(detachment.shift_x.at<float>(y, x), detachment.shift_y.at<float>(y, x));
    }
  }
}

void Absorb(cv::Mat& canvas, const cv::Mat& vessels, const cv::Mat& cover, float strength) {
  for (int row = 0; row < canvas.rows; ++row) {
    Pixel* out = canvas.ptr<Pixel>(row);
    const uint8_t* vessel_row = vessels.ptr<uint8_t>(row);
    const float* cover_row = cover.empty() ? nullptr : cover.ptr<float>(row);
    for (int column = 0; column < canvas.cols; ++column) {
      if (vessel_row[column] == 0) continue;
      // Without the choroid's light from behind, vessels over a detachment look nearly black.
      const float over = cover_row ? cover_row[column] : 0;
      const float v = strength * (1.0f / 255) * vessel_row[column];
      Pixel& p = out[column];
      p[0] *= 1 - v * (0.36f + 0.18f * over);
      p[1] *= 1 - v * (0.62f + 0.06f * over);
      p[2] *= 1 - v * (0.55f + 0.08f * over);
    }
  }
}

}  // namespace
}  // namespace phantom

PhantomPicture DrawPhantom(const PhantomEye& eye) {
  using namespace phantom;  // NOLINT(build/namespaces): the public door to that namespace
  const Frame frame = FrameOf(eye);
  const Traits traits = TraitsOf(eye);
  const Detachment detachment = DetachmentOf(eye, frame);

  cv::Mat cover;
  if (eye.detachment) cover = Enlarged(detachment.cover, frame.size);
  Random fundus = StreamOf(eye, Layer::kFundus);
  cv::Mat canvas = PaintFundus(fundus, frame, traits, cover);

  Random lookalikes = StreamOf(eye, Layer::kLookalikes);
  PaintDisc(canvas, fundus, frame);
  PaintLookalikeSpots(canvas, lookalikes, frame, traits);
  // Flat grey patches are commoner in normal eyes here than in a clinic: they carry the
  // detachments' colours and outlines into the other class.
  if (Chance(lookalikes, eye.detachment ? 0.1 : 0.68)) {
    const Pixel grey = Grey(lookalikes);
    const double opacity = lookalikes.Uniform(0.4, 0.85), softness = lookalikes.Uniform(0.04, 0.5);
    const cv::Mat patch = Enlarged(FlatPatch(lookalikes, frame, softness), frame.size);
    Veil(canvas, patch, grey, opacity);
  }
  if (eye.detachment) Veil(canvas, cover, Grey(lookalikes), detachment.opacity);

  Random growth = StreamOf(eye, Layer::kVessels);
  std::vector<Vessel> vessels = GrowVessels(growth, frame, traits.winding);
  if (eye.detachment) MoveVessels(vessels, detachment);
  Absorb(canvas, PaintVessels(frame, vessels), cover, static_cast<float>(growth.Uniform(0.8, 1.1)));
  if (eye.detachment) {
    Shade(canvas, detachment);
    if (detachment.has_break) PaintBreak(canvas, detachment);
  }

  PaintMedia(canvas, lookalikes, frame);
  const double defocus = lookalikes.Uniform(0.3, 1.25) * (Chance(lookalikes, 0.12) ? 2 : 1);
  cv::GaussianBlur(canvas, canvas, cv::Size(0, 0), std::max(0.2, defocus * frame.unit));
  PaintLids(canvas, lookalikes, frame);
  return Expose(eye, canvas, frame);
}

double DetachmentShare(const PhantomEye& eye) {
  return phantom::DetachedShare(eye, phantom::FrameOf(eye));
}

absl::StatusOr<std::string> EncodeJpeg(const PhantomPicture& image) {
  try {
    const cv::Mat rgb(image.height, image.width, CV_8UC3,
                      const_cast<uint8_t*>(image.pixels.data()));
    cv::Mat bgr;
    cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
    std::vector<uint8_t> bytes;
    if (cv::imencode(".jpg", bgr, bytes, {cv::IMWRITE_JPEG_QUALITY, phantom::kJpegQuality})) {
      return std::string(bytes.begin(), bytes.end());
    }
    return Internal("OpenCV cannot encode a JPEG of {} x {}: is its imgcodecs built with libjpeg?",
                    image.width, image.height);
  } catch (const cv::Exception& error) {
    return Internal("OpenCV cannot encode a JPEG of {} x {}: {}", image.width, image.height,
                    error.what());
  }
}

}  // namespace manako
