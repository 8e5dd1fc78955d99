// A person at a page: signs in, looks, clicks. For tests.
//
// With MANAKO_SCREENSHOTS=FOLDER everything that is looked at is also drawn there, in both
// languages, at 1280 and 390 pixels.
#ifndef MANAKO_DASHBOARD_TESTING_VISITOR_H_
#define MANAKO_DASHBOARD_TESTING_VISITOR_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>
#include <string>

#include "dashboard/testing/browser.h"

namespace manako {

class Visitor {
 public:
  explicit Visitor(Browser* browser) : browser_(browser) {}

  std::string Text() { return browser_->Evaluate("document.body.innerText").dump(); }
  bool Sees(const std::string& text, int timeout_ms = 15'000) {
    return browser_->WaitFor(
        "document.body.innerText.includes(" + nlohmann::json(text).dump() + ")", timeout_ms);
  }
  bool SignIn(const std::string& user, const std::string& password) {
    return browser_->WaitFor("document.querySelector('.sign-in')") &&
           browser_->Type("user", user) && browser_->Type("password", password) &&
           browser_->Click("Sign in") && browser_->WaitFor("document.querySelector('.live h1')");
  }
  // Clicks in the dialog that the click before has opened.
  bool Confirm(const std::string& text) {
    return browser_->WaitFor("document.querySelector('dialog[open]')") && browser_->Click(text);
  }
  // Waits until the page has stopped changing, looks for what must never be seen, and draws it.
  void Look(const std::string& name) {
    const char* folder = getenv("MANAKO_SCREENSHOTS");
    for (const char* language : {"English", "日本語"}) {
      Choose(language);
      for (const int width : {1280, 390}) {
        browser_->SetSize(width, 900);
        browser_->Evaluate("new Promise((done) => setTimeout(done, 150))");
        const std::string seen = Text();
        for (const char* wrong :
             {"NaN", "undefined", "[object", "Infinity", "could not be drawn"}) {
          EXPECT_EQ(seen.find(wrong), std::string::npos) << name << ": " << wrong;
        }
        // Nothing but a table's own scrolling goes beyond the screen's side.
        EXPECT_LE(browser_->Evaluate("document.documentElement.scrollWidth").get<int>(), width)
            << name;
        // Every control has a name.
        EXPECT_EQ(browser_->Evaluate(
                      "[...document.querySelectorAll('button, a, input, select, "
                      "textarea')].filter((e) => "
                      "!(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length))"
                      ".map((e) => e.outerHTML)"),
                  nlohmann::json::array())
            << name;
        if (folder != nullptr) {
          browser_->Screenshot(std::string(folder) + "/" + name + "-" +
                               (language[0] == 'E' ? "en" : "ja") + "-" + std::to_string(width) +
                               ".png");
        }
      }
    }
    Choose("English");
    browser_->SetSize(1280, 900);
  }

 private:
  void Choose(const std::string& language) {
    browser_->Evaluate(
        "([...document.querySelectorAll('.languages button')].find((b) => b.textContent === '" +
        language + "').click(), true)");
  }

  Browser* const browser_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_TESTING_VISITOR_H_
