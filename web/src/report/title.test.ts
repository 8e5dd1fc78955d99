import { describe, expect, it } from "vitest";
import { binaryReport } from "../../sample/generate";
import { dataName, networkName, titleText } from "./title";

describe("the data's name", () => {
  it.each([
    ["runs/demo-images/manifest.csv", "demo-images"],
    ["/data/eyes/", "eyes"],
    ["./eyes/index.csv", "eyes"],
    ["breastmnist.npz", "breastmnist"],
    ["studies/glaucoma-2025.csv", "glaucoma-2025"],
    ["/data/hyg/images/train/", "hyg"],
    ["eyes/Manifest.CSV", "eyes"],
    ["緑内障/一覧.csv", "一覧"],
    // Nothing says more.
    ["manifest.csv", "manifest.csv"],
    ["images/", "images"],
    ["data/images/manifest.csv", "images"],
    ["../manifest.csv", "manifest.csv"],
    ["../..", "../.."],
    [".csv", ".csv"],
    ["", ""],
  ])("of %s is %s", (source, name) => {
    expect(dataName(source)).toBe(name);
  });

  it.each([
    ["manifest.csv", "hygd", "hygd"],
    [".", "hygd", "hygd"],
    ["..", "hygd", "hygd"],
    ["../manifest.csv", "hygd", "hygd"],
    // What was typed says more.
    ["runs/demo-images/manifest.csv", "demo-images", "demo-images"],
    ["studies/glaucoma-2025.csv", "studies", "glaucoma-2025"],
  ])("of %s in %s is %s", (source, folder, name) => {
    expect(dataName(source, folder)).toBe(name);
  });
});

describe("the title", () => {
  const of = (change: (data: ReturnType<typeof binaryReport>) => void) => {
    const data = binaryReport();
    change(data);
    return titleText(data);
  };

  it("names the comparison, the data and the network", () => {
    const data = binaryReport();
    data.data.source = "runs/demo-images/manifest.csv";
    data.title = "manifest.csv";
    expect(titleText(data)).toEqual({
      en: "Federated against pooled training: demo-images, cnn3",
      ja: "連合学習と統合学習の比較：demo-images、cnn3",
    });
  });

  it("names the arms that were run", () => {
    expect(of((d) => d.arms.splice(0, 1)).en).toMatch(/^Federated training against training alone: /);
    expect(of((d) => d.arms.splice(1, 1)).en).toMatch(/^Pooled training against training alone: /);
    expect(of((d) => d.arms.splice(1, 2)).en).toMatch(/^Federated learning study: /);
  });

  it("does without what is not there", () => {
    expect(of((d) => (d.protocol.rows = [])).en).not.toMatch(/,|undefined|null/);
    const nothing = of((d) => {
      d.protocol.rows = [];
      d.data.source = d.data.name = d.title = "";
    });
    expect(nothing.en).toBe("Federated against pooled training");
  });

  it("names a TorchScript file by its name", () => {
    const data = binaryReport();
    data.protocol.rows = [{ key: "architecture", value: "/home/models/unet_v2.pt" }];
    expect(networkName(data)).toBe("unet_v2");
  });

  it("takes a name as it is", () => {
    expect(of((d) => (d.data.source = "a{names}\u202eb")).en).toContain("a{names}\ufffdb");
  });
});
