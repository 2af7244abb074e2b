// Bundles the sources beside this file into the folder that the server serves.
//
//   node build.mjs --scan DIR --scan DIR --out DIR
//
// Scanned folders hold what uses classes and icons: templates and the Python code of the pages. Whatever
// they do not name is left out of the stylesheet and of the icon sprite. Every file carries a hash of its
// content in its name; manifest.json maps the plain names to these.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { PurgeCSS } from "purgecss";

const HERE = dirname(fileURLToPath(import.meta.url));
const COMPRESSED = new Set([".css", ".js", ".svg", ".json", ".map"]);

const { values: options } = parseArgs({
  options: { out: { type: "string" }, scan: { type: "string", multiple: true } },
});
const OUT = options.out;
const SCANNED = [join(HERE, "js"), ...options.scan];

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && [".html", ".js", ".py", ".xml"].includes(extname(path)));
}

function hashed(name, content) {
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 10);
  const extension = extname(name);
  return `${basename(name, extension)}-${digest}${extension}`;
}

function write(name, content) {
  const target = hashed(name, content);
  writeFileSync(join(OUT, target), content);
  return target;
}

const sources = SCANNED.flatMap(filesBelow).map((path) => readFileSync(path, "utf8"));

// Icons ------------------------------------------------------------------------------------------
// An icon is used as icon("name") in templates and Python, or listed in icons/names.txt because its
// name is only known at run time (the icons that templates of workspaces choose).
function iconNames() {
  const listed = readFileSync(join(HERE, "icons", "names.txt"), "utf8").split("\n");
  const used = sources.flatMap((text) => [...text.matchAll(/icon(?:\(|=)\s*["']([a-z0-9-]+)["']/g)].map((m) => m[1]));
  return [...new Set([...listed, ...used])].filter((name) => name && !name.startsWith("#")).sort();
}

function readIcon(name) {
  const own = join(HERE, "icons", `${name}.svg`);
  const filled = name.endsWith("-filled");
  const theirs = join(HERE, "node_modules", "@tabler", "icons", "icons", filled ? "filled" : "outline",
    `${filled ? name.slice(0, -"-filled".length) : name}.svg`);
  for (const path of [own, theirs]) {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  throw new Error(`there is no icon called ${name}`);
}

function symbol(name) {
  const svg = readIcon(name);
  const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
  const box = svg.match(/viewBox="([^"]+)"/)[1];
  const paint = /<svg[^>]*fill="currentColor"/.test(svg)
    ? 'fill="currentColor" stroke="none"'
    : 'fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"';
  const shapes = body.replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*\/>/g, "").replace(/\s+/g, " ");
  return `<symbol id="${name}" viewBox="${box}" ${paint}>${shapes.trim()}</symbol>`;
}

function sprite() {
  return `<svg xmlns="http://www.w3.org/2000/svg">${iconNames().map(symbol).join("")}</svg>\n`;
}

// Scripts and styles -----------------------------------------------------------------------------
async function bundle() {
  const result = await esbuild.build({
    absWorkingDir: HERE,
    entryPoints: { main: "js/main.js", style: "css/main.css" },
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    loader: { ".woff2": "file" },
    entryNames: "[name]-[hash]",
    chunkNames: "chunk-[hash]",
    assetNames: "[name]-[hash]",
    supported: { "nesting": true },
    outdir: OUT,
    metafile: true,
    write: true,
    logLevel: "warning",
  });
  const entries = {};
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    if (output.entryPoint === "js/main.js") entries["main.js"] = basename(path);
    if (output.entryPoint === "css/main.css") entries["style.css"] = basename(path);
  }
  return entries;
}

// Most of Tabler's stylesheet is for components that no page uses.
async function purge(path) {
  const [result] = await new PurgeCSS().purge({
    content: sources.map((raw) => ({ raw, extension: "html" })),
    css: [{ raw: readFileSync(path, "utf8") }],
    defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
    safelist: { standard: [/^data-bs-theme/, /^:/, /^(tone|is|log|ansi|menu|choice|mark)-/], greedy: [/popover-open/, /backdrop/, /details-content/] },
    variables: true,
    keyframes: true,
    fontFace: false,
  });
  const again = await esbuild.transform(result.css, { loader: "css", minify: true, target: "es2022",
    supported: { "nesting": true } });
  return again.code;
}

function compress() {
  for (const name of readdirSync(OUT)) {
    if (!COMPRESSED.has(extname(name))) continue;
    const content = readFileSync(join(OUT, name));
    writeFileSync(join(OUT, `${name}.gz`), gzipSync(content, { level: 9 }));
    writeFileSync(join(OUT, `${name}.br`), brotliCompressSync(content, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
    }));
  }
}

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const manifest = await bundle();
const styles = join(OUT, manifest["style.css"]);
const purged = await purge(styles);
rmSync(styles);
manifest["style.css"] = write("style.css", purged);
manifest["icons.svg"] = write("icons.svg", sprite());
manifest["favicon.svg"] = write("favicon.svg", readFileSync(join(HERE, "icons", "favicon.svg")));
for (const name of readdirSync(OUT)) {
  if (/^(inter|jetbrains).*-latin-wght-normal.*\.woff2$/.test(name)) {
    manifest[name.startsWith("inter") ? "sans.woff2" : "mono.woff2"] = name;
  }
}
writeFileSync(join(OUT, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
compress();
console.log(`${relative(process.cwd(), OUT) || OUT}: ${Object.values(manifest).join(" ")}`);
