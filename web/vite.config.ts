import { defineConfig } from "vitest/config";
import { oneFile } from "./build/one_file";

// One page a build: each is one file, so two pages share source, never a chunk.
const page = process.env["MANAKO_PAGE"] ?? "report";

export default defineConfig({
  // Not "localhost", which a machine without /etc/hosts does not know.
  server: { host: "127.0.0.1" },
  plugins: [oneFile({ served: page !== "report" })],
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2020",
    outDir: "dist",
    emptyOutDir: false,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      input: `${page}.html`,
      output: { format: "iife", inlineDynamicImports: true },
    },
  },
  test: { include: ["src/**/*.test.{ts,tsx}", "sample/**/*.test.ts", "build/**/*.test.ts"] },
});
