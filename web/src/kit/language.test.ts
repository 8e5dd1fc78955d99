import { describe, expect, it } from "vitest";
import { fill, fromHash, sentences } from "./language";

describe("fill", () => {
  it("puts values and texts in, each language its own", () => {
    const text = { en: "{a} and {b}", ja: "{b}と{a}" };
    expect(fill(text, { a: 1, b: { en: "two", ja: "二" } })).toEqual({ en: "1 and two", ja: "二と1" });
  });

  it("does not look inside values, nor up the prototype", () => {
    expect(fill({ en: "{a}", ja: "{a}" }, { a: "{b}", b: "x" }).en).toBe("{b}");
    expect(fill({ en: "{a}", ja: "{a}" }, { a: "$&$1" }).en).toBe("$&$1");
    expect(fill({ en: "{constructor}{gone}", ja: "" }, {}).en).toBe("{constructor}{gone}");
  });
});

describe("sentences", () => {
  it("are joined as each language does", () => {
    const a = { en: "One.", ja: "一。" };
    const b = { en: "Two.", ja: "二。" };
    expect(sentences(a, false, null, undefined, b)).toEqual({ en: "One. Two.", ja: "一。二。" });
  });
});

describe("the address", () => {
  it("names the language", () => {
    expect(fromHash("#lang=ja")).toBe("ja");
    expect(fromHash("#x=1&lang=en")).toBe("en");
    expect(fromHash("#lang=fr")).toBeNull();
    expect(fromHash("")).toBeNull();
  });
});
