// Numbers, intervals, durations and dates as both languages print them, and strings made safe to look at. The locale of
// the browser plays no part: the same report reads the same everywhere.
import type { Text } from "./language";

export const kNone = "–"; // what is undefined or was not measured
const kMinus = "−"; // U+2212, as wide as "+", and not broken from its number

export function isNumber(x: unknown): x is number {
  return typeof x === "number" && Number.isFinite(x);
}

function same(text: string): Text {
  return { en: text, ja: text };
}

// toFixed with a real minus sign; never "−0.000".
export function fixed(x: number | null | undefined, digits: number): string {
  if (!isNumber(x)) return kNone;
  const text = Math.abs(x).toFixed(digits);
  return x < 0 && Number(text) !== 0 ? kMinus + text : text;
}

// The same with "+" for what is above zero, for differences.
export function signed(x: number | null | undefined, digits: number): string {
  if (!isNumber(x)) return kNone;
  const text = fixed(x, digits);
  return x > 0 && Number(text) !== 0 ? `+${text}` : text;
}

// 0.9132 -> "91.3%".
export function percent(x: number | null | undefined, digits = 1): string {
  return isNumber(x) ? `${fixed(x * 100, digits)}%` : kNone;
}

export function count(x: number | null | undefined): string {
  if (!isNumber(x)) return kNone;
  const [whole = "", fraction] = Math.abs(x).toString().split(".");
  const grouped = /e/.test(whole) ? whole : whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return (x < 0 ? kMinus : "") + grouped + (fraction ? `.${fraction}` : "");
}

type Write = (x: number | null) => string;

// "0.881 to 0.944" / "0.881〜0.944". A dash between numbers that may be negative would be read as a minus.
export function range(low: number | null, high: number | null, write: Write): Text {
  if (!isNumber(low) || !isNumber(high)) return same(kNone);
  return { en: `${write(low)} to ${write(high)}`, ja: `${write(low)}〜${write(high)}` };
}

export interface Interval {
  value: number | null;
  low: number | null;
  high: number | null;
}

// "0.912 (0.881 to 0.944)"; without an interval the value alone.
export function withInterval(e: Interval, write: Write): Text {
  const value = write(e.value);
  if (!isNumber(e.value) || !isNumber(e.low) || !isNumber(e.high)) return same(value);
  const inside = range(e.low, e.high, write);
  return { en: `${value} (${inside.en})`, ja: `${value}（${inside.ja}）` };
}

// "p = 0.034", "p < 0.001", with spaces that do not break; never "p = 0.000" or "p = 1.000".
export function pValue(p: number | null | undefined): string {
  if (!isNumber(p)) return kNone;
  if (p < 0.001) return "p\u00a0<\u00a00.001";
  if (p > 0.999) return "p\u00a0>\u00a00.999";
  return `p\u00a0=\u00a0${p.toFixed(p < 0.0995 ? 3 : 2)}`;
}

export function duration(seconds: number | null | undefined): Text {
  if (!isNumber(seconds) || seconds < 0) return same(kNone);
  if (seconds < 9.95) return { en: `${seconds.toFixed(1)} s`, ja: `${seconds.toFixed(1)}秒` };
  const s = Math.round(seconds);
  if (s < 60) return { en: `${s} s`, ja: `${s}秒` };
  if (s < 3600) {
    return { en: `${Math.floor(s / 60)} min ${s % 60} s`, ja: `${Math.floor(s / 60)}分${s % 60}秒` };
  }
  const minutes = Math.round(s / 60);
  const hours = count(Math.floor(minutes / 60));
  return { en: `${hours} h ${minutes % 60} min`, ja: `${hours}時間${minutes % 60}分` };
}

// ISO 8601 in UTC, to the minute. What is not a date is shown as it is.
export function dateTime(iso: string): Text {
  const parts = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(iso);
  if (!parts) return same(visible(iso));
  const [, y, m, d, hour, minute] = parts;
  return {
    en: `${y}-${m}-${d} ${hour}:${minute} UTC`,
    ja: `${y}年${Number(m)}月${Number(d)}日 ${hour}:${minute}（UTC）`,
  };
}

// A string from a file or the network, made safe to look at: control characters and those that turn the direction of
// writing around (a file name may use them to look like another) become U+FFFD.
export function visible(text: unknown): string {
  return String(text).replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g,
    "\ufffd",
  );
}

// The address of an inlined image, or null for anything else: never one that would go to the network.
export function imageData(address: unknown): string | null {
  if (typeof address !== "string") return null;
  return /^data:image\/(jpeg|png);base64,[A-Za-z0-9+/]+={0,2}$/.test(address) ? address : null;
}

// "a, b and c" / "a、b、c".
export function list(items: string[]): Text {
  const last = items.length - 1;
  return {
    en: last < 1 ? items.join("") : `${items.slice(0, last).join(", ")} and ${items[last]}`,
    ja: items.join("、"),
  };
}
