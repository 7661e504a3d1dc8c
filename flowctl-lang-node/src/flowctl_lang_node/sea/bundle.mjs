// Bundles one program into a single script for a single executable. Argument: a JSON file with what to do; the answer
// is written beside it. Run by the release's own node, with esbuild's JavaScript interface.
import { createRequire } from "node:module";
import fs from "node:fs"; // the object itself: yarn's .pnp.cjs replaces its functions by some that read archives
import path from "node:path";

const job = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const esbuild = createRequire(import.meta.url)(job.esbuildApi);

const LOADERS = { ".js": "js", ".cjs": "js", ".mjs": "js", ".jsx": "jsx", ".ts": "ts", ".cts": "ts", ".mts": "ts", ".tsx": "tsx" };
const ASKS = /\bimport\.meta\b|\b__(?:dirname|filename)\b|\brequire\.main\b|\bmodule\.(?:parent|filename|path|paths|id)\b/;
const ASKS_MODULE = /\bmodule\.(?:parent|filename|path|paths|id)\b/;
const DIRECTIVE = /^(?:\s|\/\/[^\n]*\n|\/\*[^]*?\*\/)*(["'])use strict\1/;

const relative = (file) => path.relative(job.root, file).split(path.sep).join("/");
const asking = new Set();
const addons = new Set();

// Where a module is, is asked of the executable: each module gets the answers for its own path inside.
function located(file, text) {
  const name = relative(file);
  const isEntry = name === job.entry;
  if (!isEntry && !ASKS.test(text)) return text;
  asking.add(file);
  let prologue = `var __flowctl_meta = __flowctl.meta(${JSON.stringify(name)}, ${isEntry}); `;
  if (ASKS_MODULE.test(text) || (isEntry && /\brequire\.main\b/.test(text))) prologue += "__flowctl.describe(module, __flowctl_meta); ";
  if (DIRECTIVE.test(text)) prologue = `"use strict"; ${prologue}`;
  return prologue + text;
}

const plugin = {
  name: "flowctl",
  setup(build) {
    build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, ({ path: file }) => {
      const text = fs.readFileSync(file, "utf8").replace(/^\uFEFF/, "").replace(/^#!.*/, "");
      return { contents: located(file, text), loader: LOADERS[path.extname(file)], resolveDir: path.dirname(file) };
    });
    build.onLoad({ filter: /\.node$/ }, ({ path: file }) => {
      addons.add(relative(file));
      const message = `native addon ${relative(file)} is not part of this executable`;
      return { contents: `throw Object.assign(new Error(${JSON.stringify(message)}), { code: "MODULE_NOT_FOUND" })`, loader: "js" };
    });
  },
};

const print = async (kind, messages) => {
  for (const text of await esbuild.formatMessages(messages, { kind, color: false, terminalWidth: 100 })) console.error(text.trimEnd());
};

let result;
try {
  result = await esbuild.build({
    absWorkingDir: job.root,
    entryPoints: [job.entry],
    bundle: true,
    platform: "node",
    target: `node${job.node}`,
    format: "cjs",
    charset: "utf8",
    legalComments: "eof",
    keepNames: true,
    write: false,
    outfile: "main.cjs",
    metafile: true,
    logLevel: "silent",
    external: job.external,
    // A computed import() cannot work inside of a single executable; a computed require can.
    supported: { "dynamic-import": false },
    loader: { ".wasm": "binary", ".txt": "text", ".sql": "text", ".graphql": "text", ".gql": "text" },
    define: {
      __filename: "__flowctl_meta.filename",
      __dirname: "__flowctl_meta.dirname",
      "import.meta": "__flowctl_meta",
      "require.main": "__flowctl.main",
    },
    plugins: [plugin],
  });
} catch (error) {
  if (!error.errors) throw error;
  await print("warning", error.warnings);
  await print("error", error.errors);
  process.exit(1);
}
await print("warning", result.warnings);

const inputs = Object.keys(result.metafile.inputs).filter((name) => fs.existsSync(path.join(job.root, name)));
const packages = new Map();
const packageOf = (file) => {
  const folder = path.dirname(file);
  if (!packages.has(folder)) {
    const here = path.join(folder, "package.json");
    const names = fs.existsSync(here) && JSON.parse(fs.readFileSync(here, "utf8")).name !== undefined;
    packages.set(folder, names || folder === job.root || folder === path.dirname(folder) ? folder : packageOf(folder));
  }
  return packages.get(folder);
};

// Files that modules look for beside themselves: what a string in them names, and their package's package.json.
const assets = new Set();
const inside = (file) => !relative(file).startsWith("../") && fs.existsSync(file) && fs.statSync(file).isFile();
for (const file of asking) {
  const manifest = path.join(packageOf(file), "package.json");
  if (inside(manifest)) assets.add(manifest);
  for (const [, , named] of fs.readFileSync(file, "utf8").matchAll(/(["'`])((?:[^"'`\\\n$]){1,200})\1/g)) {
    if (/^[\w@+-]+$/.test(named) || path.isAbsolute(named) || /^[a-z]+:/.test(named)) continue;
    const found = path.resolve(path.dirname(file), named);
    if (inside(found) && !/\.(?:[cm]?[jt]sx?|node)$/.test(found)) assets.add(found);
  }
}

// What is inside of an archive of yarn's is copied out, for node cannot read it there.
const carried = (file, index) => {
  if (!relative(file).includes(".zip/")) return file;
  const copy = path.join(job.output, `asset-${index}`);
  fs.writeFileSync(copy, fs.readFileSync(file));
  return copy;
};
const folders = [...new Set(inputs.map((name) => relative(packageOf(path.join(job.root, name)))))].sort();
const answer = {
  inputs: inputs.sort(),
  packages: folders,
  addons: [...addons].sort(),
  assets: Object.fromEntries([...assets].sort().map((file, index) => [relative(file), carried(file, index)])),
};
fs.writeFileSync(path.join(job.output, "bundle.cjs"), result.outputFiles[0].contents);
fs.writeFileSync(path.join(job.output, "bundle.json"), JSON.stringify(answer));
