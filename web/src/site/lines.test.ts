// That every line which the program can ask a person with is there in Japanese.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lineText } from "./lines";

const kLines = [
  "glaucoma: 40 to train, 5 to validate, 9 to test",
  "network: cnn3, on images of 64 x 64 pixels",
  "network: cnn3",
  "rounds: 8",
  "rounds: as many as make 20 passes over all images",
  "round 3 of 8",
  "each round: 8 steps",
  "each round: 1 step",
  "each round: 1 pass over this site's images",
  "each round: 2 passes over this site's images",
  "batch: 32 images, divided among the sites",
  "batch: 32 images, at each site",
  "learning rate: 0.001, schedule cosine",
  "learning rate: the usual one, schedule cosine",
  "optimiser: adam, weight decay 0.0001",
  "augmentation: yes",
  "frozen: until features.10",
];

// The lines of leaves.cc itself, with its places filled in.
function leaves(): string[] {
  const source = readFileSync(new URL("../../../src/site/leaves.cc", import.meta.url), "utf8");
  const joined = source.replace(/"\s*\n\s*"/g, "");
  return [...joined.matchAll(/"((?:after|once|of each|at the end|while|if something)[^"]*)"/g)].map((m) =>
    m[1]!.replace("({})", "(float32)").replace("1 to {} are told as {}", "1 to 4 are told as 5").replace("{}", "200"),
  );
}

describe("lines of a question", () => {
  it("are all there", () => expect(leaves().length).toBe(9));
  it.each([...kLines, ...leaves()])("%s", (line) => {
    const text = lineText(line);
    expect(text.en).toBe(line);
    expect(text.ja).toMatch(/[\u3040-\u30ff\u4e00-\u9fff]/);
    expect(text.ja).not.toContain("$");
    expect(text.ja).not.toMatch(/\b(images|round|steps?|test)\b/);
  });
  it("keep what stands in them, whatever it is called", () => {
    expect(lineText("$2 $1: 4 to train, 5 to validate, 6 to test").ja).toBe("$2 $1：訓練用4枚、検証用5枚、テスト用6枚");
    expect(lineText("a line of a later version")).toEqual({ en: "a line of a later version", ja: "a line of a later version" });
  });
});
