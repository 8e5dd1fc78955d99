// A Vite plugin that makes a page one file: its script and style go into the HTML, and a content security policy is
// written that lets that one script run, by its hash, and nothing else: no network, no other script, images from data:
// only. So a report can be mailed, archived and opened from a USB stick, and markup in a file name cannot do anything
// even if it got past the page's own care. A page that a program serves may ask that program and no other, and its style
// too goes by hash.
import { createHash } from "node:crypto";
import type { Plugin } from "vite";

const kPolicyPlace = "<!-- content-security-policy -->";
const kScriptPlace = "<!-- script -->";
const kDataOpening = '<script type="application/json" id='; // where the program puts the data

export interface Page {
  html: string;
  script: string;
  style: string;
  served?: boolean; // by a program, which the page asks for its data; otherwise the data is put into the file
}

// The page's HTML with everything inside. Throws if a place for the script, the policy or the data is missing.
export function assemble({ html, script, style, served = false }: Page): string {
  for (const place of [kPolicyPlace, kScriptPlace]) {
    if (html.split(place).length !== 2) throw new Error(`the page needs ${place} exactly once`);
  }
  // The HTML parser ends a script at "</script" wherever it stands, and "<!--" changes its mode; both occur only inside
  // string and regular expression literals, where the backslash changes nothing.
  const safe = `\n${script.trim().replace(/<\/(script)/gi, "<\\/$1").replace(/<!--/g, "<\\!--")}\n`;
  const sheet = `\n${style.trim()}\n`;
  const hashOf = (text: string) => createHash("sha256").update(text, "utf8").digest("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${hashOf(safe)}'`,
    // The report's charts bring their own <style> and style attributes.
    served ? `style-src 'sha256-${hashOf(sheet)}'` : "style-src 'unsafe-inline'",
    ...(served ? ["connect-src 'self'"] : []),
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const bare = html
    .replace(/[ \t]*<script\b[^>]*\bsrc=[^>]*><\/script>\n?/g, "")
    .replace(/[ \t]*<link\b[^>]*\brel="(?:stylesheet|modulepreload)"[^>]*>\n?/g, "");
  // Replacement functions below: a "$&" in minified code must stay as it is.
  const page = bare
    .replace(kPolicyPlace, () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`)
    .replace("</head>", () => `<style>${sheet}</style>\n</head>`)
    .replace(kScriptPlace, () => `<script>${safe}</script>`);
  if (!served && page.split(kDataOpening).length !== 2) throw new Error(`the page needs ${kDataOpening} exactly once`);
  return page;
}

export function oneFile({ served = false } = {}): Plugin {
  return {
    name: "manako-one-file",
    apply: "build",
    enforce: "post",
    generateBundle(_options, bundle) {
      let script = "";
      let style = "";
      for (const [name, file] of Object.entries(bundle)) {
        if (file.type === "chunk") script += file.code;
        else if (name.endsWith(".css")) style += file.source;
        else continue;
        delete bundle[name];
      }
      for (const [name, file] of Object.entries(bundle)) {
        if (file.type !== "asset" || !name.endsWith(".html")) {
          throw new Error(`${name} would be a second file; the page must be one`);
        }
        file.source = assemble({ html: String(file.source), script, style, served });
      }
    },
  };
}
