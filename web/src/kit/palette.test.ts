// The contrast of what is written and drawn, in both modes, from page.css itself (WCAG 2.1, 1.4.3 and 1.4.11).
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { siteStroke, strokeOf } from "./palette";

const css = readFileSync(new URL("./page.css", import.meta.url), "utf8");
const blocks = [...css.matchAll(/:root \{([^}]*)\}/g)].map((m) => m[1] ?? "");

function colours(block: string): Map<string, string> {
  return new Map([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((m) => [m[1]!, m[2]!]));
}

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = parseInt(colour.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("%s", (_mode, i) => {
  const c = colours(blocks[i] ?? "");
  it.each([
    ["ink", "page"],
    ["soft", "page"],
    ["link", "page"],
    ["pooled", "page"],
    ["federated", "page"],
    ["alone", "page"],
    ["warn", "warn-page"],
    ["ink", "warn-page"],
    ["ink", "band"],
    ["ink", "faint"],
    ["soft", "faint"],
  ])("%s on %s is at least 4.5:1", (front, back) => {
    expect(contrast(c.get(front)!, c.get(back)!)).toBeGreaterThanOrEqual(4.5);
  });
});

describe("arms", () => {
  it("leave room for the sites of one: a dash each, the arm's colour, and no dash of another arm", () => {
    const sites = [0, 1, 2, 3].map((i) => siteStroke("alone", i));
    expect(new Set(sites.map((s) => s.dash)).size).toBe(4);
    expect(new Set(sites.map((s) => s.color))).toEqual(new Set([strokeOf("alone").color]));
    for (const other of ["pooled", "federated"]) expect(sites.map((s) => s.dash)).not.toContain(strokeOf(other).dash);
    expect(siteStroke("alone", 1000).dash).not.toBe("");
  });

  it("differ in more than colour", () => {
    const strokes = ["pooled", "federated", "alone"].map(strokeOf);
    for (const part of ["color", "dash", "symbol"] as const) {
      expect(new Set(strokes.map((s) => s[part])).size).toBe(3);
    }
  });
});
