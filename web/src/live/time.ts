// Moments and spans as both languages write them, in the reader's own time zone.
import { kNone } from "../kit/format";
import type { Text } from "../kit/language";

const two = (n: number) => String(n).padStart(2, "0");

// "2026-11-24 14:05" / "2026年11月24日 14:05"; 0 is a dash.
export function moment(ms: number): Text {
  if (!(ms > 0)) return { en: kNone, ja: kNone };
  const d = new Date(ms);
  const [y, m, day] = [d.getFullYear(), d.getMonth() + 1, d.getDate()];
  const clock = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return { en: `${y}-${two(m)}-${two(day)} ${clock}`, ja: `${y}年${m}月${day}日 ${clock}` };
}

// "14:05:09", for lists of one day.
export function clock(ms: number): string {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

function amount(seconds: number): Text {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return { en: `${s} s`, ja: `${s}秒` };
  const m = Math.round(s / 60);
  if (m < 60) return { en: `${m} min`, ja: `${m}分` };
  const h = Math.round(m / 60);
  if (h < 48) return { en: `${h} h`, ja: `${h}時間` };
  const d = Math.round(h / 24);
  return { en: `${d} days`, ja: `${d}日` };
}

// "3 min ago" / "3分前".
export function ago(ms: number, now: number): Text {
  if (!(ms > 0)) return { en: "never", ja: "なし" };
  if (now - ms < 5000) return { en: "just now", ja: "たった今" };
  const a = amount((now - ms) / 1000);
  return { en: `${a.en} ago`, ja: `${a.ja}前` };
}

// "in 2 h" / "2時間後", or how long ago it was.
export function until(ms: number, now: number): Text {
  if (ms <= now) return ago(ms, now);
  const a = amount((ms - now) / 1000);
  return { en: `in ${a.en}`, ja: `${a.ja}後` };
}

// "46.8 MB".
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  let value = n;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    value /= 1000;
    if (value < 999.5 || unit === "TB") return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
  return String(n);
}
