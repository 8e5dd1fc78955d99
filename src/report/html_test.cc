#include "report/html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace manako {
namespace {

const std::string kOpening = "<script type=\"application/json\" id=\"manako-report\">";

TEST(Html, NothingInTheDataEndsTheElement) {
  const nlohmann::json data = {{"file", "</script><script>alert(1)</script><!-- & \xe7\x9c\xbc"}};
  const auto html = PutJsonIntoPage("<p>a</p>" + kOpening + "null</script><p>b</p>", data.dump());
  ASSERT_TRUE(html.ok());
  const size_t begin = html->find(kOpening) + kOpening.size();
  const size_t end = html->find("</script>", begin);
  EXPECT_EQ(nlohmann::json::parse(html->substr(begin, end - begin)), data);
  EXPECT_EQ(html->substr(end), "</script><p>b</p>");
  EXPECT_EQ(html->find("<!--"), std::string::npos);
}

TEST(Html, PageMustHaveExactlyOnePlace) {
  EXPECT_FALSE(PutJsonIntoPage("<p></p>", "{}").ok());
  EXPECT_FALSE(PutJsonIntoPage(kOpening + "</script>" + kOpening + "</script>", "{}").ok());
  EXPECT_FALSE(PutJsonIntoPage(kOpening, "{}").ok());
}

TEST(Html, TheBuiltInPageTakesData) {
  EXPECT_GT(ReportPage().size(), 500u);
  EXPECT_TRUE(PutJsonIntoPage(ReportPage(), "{}").ok());
}

TEST(Html, Base64) {  // RFC 4648, section 10
  const std::string prefix = "data:image/jpeg;base64,";
  EXPECT_EQ(JpegDataUrl(""), prefix);
  EXPECT_EQ(JpegDataUrl("f"), prefix + "Zg==");
  EXPECT_EQ(JpegDataUrl("fo"), prefix + "Zm8=");
  EXPECT_EQ(JpegDataUrl("foo"), prefix + "Zm9v");
  EXPECT_EQ(JpegDataUrl("foobar"), prefix + "Zm9vYmFy");
  EXPECT_EQ(JpegDataUrl(std::string("\xff\xfe\x00", 3)), prefix + "//4A");
}

}  // namespace
}  // namespace manako
