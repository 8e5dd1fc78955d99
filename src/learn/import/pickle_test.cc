#include "learn/import/pickle.h"

#include <string>

#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace manako {
namespace {

using Kind = PickleValue::Kind;
using std::string_literals::operator""s;
using testing::HasSubstr;

constexpr std::string_view kAllowed[] = {"collections.OrderedDict", "a.b.call"};

absl::StatusOr<Pickle> Read(std::string_view bytes, size_t max_values = 1000) {
  ByteReader reader(bytes);
  return Pickle::Read(reader, {.globals = kAllowed, .max_values = max_values});
}

// The message of the refusal, with "OK" for none.
std::string Refusal(std::string_view bytes, size_t max_values = 1000) {
  const absl::StatusOr<Pickle> pickle = Read(bytes, max_values);
  return pickle.ok() ? "OK" : pickle.status().ToString();
}

int64_t IntegerOf(std::string_view bytes) {
  const absl::StatusOr<Pickle> pickle = Read(bytes);
  EXPECT_TRUE(pickle.ok()) << pickle.status();
  if (!pickle.ok()) return INT64_MIN;
  EXPECT_EQ(pickle->root().kind, Kind::kInt);
  return pickle->root().integer;
}

TEST(PickleTest, ReadsIntegersOfAllProtocols) {
  EXPECT_EQ(IntegerOf("I-12\n."), -12);
  EXPECT_EQ(IntegerOf("L7L\n."), 7);
  EXPECT_EQ(IntegerOf("J\xfe\xff\xff\xff."), -2);
  EXPECT_EQ(IntegerOf("K\xff."), 255);
  EXPECT_EQ(IntegerOf("M\xff\xff."), 65535);
  EXPECT_EQ(IntegerOf("\x8a\x00."s), 0);
  EXPECT_EQ(IntegerOf("\x8a\x01\x80."), -128);
  EXPECT_EQ(IntegerOf("\x8a\x02\xff\x00."s), 255);
  EXPECT_EQ(IntegerOf("\x8b\x01\x00\x00\x00\x7f."s), 127);
  EXPECT_EQ(IntegerOf("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), INT64_MAX);
}

TEST(PickleTest, IntegersBeyond64BitsKeepTheirText) {
  const std::string bytes = "\x8a\x09"s + "123456789" + ".";
  const absl::StatusOr<Pickle> binary = Read(bytes);
  ASSERT_TRUE(binary.ok());
  EXPECT_EQ(binary->root().kind, Kind::kBigInt);
  EXPECT_EQ(binary->root().text, "123456789");
  const absl::StatusOr<Pickle> decimal = Read("L119547037146038801333356L\n.");
  ASSERT_TRUE(decimal.ok());
  EXPECT_EQ(decimal->root().kind, Kind::kBigInt);
  EXPECT_EQ(decimal->root().text, "119547037146038801333356");
}

TEST(PickleTest, ReadsContainersInOrder) {
  // {"a": (1, 2, 3), "b": [None, True]}. Texts point into the bytes, so these must stay.
  const std::string bytes =
      "\x80\x02}q\x00(X\x01\x00\x00\x00"s + "aK\x01K\x02K\x03\x87\x8c\x01" + "b](N\x88" + "eu.";
  const absl::StatusOr<Pickle> pickle = Read(bytes);
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  ASSERT_EQ(pickle->root().kind, Kind::kDict);
  const auto items = pickle->items(pickle->root());
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(pickle->at(items[0]).text, "a");
  EXPECT_EQ(pickle->at(items[2]).text, "b");
  const auto tuple = pickle->items(pickle->at(items[1]));
  ASSERT_EQ(tuple.size(), 3u);
  EXPECT_EQ(pickle->at(tuple[0]).integer, 1);
  EXPECT_EQ(pickle->at(tuple[2]).integer, 3);
  const auto list = pickle->items(pickle->at(items[3]));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(pickle->at(list[0]).kind, Kind::kNone);
  EXPECT_EQ(pickle->at(list[1]).kind, Kind::kBool);
}

TEST(PickleTest, OrderedDictIsADictionaryAndLosesItsAttributes) {
  const std::string ordered = "ccollections\nOrderedDict\n";
  const absl::StatusOr<Pickle> plain = Read(ordered + ")RK\x01K\x02s}K\x05K\x06sb.");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->root().kind, Kind::kDict);
  EXPECT_EQ(plain->items(plain->root()).size(), 2u);
  const absl::StatusOr<Pickle> python2 = Read(ordered + "](](K\x01K\x02" + "ee\x85R.");
  ASSERT_TRUE(python2.ok()) << python2.status();
  ASSERT_EQ(python2->items(python2->root()).size(), 2u);
  EXPECT_EQ(python2->at(python2->items(python2->root())[1]).integer, 2);
  EXPECT_THAT(Refusal(ordered + "](K\x01" + "e\x85R."), HasSubstr("pairs"));
}

TEST(PickleTest, AnAllowedCallIsWrittenDownNotRun) {
  const absl::StatusOr<Pickle> pickle = Read("ca.b\ncall\nK\x01\x85R.");
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  ASSERT_EQ(pickle->root().kind, Kind::kCall);
  EXPECT_EQ(pickle->at(pickle->items(pickle->root())[0]).text, "a.b.call");
}

TEST(PickleTest, RefusesEveryOtherGlobalByName) {
  EXPECT_THAT(Refusal("cos\nsystem\n(S'true'\ntR."), HasSubstr("os.system"));
  EXPECT_THAT(Refusal("\x8c\x05posix\x8c\x06system\x93."), HasSubstr("posix.system"));
  EXPECT_THAT(Refusal("(ios\nsystem\n."), HasSubstr("os.system"));
  EXPECT_THAT(Refusal("(ia.b\ncall\n."), HasSubstr("INST"));
  // Names that begin, end or continue as an allowed one.
  EXPECT_THAT(Refusal("ca.b\ncal\n."), HasSubstr("a.b.cal"));
  EXPECT_THAT(Refusal("ca.b\ncalls\n."), HasSubstr("a.b.calls"));
  EXPECT_THAT(Refusal("ca.bXcall\n\n."), HasSubstr("a.bXcall"));
  EXPECT_THAT(Refusal("c\x1b[31m\nx\n."), HasSubstr("\\x1b[31m.x"));
}

TEST(PickleTest, RefusesOpcodesThatMakeObjects) {
  EXPECT_THAT(Refusal("ca.b\ncall\n)\x81."), HasSubstr("NEWOBJ"));
  EXPECT_THAT(Refusal("(ca.b\ncall\no."), HasSubstr("OBJ"));
  EXPECT_THAT(Refusal("\x82\x01."), HasSubstr("EXT1"));
  EXPECT_THAT(Refusal("Pabc\n."), HasSubstr("PERSID"));
  EXPECT_THAT(Refusal("\xff."), HasSubstr("unknown opcode 0xff"));
  EXPECT_THAT(Refusal("\x80\x06N."), HasSubstr("protocol"));
  EXPECT_THAT(Refusal("ca.b\ncall\n)R}b."), HasSubstr("attributes"));
  EXPECT_THAT(Refusal("N)R."), HasSubstr("calls None"));
}

TEST(PickleTest, RefusesWhatDoesNotFitTogether) {
  EXPECT_THAT(Refusal(""), HasSubstr("STOP"));
  EXPECT_THAT(Refusal("."), HasSubstr("exactly one"));
  EXPECT_THAT(Refusal("NN."), HasSubstr("exactly one"));
  EXPECT_THAT(Refusal("0."), HasSubstr("empty stack"));
  EXPECT_THAT(Refusal("N(\x85."), HasSubstr("empty stack"));  // not from below the mark
  EXPECT_THAT(Refusal("t."), HasSubstr("lacks a mark"));
  EXPECT_THAT(Refusal("}(Nu."), HasSubstr("without a value"));
  EXPECT_THAT(Refusal("(Nd."), HasSubstr("without a value"));
  EXPECT_THAT(Refusal("]NNs."), HasSubstr("adds items to a list"));
  EXPECT_THAT(Refusal("h\x00."s), HasSubstr("memo place 0"));
  EXPECT_THAT(Refusal("Nr\xff\xff\xff\xff."), HasSubstr("jumps to memo place 4294967295"));
  EXPECT_THAT(Refusal("X\xff\xff\xff\xff."), HasSubstr("string of 4294967295 bytes"));
  EXPECT_THAT(Refusal("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), HasSubstr("bytes"));
  EXPECT_THAT(Refusal("\x95\xff\xff\xff\xff\xff\xff\xff\xffN."), HasSubstr("frame"));
  EXPECT_THAT(Refusal("I1x\n."), HasSubstr("for an integer"));
}

TEST(PickleTest, CountsAreBounded) {
  EXPECT_EQ(Refusal("(" + std::string(9, 'N') + "t.", 10), "OK");
  EXPECT_THAT(Refusal("(" + std::string(11, 'N') + "t.", 10), HasSubstr("more than 10 values"));
  EXPECT_THAT(Refusal(std::string(11, '('), 10), HasSubstr("more than 10 marks"));
  EXPECT_THAT(Refusal("N" + std::string(11, '2'), 10), HasSubstr("on the stack"));
  std::string memo = "N";
  for (char i = 0; i < 11; ++i) memo += "\x94";
  EXPECT_THAT(Refusal(memo, 10), HasSubstr("memo places"));
  // The same long list, made into a dictionary again and again.
  std::string again = "](](K\x01K\x02" + "eq\x00"s;
  for (int i = 0; i < 29; ++i) again += "h\x00"s;
  again += "eq\x01" + "0"s;
  for (int i = 0; i < 20; ++i) again += "ccollections\nOrderedDict\nh\x01\x85R0";
  EXPECT_EQ(Refusal(again + "N.", 2000), "OK");
  EXPECT_THAT(Refusal(again + "N.", 200), HasSubstr("more than 200 items"));
}

TEST(PickleTest, ContainersMayContainThemselvesAndNestDeeply) {
  EXPECT_EQ(Refusal("]q\x00h\x00"s + "a."), "OK");
  const int depth = 300000;
  EXPECT_EQ(Refusal("N" + std::string(depth, '\x85') + ".", 1000000), "OK");
}

TEST(PickleTest, EveryTruncationIsRefused) {
  const std::string whole = "\x80\x02}q\x00(X\x01\x00\x00\x00"s + "aK\x01K\x02K\x03\x87\x8c\x01" +
                            "bccollections\nOrderedDict\n)RG12345678\x8a\x02zzI5\nM12J1234]tu.";
  ASSERT_EQ(Refusal(whole.substr(0, 0)), Refusal(""));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(Refusal(whole.substr(0, size)), "OK") << size;
  }
}

}  // namespace
}  // namespace manako
