// That every text of the live pages exists in both languages, says the same things in both, and is Japanese where it
// should be.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kAskStates, kEvents, kPhases, kRunSiteStates, kRunStates, kSiteStates, named, textOf } from "../dashboard/labels";
import { texts as server } from "../dashboard/texts";
import { kAnswers, kKinds, kReceipts, kStages } from "../site/labels";
import { texts as site } from "../site/texts";
import type { Text } from "../kit/language";
import { texts as live } from "./texts";
import { ago, bytes, moment, until } from "./time";

const maps: Record<string, Map<string, Text>> = {
  kRunStates,
  kSiteStates,
  kRunSiteStates,
  kAskStates,
  kPhases,
  kEvents,
  kStages,
  kAnswers,
  kKinds,
  kReceipts,
};
const all: [string, Text][] = [
  ...Object.entries(live).map(([k, v]): [string, Text] => [`live ${k}`, v]),
  ...Object.entries(server).map(([k, v]): [string, Text] => [`server ${k}`, v]),
  ...Object.entries(site).map(([k, v]): [string, Text] => [`site ${k}`, v]),
  ...Object.entries(maps).flatMap(([m, map]) => [...map].map(([k, v]): [string, Text] => [`${m} ${k}`, v])),
];
// What has no other name in Japanese, or holds only what is filled in.
const kSameInBoth = new Set(["server of_count", "server auc", "server of_set", "site sha256", "site receipt_is", "site working"]);
const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe.each(all)("%s", (name, text) => {
  it("exists in both languages, with the same places to fill in, in its language's punctuation", () => {
    expect(text.en.trim()).not.toBe("");
    expect(text.ja.trim()).not.toBe("");
    expect(text.en).not.toMatch(/[\u3040-\u30ff\u4e00-\u9fff（）、。：〜']/);
    if (!kSameInBoth.has(name)) expect(text.ja).toMatch(/[\u3040-\u30ff\u4e00-\u9fff]/);
    expect(placeholders(text.ja)).toEqual(placeholders(text.en));
    expect(text.ja.replace(/\{\w+\}/g, "").replace(/a-z、0-9、-/, "")).not.toMatch(/[(),;~]|: /);
  });

  it("is not polite where the report is plain", () => {
    expect(text.ja).not.toMatch(/です|ます|ください|しましょう/);
  });
});

// Whole words of the server's sources that begin as an event does; what is put together there ("site_" + state) is not.
function eventsOfTheServer(): string[] {
  const folder = new URL("../../../src/server/", import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith(".cc") && !name.endsWith("_test.cc"));
  const words = sources.flatMap((name) => [
    ...readFileSync(new URL(name, folder), "utf8").matchAll(
      /AddEvent\(\s*[^"]*,\s*(?:"",\s*)?[^"]*"(\w+)"(?:\s*:\s*"(\w+)")?|["']((?:run_\w+asked|run_paused|run_resumed|run_created|site_left_federation|site_\w+ed))["']/g,
    ),
  ]);
  return [...new Set(words.flatMap((m) => [m[1], m[2], m[3]]).filter((w): w is string => w !== undefined && !w.endsWith("_")))];
}

describe("events of the server", () => {
  it("are found in its sources", () => expect(eventsOfTheServer().length).toBeGreaterThan(15));
  it.each(eventsOfTheServer())("%s has a text", (kind) => expect(kEvents.has(kind)).toBe(true));
});

describe("names that are not known", () => {
  it("are shown as they came, made safe", () => {
    expect(textOf(kEvents, "new_thing").ja).toBe("new_thing");
    expect(textOf(kEvents, "__proto__").en).toBe("__proto__");
    expect(named(kRunStates, "a\u202eb").en).toBe("a\ufffdb");
  });
});

describe("moments and spans", () => {
  const now = 1_800_000_000_000;
  it("say how long ago, or until when", () => {
    expect(ago(0, now)).toEqual({ en: "never", ja: "なし" });
    expect(ago(now - 1000, now)).toEqual({ en: "just now", ja: "たった今" });
    expect(ago(now - 42_000, now)).toEqual({ en: "42 s ago", ja: "42秒前" });
    expect(ago(now - 59.7 * 60_000, now)).toEqual({ en: "1 h ago", ja: "1時間前" });
    expect(ago(now - 3 * 86_400_000, now).en).toBe("3 days ago");
    // The two clocks may differ a little.
    expect(ago(now + 3000, now).en).toBe("just now");
    expect(until(now + 26 * 60_000, now)).toEqual({ en: "in 26 min", ja: "26分後" });
    expect(until(now - 60_000, now).en).toBe("1 min ago");
  });

  it("are dates in the reader's zone", () => {
    const d = new Date(2027, 0, 5, 3, 4);
    expect(moment(d.getTime())).toEqual({ en: "2027-01-05 03:04", ja: "2027年1月5日 03:04" });
    expect(moment(0).en).toBe("–");
  });

  it("are sizes with two digits or more", () => {
    expect([214, 999, 1000, 3120, 46_827_520, 999_600, 553_000_000, 2e12].map(bytes)).toEqual([
      "214 B",
      "999 B",
      "1.0 kB",
      "3.1 kB",
      "47 MB",
      "1.0 MB",
      "553 MB",
      "2.0 TB",
    ]);
  });
});
