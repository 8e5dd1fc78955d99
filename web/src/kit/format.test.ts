import { describe, expect, it } from "vitest";
import {
  count,
  dateTime,
  duration,
  fixed,
  imageData,
  kNone,
  list,
  percent,
  pValue,
  range,
  signed,
  visible,
  withInterval,
} from "./format";

const three = (x: number | null) => fixed(x, 3);
// pValue's spaces do not break.
const plain = (text: string) => text.replace(/\u00a0/g, " ");

describe("numbers", () => {
  it("have a real minus and never a negative zero", () => {
    expect(fixed(-0.0123, 3)).toBe("−0.012");
    expect(fixed(-0.0001, 3)).toBe("0.000");
    expect(fixed(1, 3)).toBe("1.000");
    expect(signed(0.0123, 3)).toBe("+0.012");
    expect(signed(-0.0123, 3)).toBe("−0.012");
    expect(signed(0.0001, 3)).toBe("0.000");
    expect(signed(0, 3)).toBe("0.000");
  });

  it("are a dash where there is none", () => {
    for (const nothing of [null, undefined, NaN, Infinity]) {
      expect(fixed(nothing, 3)).toBe(kNone);
      expect(signed(nothing, 3)).toBe(kNone);
      expect(percent(nothing)).toBe(kNone);
      expect(count(nothing)).toBe(kNone);
      expect(pValue(nothing)).toBe(kNone);
      expect(duration(nothing).ja).toBe(kNone);
    }
  });

  it("are grouped by thousands whatever the browser's locale", () => {
    expect(count(0)).toBe("0");
    expect(count(999)).toBe("999");
    expect(count(1000)).toBe("1,000");
    expect(count(1234567)).toBe("1,234,567");
    expect(count(-1234)).toBe("−1,234");
    expect(count(1e21)).toBe("1e+21");
  });

  it("are percentages", () => {
    expect(percent(0.9132)).toBe("91.3%");
    expect(percent(1, 0)).toBe("100%");
    expect(percent(0)).toBe("0.0%");
  });
});

describe("intervals", () => {
  it("never put a dash between numbers that may be negative", () => {
    expect(range(-0.012, 0.006, (x) => signed(x, 3))).toEqual({
      en: "−0.012 to +0.006",
      ja: "−0.012〜+0.006",
    });
  });

  it("stand behind the value, or not at all", () => {
    expect(withInterval({ value: 0.9, low: 0.8, high: 0.95 }, three)).toEqual({
      en: "0.900 (0.800 to 0.950)",
      ja: "0.900（0.800〜0.950）",
    });
    expect(withInterval({ value: 0.9, low: null, high: 0.95 }, three).en).toBe("0.900");
    expect(withInterval({ value: null, low: 0.8, high: 0.95 }, three).en).toBe(kNone);
  });
});

describe("p values", () => {
  it("are never 0 or 1", () => {
    expect(plain(pValue(0))).toBe("p < 0.001");
    expect(plain(pValue(0.00099))).toBe("p < 0.001");
    expect(plain(pValue(0.001))).toBe("p = 0.001");
    expect(plain(pValue(0.0495))).toMatch(/^p = 0\.0(49|50)$/);
    expect(plain(pValue(0.0999))).toBe("p = 0.10");
    expect(plain(pValue(0.41))).toBe("p = 0.41");
    expect(plain(pValue(1))).toBe("p > 0.999");
  });
});

describe("durations and dates", () => {
  it("use the unit that a reader would", () => {
    expect(duration(0)).toEqual({ en: "0.0 s", ja: "0.0秒" });
    expect(duration(9.96).en).toBe("10 s");
    expect(duration(59.6).en).toBe("1 min 0 s");
    expect(duration(125)).toEqual({ en: "2 min 5 s", ja: "2分5秒" });
    expect(duration(7199)).toEqual({ en: "2 h 0 min", ja: "2時間0分" });
    expect(duration(-1).en).toBe(kNone);
  });

  it("are in UTC in both languages", () => {
    expect(dateTime("2026-01-05T03:04:59Z")).toEqual({
      en: "2026-01-05 03:04 UTC",
      ja: "2026年1月5日 03:04（UTC）",
    });
    expect(dateTime("yesterday").ja).toBe("yesterday");
  });
});

describe("strings from outside", () => {
  it("cannot hide or turn around what follows them", () => {
    expect(visible("a\u202egnp.exe")).toBe("a\ufffdgnp.exe");
    expect(visible("a\nb\u0000c\u200bd\ufeff")).toBe("a\ufffdb\ufffdc\ufffdd\ufffd");
    expect(visible("緑内障 é 😀")).toBe("緑内障 é 😀");
    expect(visible(undefined)).toBe("undefined");
  });

  it("are images only if the image is in them", () => {
    expect(imageData("data:image/jpeg;base64,AAAA")).toBe("data:image/jpeg;base64,AAAA");
    for (const bad of [
      "https://example.org/a.png",
      "https://example.org/?data:image/png;base64,AAAA",
      "data:image/svg+xml;base64,AAAA",
      "data:image/png;base64,AA AA",
      'data:image/png;base64,AAAA" onload="x',
      "data:text/html,hello",
      null,
      7,
    ]) {
      expect(imageData(bad)).toBeNull();
    }
  });

  it("are listed", () => {
    expect(list([]).en).toBe("");
    expect(list(["a"]).en).toBe("a");
    expect(list(["a", "b", "c"])).toEqual({ en: "a, b and c", ja: "a、b、c" });
  });
});
