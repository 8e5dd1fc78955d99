import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { assemble } from "./one_file";

const html = `<html><head>
<!-- content-security-policy -->
<link rel="stylesheet" href="./a.css">
<script type="module" src="./a.js"></script>
</head><body>
<script type="application/json" id="manako-report">null</script>
<!-- script -->
</body></html>`;

describe("assemble", () => {
  const page = assemble({ html, script: 'const a = "</script><!--$&";', style: "b{}" });

  it("leaves nothing to be fetched", () => {
    expect(page).not.toMatch(/\bsrc=|\bhref=/);
    expect(page).toContain("<style>\nb{}\n</style>");
    expect(page.match(/<\/script>/g)?.length).toBe(2);
    expect(page).toContain('<script type="application/json" id="manako-report">null</script>');
  });

  it("lets its own script run, by hash, and no other", () => {
    const body = /<script>([^]*?)<\/script>/.exec(page)?.[1] ?? "";
    const hash = createHash("sha256").update(body, "utf8").digest("base64");
    expect(page).toContain(`script-src 'sha256-${hash}'`);
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/script-src[^;]*unsafe/);
  });

  it("keeps the script's meaning", () => {
    const body = /<script>([^]*?)<\/script>/.exec(page)?.[1] ?? "";
    expect(new Function(`${body}; return a;`)()).toBe("</script><!--$&");
  });

  it("refuses a page without its places", () => {
    expect(() => assemble({ html: "<html></html>", script: "", style: "" })).toThrow(/exactly once/);
    const place = '<script type="application/json" id="manako-report">';
    expect(() => assemble({ html: html.replace(place, "<script>"), script: "", style: "" })).toThrow();
    expect(() => assemble({ html, script: `a='${place}'`, style: "" })).toThrow(/exactly once/);
  });

  it("lets a served page ask its own program and have its own style, and nothing else", () => {
    const bare = html.replace(/<script type="application\/json".*\n/, "");
    expect(() => assemble({ html: bare, script: "1", style: "b{}" })).toThrow("exactly once");
    const served = assemble({ html: bare, script: "1", style: "b{}", served: true });
    const style = /<style>([^]*?)<\/style>/.exec(served)?.[1] ?? "";
    expect(served).toContain(`style-src 'sha256-${createHash("sha256").update(style, "utf8").digest("base64")}'`);
    expect(served).toContain("connect-src 'self'");
    expect(served).not.toContain("unsafe");
    expect(page).not.toContain("connect-src");
  });
});
