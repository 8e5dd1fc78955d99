import { describe, expect, it } from "vitest";
import { binaryReport, fillPage, hostileReport } from "./generate";

describe("samples", () => {
  it("are the same every time", () => {
    expect(JSON.stringify(binaryReport())).toBe(JSON.stringify(binaryReport()));
  });

  it("cannot end the element that they stand in", () => {
    const place = '<script type="application/json" id="manako-report">null</script>';
    const page = fillPage(`<body>${place}</body>`, hostileReport());
    expect(page.match(/<\/script>/g)?.length).toBe(1);
    const json = />([^]*)<\/script>/.exec(page.slice("<body>".length))?.[1] ?? "";
    expect(JSON.parse(json)).toEqual(hostileReport());
  });
});
