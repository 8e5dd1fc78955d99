#include "base/csv.h"

#include <gtest/gtest.h>

namespace manako {
namespace {

std::vector<std::vector<std::string>> All(CsvReader& reader) {
  std::vector<std::vector<std::string>> records;
  std::vector<std::string> fields;
  for (;;) {
    const auto more = reader.Next(fields);
    EXPECT_TRUE(more.ok());
    if (!more.ok() || !*more) return records;
    records.push_back(fields);
  }
}

using Records = std::vector<std::vector<std::string>>;

TEST(Csv, QuotesCommasAndLineBreaks) {
  CsvReader reader("a,\"b,\"\"c\"\"\nd\",\r\n,\nx\n");
  EXPECT_EQ(All(reader), (Records{{"a", "b,\"c\"\nd", ""}, {"", ""}, {"x"}}));
  EXPECT_EQ(reader.line(), 4);
  EXPECT_FALSE(reader.torn());
}

TEST(Csv, TornLastRecord) {
  for (const char* text : {"a,b\nc,d", "a,b\n\"c", "a,b\n\"c\"", "a,b\nc,", "a,b\n\"c\"\""}) {
    CsvReader reader(text);
    EXPECT_EQ(All(reader), (Records{{"a", "b"}})) << text;
    EXPECT_TRUE(reader.torn()) << text;
  }
  CsvReader empty("");
  EXPECT_TRUE(All(empty).empty());
  EXPECT_FALSE(empty.torn());
}

TEST(Csv, BadQuotes) {
  for (const char* text : {"a\n\"b\"c\n", "a\nb\"c\n"}) {
    CsvReader reader(text);
    std::vector<std::string> fields;
    ASSERT_TRUE(*reader.Next(fields));
    const auto more = reader.Next(fields);
    ASSERT_FALSE(more.ok());
    EXPECT_NE(std::string(more.status().message()).find("line 2"), std::string::npos);
  }
}

TEST(Csv, LenientAsSpreadsheetsWriteIt) {
  CsvReader reader("a ; \"b;c\" \r\n x\"y ;\r\"\"; z",
                   {.separator = ';', .lenient = true, .must_end_line = false});
  EXPECT_EQ(All(reader), (Records{{"a", "b;c"}, {"x\"y", ""}, {"", "z"}}));
  EXPECT_EQ(reader.line(), 3);
  EXPECT_FALSE(reader.torn());
  CsvReader open("a\n\"b\nc", {.lenient = true, .must_end_line = false});
  std::vector<std::string> fields;
  ASSERT_TRUE(*open.Next(fields));
  EXPECT_NE(std::string(open.Next(fields).status().message()).find("line 2: a quote is opened"),
            std::string::npos);
}

}  // namespace
}  // namespace manako
