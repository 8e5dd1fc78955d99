#include "data/csv.h"

#include <gmock/gmock.h>

#include "data/testing.h"
#include "data/utf8.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(std::string_view bytes) {
  const auto table = ParseCsv(bytes, "m.csv");
  return table.ok() ? "ok" : std::string(MessageOf(table.status()));
}

TEST(CsvTest, QuotesLineEndsByteOrderMarkAndBlankLines) {
  const auto table = ParseCsv(
      "\xef\xbb\xbf"
      "file,label\r\n\"a,\"\"1\"\".png\", x \r\n\r\n\"two\nlines\",y",
      "m.csv");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->columns, ElementsAre("file", "label"));
  EXPECT_THAT(table->rows,
              ElementsAre(ElementsAre("a,\"1\".png", "x"), ElementsAre("two\nlines", "y")));
  EXPECT_THAT(table->lines, ElementsAre(2, 4));
  EXPECT_EQ(table->Find("label"), 1);
  EXPECT_EQ(table->Find("Label"), -1);
}

TEST(CsvTest, OtherSeparators) {
  EXPECT_THAT(ParseCsv("file;label\na,b;c\n", "m")->rows, ElementsAre(ElementsAre("a,b", "c")));
  EXPECT_THAT(ParseCsv("file\tlabel\ra\tb\r", "m")->rows, ElementsAre(ElementsAre("a", "b")));
}

TEST(CsvTest, ErrorsNameTheLine) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("m.csv: the file is empty"));
  EXPECT_THAT(ErrorOf("a,b\n1,2\n1,2,3\n"),
              HasSubstr("m.csv: line 3: 3 fields, but the header has 2"));
  EXPECT_THAT(ErrorOf("a,b\n1,\"2\n"),
              HasSubstr("m.csv: line 2: a quote is opened and never closed"));
  EXPECT_THAT(ErrorOf("a,b\n\"1\"x,2\n"),
              HasSubstr("m.csv: line 2: text stands behind a closing quote"));
  EXPECT_THAT(ErrorOf("a,a\n"), HasSubstr("line 1: a column name is empty or stands twice"));
  EXPECT_THAT(ErrorOf("a,b\n1,2\nJos\xe9,2\n"), HasSubstr("line 3: byte 0xe9 is no UTF-8"));
  EXPECT_THAT(ErrorOf(std::string("\xff\xfe"
                                  "a\0,\0",
                                  6)),
              HasSubstr("line 1: the file is encoded as UTF-16: save"));
  EXPECT_THAT(ErrorOf(std::string("a\0,\0b\0\n\0", 8)), HasSubstr("UTF-16"));
  EXPECT_EQ(ErrorOf("a,b\n\xe7\x9c\xbc,2\n"), "ok");
}

TEST(CsvTest, DamagedBytesDoNoHarm) {
  const std::string bytes =
      "\xef\xbb\xbf"
      "file,label\r\n\"a,\"\"1\"\".png\",\xe7\x9c\xbc\r\n";
  Mutate(bytes, [](std::string_view damaged) { (void)ParseCsv(damaged, "m"); });
}

TEST(Utf8Test, FollowsRfc3629) {
  EXPECT_EQ(FindInvalidUtf8("a\xc3\xa9\xe7\x9c\xbc\xf0\x9f\x91\x81"), 10u);
  EXPECT_EQ(FindInvalidUtf8("a\xc0\x80"), 1u);         // overlong
  EXPECT_EQ(FindInvalidUtf8("\xed\xa0\x80"), 0u);      // surrogate
  EXPECT_EQ(FindInvalidUtf8("\xf4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(FindInvalidUtf8("ab\xe7\x9c"), 2u);        // cut off
  EXPECT_EQ(ToDisplay("a\n\xff%41\xc3\xa9"), "a%0A%FF%2541\xc3\xa9");
}

}  // namespace
}  // namespace manako
