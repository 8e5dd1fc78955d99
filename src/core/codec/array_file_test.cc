#include "core/codec/array_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "base/temporary_folder.h"
#include "core/codec/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;
using Encoding = ArrayEncoding;

constexpr Encoding kEncodings[] = {Encoding::kFloat32, Encoding::kBfloat16, Encoding::kFloat16,
                                   Encoding::kInt8};

std::string Text(const absl::Status& status) { return std::string(status.message()); }

std::vector<float> Decoded(Encoding encoding, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(EncodedSize(encoding, values.size()));
  EncodeValues(encoding, values, bytes.data());
  std::vector<float> decoded(values.size());
  DecodeValues(encoding, bytes.data(), decoded);
  return decoded;
}

// What comes back is what the encoding says, to the bit, through every way of storing it.
TEST(ArrayFileTest, RoundTrips) {
  constexpr float kMax = std::numeric_limits<float>::max(),
                  kTiny = std::numeric_limits<float>::denorm_min();
  for (const size_t n : {1, 2, 255, 256, 257, 511, 1000, 4096, 10001}) {
    std::vector<float> denormal(n), mixed(n);
    for (size_t i = 0; i < n; ++i) denormal[i] = static_cast<float>(i % 77) * kTiny;
    for (size_t i = 0; i < n; ++i) mixed[i] = i % 3 == 0 ? kMax : i % 3 == 1 ? -0.0f : 1e-20f;
    const std::vector<float> all[] = {Normals(n, 1),
                                      Normals(n, 2, 1e-7),
                                      Normals(n, 3, 1e30),
                                      std::vector<float>(n, 0.1f),
                                      std::vector<float>(n, 0.0f),
                                      denormal,
                                      mixed};
    for (const std::vector<float>& values : all) {
      for (const Encoding encoding : kEncodings) {
        for (const bool compress : {false, true}) {
          const auto file =
              WriteOrDie({kTestSpec, "", 1024, {{"a", n, encoding}}}, {{values}}, {1, compress});
          const auto back = ReadAll(file.bytes, 0);
          ASSERT_TRUE(back.ok()) << back.status();
          ASSERT_TRUE(SameBits(*back, Decoded(encoding, values))) << NameOf(encoding) << " " << n;
          const auto reader = ArrayFileReader::OpenBytes(file.bytes);
          const auto read = (*reader)->VerifyAll();
          ASSERT_TRUE(read.ok()) << read.status();
          ASSERT_EQ(read->sha256, Sha256Hex(file.bytes));
          ASSERT_EQ(read->sha256, file.summary.sha256);
          ASSERT_EQ(read->bytes, file.bytes.size());
          ASSERT_EQ(read->sections[0].l2, file.summary.sections[0].l2);
          ASSERT_EQ(read->sections[0].max_abs, file.summary.sections[0].max_abs);
          ASSERT_TRUE(read->finite());
        }
      }
    }
  }
}

TEST(ArrayFileTest, ChangesAgainstTheBase) {
  const std::vector<float> base = Normals(5000, 1), values = Near(base, 2, 1e-3);
  for (const Encoding encoding : {Encoding::kBfloat16, Encoding::kFloat16, Encoding::kInt8}) {
    const auto file = WriteOrDie({kTestSpec, kTestBase, 1024, {{"model", 5000, encoding, true}}},
                                 {{values, base}});
    const auto back = ReadAll(file.bytes, 0, base);
    ASSERT_TRUE(back.ok()) << back.status();
    double squares = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR((*back)[i], values[i], encoding == Encoding::kInt8 ? 3e-5 : 1e-5);
      squares += std::pow(static_cast<double>(values[i] - base[i]), 2);
    }
    EXPECT_NEAR(file.summary.sections[0].l2, std::sqrt(squares), 1e-4);
    EXPECT_EQ(file.summary.sections[0].change_l2, file.summary.sections[0].l2);
    EXPECT_THAT(Text(ReadAll(file.bytes, 0).status()), HasSubstr("need the base"));
  }
}

// Float32 against a base that both sides have is smaller, and still the values to the bit.
TEST(ArrayFileTest, CodesAgainstTheBaseWhereThatPays) {
  const std::vector<float> base = Normals(70000, 1), values = Near(base, 2, 1e-4);
  const ArrayFileHeader header{kTestSpec, kTestBase, kArrayBlock, {{"model", values.size()}}};
  const auto alone =
      WriteOrDie({kTestSpec, "", kArrayBlock, {{"model", values.size()}}}, {{values, base}});
  const auto against = WriteOrDie(header, {{values, base}});
  EXPECT_LT(alone.bytes.size(), 0.90 * 4 * values.size());
  EXPECT_LT(against.bytes.size(), 0.70 * 4 * values.size());
  EXPECT_TRUE(SameBits(*ReadAll(against.bytes, 0, base), values));
  EXPECT_TRUE(SameBits(*ReadAll(alone.bytes, 0), values));
  EXPECT_EQ(ReadAll(against.bytes, 0).status().code(), absl::StatusCode::kFailedPrecondition);

  const auto reader = *ArrayFileReader::OpenBytes(against.bytes);
  EXPECT_THAT(Text(reader->VerifyAll().status()), HasSubstr("coded against the base"));
  const auto read = reader->VerifyAll({1, BaseOf("model", base)});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->sections[0].change_l2, against.summary.sections[0].change_l2);
  EXPECT_NEAR(read->sections[0].change_l2, 1e-4 * std::sqrt(70000.0), 1e-3);
  // The base may be a file too, even one of another block length.
  const auto base_file = WriteOrDie({kTestSpec, "", 256, {{"model", base.size()}}}, {{base}});
  const auto base_reader = *ArrayFileReader::OpenBytes(base_file.bytes);
  const auto again = reader->VerifyAll({2, BaseOf(*base_reader)});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->sections[0].change_l2, read->sections[0].change_l2);
}

TEST(ArrayFileTest, NoiseIsLeftAsItIs) {
  std::vector<float> noise(65536);
  Random random(7, "bits");
  for (float& value : noise) value = std::bit_cast<float>(random());
  const auto file = WriteOrDie({kTestSpec, "", kArrayBlock, {{"a", noise.size()}}}, {{noise}});
  EXPECT_EQ(file.bytes.size(),
            WriteOrDie({kTestSpec, "", kArrayBlock, {{"a", noise.size()}}}, {{noise}}, {1, false})
                .bytes.size());
  EXPECT_TRUE(SameBits(*ReadAll(file.bytes, 0), noise));
}

TEST(ArrayFileTest, Float32KeepsWhatIsNotFiniteAndTellsWhere) {
  std::vector<float> values = Normals(1000, 1);
  values[700] = NAN;
  values[701] = -INFINITY;
  const auto file = WriteOrDie({kTestSpec, "", 256, {{"a", 5}, {"b", 1000}}},
                               {{std::span(values).first(5)}, {values}});
  EXPECT_TRUE(SameBits(*ReadAll(file.bytes, 1), values));
  const auto read = *(*ArrayFileReader::OpenBytes(file.bytes))->VerifyAll({2, {}});
  EXPECT_EQ(read.sections[0].first_non_finite, -1);
  EXPECT_EQ(read.sections[1].first_non_finite, 700);
  EXPECT_FALSE(read.finite());
  EXPECT_FALSE(std::isfinite(read.sections[1].max_abs));
}

TEST(ArrayFileTest, LossyEncodingsRefuseWhatIsNotFinite) {
  for (const Encoding encoding : {Encoding::kBfloat16, Encoding::kFloat16, Encoding::kInt8}) {
    std::vector<float> values = Normals(1000, 1);
    values[600] = INFINITY;
    values[999] = NAN;
    std::string bytes;
    const ArrayFileHeader header{kTestSpec, kTestBase, 256, {{"model", 1000, encoding, true}}};
    const std::vector<float> base(1000, 0.0f), far(1000, -3e38f), near(1000, 3e38f);
    for (const int threads : {1, 4}) {
      const auto status =
          WriteArrayBytes(header, std::vector<ArrayPiece>{{values, base}}, {threads}, bytes)
              .status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(Text(status), HasSubstr("element 600 of array model is inf"));
    }
    EXPECT_THAT(
        Text(WriteArrayBytes(header, std::vector<ArrayPiece>{{near, far}}, {}, bytes).status()),
        HasSubstr("the change of element 0 of array model is inf"));
  }
}

TEST(ArrayFileTest, NeitherThreadsNorPiecesReachTheBytes) {
  const size_t n = 20000;
  const std::vector<float> base = Normals(n, 1), values = Near(base, 2, 1e-3);
  for (const Encoding encoding : kEncodings) {
    const bool lossy = IsLossy(encoding);
    const ArrayFileHeader header{
        kTestSpec, kTestBase, 256, {{"model", n, encoding, lossy}, {"b", n, encoding}}};
    std::string first;
    std::vector<float> first_residual;
    ArrayFileSummary summary;
    for (const int threads : {1, 2, 5}) {
      std::vector<float> residual = Normals(n, 3, 1e-6);
      const ArrayPiece piece{values, base,
                             lossy ? std::span<const float>(residual) : std::span<const float>(),
                             lossy ? std::span<float>(residual) : std::span<float>()};
      const auto file = WriteOrDie(header, {piece, {values}}, {threads});
      if (threads == 1) first = file.bytes, first_residual = residual, summary = file.summary;
      EXPECT_EQ(file.bytes, first);
      EXPECT_TRUE(SameBits(residual, first_residual));
      EXPECT_EQ(file.summary.sections[0].l2, summary.sections[0].l2);
      const auto read = (*ArrayFileReader::OpenBytes(first))
                            ->VerifyAll({threads, [&](auto, uint64_t at, auto out) {
                                           std::copy_n(base.begin() + static_cast<ptrdiff_t>(at),
                                                       out.size(), out.begin());
                                           return absl::OkStatus();
                                         }});
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(read->sections[0].l2, summary.sections[0].l2);
      EXPECT_EQ(read->sections[0].change_l2, summary.sections[0].change_l2);
      EXPECT_EQ(read->sections[1].l2, summary.sections[1].l2);
    }
    std::string pieces;
    auto writer = *ArrayFileWriter::Create(header, {2}, [&](std::string_view bytes) {
      pieces += bytes;
      return absl::OkStatus();
    });
    std::vector<float> residual = Normals(n, 3, 1e-6);
    for (size_t at = 0; at < n; at += 512) {
      const size_t m = std::min<size_t>(512, n - at);
      ArrayPiece piece{std::span(values).subspan(at, m), std::span(base).subspan(at, m)};
      if (lossy) piece.residual = piece.new_residual = std::span(residual).subspan(at, m);
      ASSERT_TRUE(writer->Append(piece).ok());
    }
    for (size_t at = 0; at < n; at += 512) {
      ASSERT_TRUE(
          writer->Append({std::span(values).subspan(at, std::min<size_t>(512, n - at))}).ok());
    }
    ASSERT_TRUE(writer->Finish().ok());
    EXPECT_EQ(pieces, first);
    EXPECT_TRUE(SameBits(residual, first_residual));
  }
}

// With feedback, all that was decoded is all that was encoded but for one rounding, however many
// rounds; without it, what is too small for a round is lost in every one.
TEST(ArrayFileTest, ErrorFeedbackKeepsTheRunningSums) {
  const size_t n = 600;
  const int rounds = 300;
  for (const Encoding encoding : {Encoding::kBfloat16, Encoding::kFloat16, Encoding::kInt8}) {
    for (const bool feedback : {true, false}) {
      std::vector<float> residual(n, 0.0f);
      std::vector<double> encoded(n, 0), decoded(n, 0);
      double worst = 0, step = 0;
      for (int round = 0; round < rounds; ++round) {
        const std::vector<float> base = Normals(n, 1000 + static_cast<uint64_t>(round));
        std::vector<float> values = base;
        // The same small changes beside large ones, which the others' step does not resolve.
        for (size_t i = 0; i < n; ++i)
          values[i] += i % 50 == 0 ? 1.0f : 0.001f * static_cast<float>(i % 7 + 1);
        const ArrayFileHeader header{kTestSpec, kTestBase, 256, {{"model", n, encoding, true}}};
        const auto file = feedback ? WriteOrDie(header, {{values, base, residual, residual}})
                                   : WriteOrDie(header, {{values, base}});
        const auto reader = *ArrayFileReader::OpenBytes(file.bytes);
        std::vector<float> change(n);
        for (uint64_t k = 0; k < 3; ++k) {
          ASSERT_TRUE(
              reader->ReadBlock(0, k, std::span(change).subspan(k * 256, header.BlockSize(0, k)))
                  .ok());
        }
        for (size_t i = 0; i < n; ++i) {
          encoded[i] += static_cast<double>(values[i] - base[i]);
          decoded[i] += static_cast<double>(change[i]);
        }
        const double largest = file.summary.sections[0].max_abs;
        step = encoding == Encoding::kInt8
                   ? largest / 127
                   : largest / (encoding == Encoding::kFloat16 ? 1024 : 128);
        worst = 0;
        for (size_t i = 0; i < n; ++i) worst = std::max(worst, std::abs(encoded[i] - decoded[i]));
        ASSERT_TRUE(!feedback || worst <= step) << NameOf(encoding) << " round " << round;
      }
      EXPECT_TRUE(feedback || encoding != Encoding::kInt8 || worst > 10 * step);
    }
  }
}

// What float16 cuts off is sent later.
TEST(ArrayFileTest, FeedbackSendsWhatWasTooLarge) {
  const std::vector<float> large = {100000, -100000}, none = {0, 0};
  std::vector<float> residual(2, 0.0f);
  const ArrayFileHeader header{kTestSpec, "", 256, {{"a", 2, Encoding::kFloat16}}};
  EXPECT_EQ(*ReadAll(WriteOrDie(header, {{large, {}, residual, residual}}).bytes, 0),
            (std::vector<float>{65504, -65504}));
  EXPECT_EQ(*ReadAll(WriteOrDie(header, {{none, {}, residual, residual}}).bytes, 0),
            (std::vector<float>{34496, -34496}));
  EXPECT_EQ(residual, none);
}

TEST(ArrayFileTest, AFileOnDisk) {
  const TemporaryFolder folder;
  const std::string path = folder / "model";
  const std::vector<float> values = Normals(200000, 1);
  const auto written =
      WriteArrayFile(path, {kTestSpec, "", kArrayBlock, {{"model", values.size()}}},
                     std::vector<ArrayPiece>{{values}});
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(written->sha256, *Sha256HexOfFile(path));
  EXPECT_EQ(written->bytes, std::filesystem::file_size(path));
  const auto reader = ArrayFileReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto read = (*reader)->VerifyAll({2, BaseOf("model", values)});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->sections[0].l2, written->sections[0].l2);
  EXPECT_EQ(read->sections[0].change_l2, 0);
  // Over block borders.
  std::vector<float> part(70000);
  ASSERT_TRUE((*reader)->ReadRange(0, 65530, part).ok());
  EXPECT_TRUE(SameBits(part, std::span(values).subspan(65530, 70000)));
  EXPECT_FALSE((*reader)->ReadRange(0, 130001, part).ok());
  EXPECT_THAT(Text(ArrayFileReader::Open(folder / "none").status()),
              HasSubstr("there is no such file"));
  EXPECT_THAT(Text(ArrayFileReader::Open(folder.path()).status()), HasSubstr("is not a file"));
}

TEST(ArrayFileTest, ExpectationsAreNamedWhenTheyAreNotMet) {
  const std::vector<float> values = Normals(300, 1), base = Normals(300, 2);
  const auto file = WriteOrDie(
      {kTestSpec, kTestBase, 256, {{"model", 300, Encoding::kInt8, true}, {"control", 300}}},
      {{values, base}, {values}});
  const auto open = [&](const ArrayFileExpectation& expected) {
    return Text(ArrayFileReader::OpenBytes(file.bytes, expected).status());
  };
  EXPECT_EQ(open({kTestSpec, kTestBase, {{"model", 300}, {"control", 300}}}), "");
  EXPECT_EQ(open({}), "");
  EXPECT_THAT(open({Sha256Hex("other"), "", {}}),
              HasSubstr("is of a model with spec " + kTestSpec + ", not "));
  EXPECT_THAT(open({kTestSpec, kTestSpec, {}}),
              HasSubstr("holds changes against model " + kTestBase));
  EXPECT_THAT(open({"", "", {{"model", 301}, {"control", 300}}}),
              HasSubstr("has 300 elements in array model, not 301"));
  EXPECT_THAT(open({"", "", {{"model", 300}}}),
              HasSubstr("has array control in place 2: expected are model"));
  EXPECT_THAT(open({"", "", {{"model", 300}, {"control", 300}, {"x", 1}}}),
              HasSubstr("lacks array x"));
  EXPECT_THAT(open({"", "", {{"control", 300}, {"model", 300}}}),
              HasSubstr("expected are control, model"));
  // A file that depends on no base is welcome whatever the base.
  const auto plain = WriteOrDie({kTestSpec, "", 256, {{"model", 300}}}, {{values}});
  EXPECT_TRUE(
      ArrayFileReader::OpenBytes(plain.bytes, {kTestSpec, kTestBase, {{"model", 300}}}).ok());
}

TEST(ArrayFileTest, TheWriterRefusesWhatDoesNotFit) {
  const std::vector<float> values = Normals(1000, 1);
  std::vector<float> residual(1000, 0.0f);
  const std::span<const float> all(values);
  const auto append = [&](const ArraySection& section, const ArrayPiece& piece) {
    auto writer = ArrayFileWriter::Create({kTestSpec, kTestBase, 256, {section}}, {},
                                          [](std::string_view) { return absl::OkStatus(); });
    return Text((*writer)->Append(piece));
  };
  EXPECT_THAT(append({"a", 1000}, {all.first(100)}),
              HasSubstr("must be a multiple of 256 elements or the 1000"));
  EXPECT_THAT(append({"a", 999}, {all}), HasSubstr("but is 1000"));
  EXPECT_THAT(append({"a", 1000}, {all, all.first(256)}),
              HasSubstr("base of array a has 256 elements where 1000"));
  EXPECT_THAT(append({"a", 1000, Encoding::kInt8, true}, {all}), HasSubstr("no base is given"));
  EXPECT_THAT(append({"a", 1000}, {all, {}, residual, residual}), HasSubstr("lossless"));
  EXPECT_THAT(append({"a", 1000, Encoding::kInt8}, {all, {}, residual}),
              HasSubstr("both be given"));
  EXPECT_THAT(append({"a", 0}, {all}), HasSubstr("all arrays of the file are full"));

  auto writer = *ArrayFileWriter::Create({kTestSpec, "", 256, {{"a", 1000}}}, {},
                                         [](std::string_view) { return absl::OkStatus(); });
  ASSERT_TRUE(writer->Append({all.first(512)}).ok());
  EXPECT_THAT(Text(writer->Finish().status()), HasSubstr("2 of the file's 4 blocks"));

  const auto full = [](std::string_view) { return absl::ResourceExhaustedError("no space"); };
  EXPECT_FALSE(ArrayFileWriter::Create({kTestSpec, "", 256, {{"a", 1000}}}, {}, full).ok());
}

TEST(ArrayFileTest, HeadersHaveLimits) {
  const auto text = [](const ArrayFileHeader& header) {
    return Text(SerializeHeader(header).status());
  };
  EXPECT_EQ(text({kTestSpec, "", 65536, {{"model", 7}}}), "");
  EXPECT_THAT(text({"abc", "", 65536, {{"model", 7}}}), HasSubstr("spec_hash"));
  EXPECT_THAT(text({kTestSpec, std::string(64, '0'), 65536, {{"model", 7}}}),
              HasSubstr("base_digest"));
  EXPECT_THAT(text({kTestSpec, "", 1000, {{"model", 7}}}), HasSubstr("block_elements"));
  EXPECT_THAT(text({kTestSpec, "", 128, {{"model", 7}}}), HasSubstr("block_elements"));
  EXPECT_THAT(text({kTestSpec, "", 65536, {}}), HasSubstr("1 to 64 arrays"));
  EXPECT_THAT(text({kTestSpec, "", 65536, {{"", 7}}}), HasSubstr("name"));
  EXPECT_THAT(text({kTestSpec, "", 65536, {{"a/b", 7}}}), HasSubstr("name"));
  EXPECT_THAT(text({kTestSpec, "", 65536, {{std::string(65, 'a'), 7}}}), HasSubstr("name"));
  EXPECT_THAT(text({kTestSpec, "", 65536, {{"a", 7}, {"a", 7}}}), HasSubstr("twice"));
  EXPECT_THAT(text({kTestSpec, "", 65536, {{"a", (uint64_t{1} << 40) + 1}}}), HasSubstr("2^40"));
  EXPECT_THAT(text({kTestSpec, kTestBase, 65536, {{"a", 7, Encoding::kFloat32, true}}}),
              HasSubstr("holds values"));
  EXPECT_THAT(text({kTestSpec, "", 65536, {{"a", 7, Encoding::kInt8, true}}}),
              HasSubstr("against what"));
  EXPECT_THAT(text({kTestSpec, "", 256, {{"a", uint64_t{1} << 40}, {"b", uint64_t{1} << 40}}}),
              HasSubstr("2^32 blocks"));
}

}  // namespace
}  // namespace manako
