// Stands before the bundle in a single executable: tells modules where they are, and gives them the files that the
// executable carries. A path below the executable's own (`/app/component/dist/main.js`) can be no real file, so
// nothing real is ever hidden.
const __flowctl = ((load, job) => {
  const fs = load("node:fs");
  const path = load("node:path");
  const { createRequire, isBuiltin } = load("node:module");
  const { fileURLToPath, pathToFileURL } = load("node:url");
  const sea = load("node:sea");
  const root = process.execPath;
  const real = createRequire(root);
  const files = new Map(job.assets.map((name) => [path.join(root, name), name]));
  const folders = new Map([[root, new Set()]]);
  for (const file of files.keys()) {
    for (let here = file; here !== root; here = path.dirname(here)) {
      const folder = path.dirname(here);
      if (!folders.has(folder)) folders.set(folder, new Set());
      folders.get(folder).add(path.basename(here));
    }
  }

  const within = (value) => {
    let text = value;
    if (value instanceof URL || (typeof value === "string" && value.startsWith("file:"))) {
      try { text = fileURLToPath(value); } catch { return null; }
    } else if (Buffer.isBuffer(value)) text = value.toString();
    if (typeof text !== "string") return null;
    const full = path.resolve(text);
    return full.startsWith(root + path.sep) ? full : null;
  };
  const missing = (call, file) =>
    Object.assign(new Error(`ENOENT: no such file or directory, ${call} '${file}'`), { errno: -2, code: "ENOENT", syscall: call, path: file });
  const bytes = (file) => Buffer.from(sea.getRawAsset(files.get(file)));
  const decoded = (content, options) => {
    const encoding = typeof options === "string" ? options : options?.encoding;
    return encoding && encoding !== "buffer" ? content.toString(encoding) : content;
  };
  const own = fs.statSync(root);
  const described = (file) => {
    const folder = folders.has(file);
    const size = folder ? 0 : sea.getRawAsset(files.get(file)).byteLength;
    const is = { isFile: () => !folder, isDirectory: () => folder, isSymbolicLink: () => false };
    return Object.assign(Object.create(Object.getPrototypeOf(own)), own, { size, mode: folder ? 0o040555 : 0o100444 }, is);
  };
  const entry = (folder, name) => {
    const isFolder = folders.has(path.join(folder, name));
    const no = () => false;
    return {
      name, parentPath: folder, path: folder, isFile: () => !isFolder, isDirectory: () => isFolder, isSymbolicLink: no,
      isBlockDevice: no, isCharacterDevice: no, isFIFO: no, isSocket: no,
    };
  };

  const virtual = {
    readFile(file, options) {
      if (folders.has(file)) throw Object.assign(new Error("EISDIR: illegal operation on a directory, read"), { errno: -21, code: "EISDIR", syscall: "read" });
      if (!files.has(file)) throw missing("open", file);
      return decoded(bytes(file), options);
    },
    stat(file, options) {
      if (files.has(file) || folders.has(file)) return described(file);
      if (options?.throwIfNoEntry === false) return undefined;
      throw missing("stat", file);
    },
    access(file) {
      if (!files.has(file) && !folders.has(file)) throw missing("access", file);
    },
    readdir(file, options) {
      if (!folders.has(file)) throw missing("scandir", file);
      const names = [...folders.get(file)].sort();
      return options?.withFileTypes ? names.map((name) => entry(file, name)) : names;
    },
    realpath(file) {
      if (!files.has(file) && !folders.has(file) && file !== path.join(root, job.entry)) throw missing("realpath", file);
      return file;
    },
    open(file) {
      throw missing("open", file);
    },
  };
  virtual.lstat = virtual.stat;

  function overlay() {
    for (const [name, answer] of Object.entries(virtual)) {
      const sync = fs[`${name}Sync`];
      const callback = fs[name];
      const promised = fs.promises[name];
      fs[`${name}Sync`] = Object.assign(function (file, ...rest) {
        const found = within(file);
        return found === null ? sync.call(this, file, ...rest) : answer(found, rest[0]);
      }, sync);
      fs[name] = Object.assign(function (file, ...rest) {
        const found = within(file);
        if (found === null) return callback.call(this, file, ...rest);
        const done = rest.pop();
        let result, error = null;
        try { result = answer(found, rest[0]); } catch (problem) { error = problem; }
        process.nextTick(done, error, result);
      }, callback);
      if (promised) {
        fs.promises[name] = async function (file, ...rest) {
          const found = within(file);
          return found === null ? promised.call(this, file, ...rest) : answer(found, rest[0]);
        };
      }
    }
    const exists = fs.existsSync;
    fs.existsSync = (file) => {
      const found = within(file);
      return found === null ? exists(file) : files.has(found) || folders.has(found);
    };
    const stream = fs.createReadStream;
    fs.createReadStream = function (file, ...rest) {
      const found = within(file);
      return found === null ? stream.call(this, file, ...rest) : load("node:stream").Readable.from([virtual.readFile(found)]);
    };
    load("node:module").syncBuiltinESMExports();
  }

  const notFound = (name) =>
    Object.assign(new Error(`Cannot find module '${name}': it is not part of this executable`), { code: "MODULE_NOT_FOUND" });
  // Built-in modules, files that the executable carries, and files that are named by their whole path. Packages are
  // not looked for: what lies beside an executable must not become part of it.
  const requireFrom = (folder) => {
    const get = (name) => {
      if (isBuiltin(name)) return load(name);
      const asked = String(name).startsWith("file:") ? fileURLToPath(name) : name;
      const full = /^\.\.?(?:\/|$)/.test(asked) ? path.resolve(folder, asked) : path.isAbsolute(asked) ? asked : null;
      if (full === null) throw notFound(name);
      const found = within(full);
      if (found === null) return real(full);
      for (const file of [found, `${found}.json`]) {
        if (files.has(file)) return file.endsWith(".json") ? JSON.parse(bytes(file).toString()) : bytes(file);
      }
      throw notFound(name);
    };
    get.resolve = (name) => {
      if (isBuiltin(name)) return name;
      if (path.isAbsolute(name) && within(name) === null) return real.resolve(name);
      const found = path.resolve(folder, name);
      if (/^[./]/.test(name) && files.has(found)) return found;
      throw notFound(name);
    };
    get.cache = {};
    get.extensions = real.extensions;
    get.main = undefined;
    return get;
  };

  const resolve = (name) => {
    if (isBuiltin(name)) return name.startsWith("node:") ? name : `node:${name}`;
    throw notFound(name);
  };
  const module = load("node:module");
  const makeRequire = module.createRequire;
  module.createRequire = (from) => {
    const found = within(from);
    return found === null ? makeRequire(from) : requireFrom(path.dirname(found));
  };
  if (files.size) overlay();
  process.argv[1] = path.join(root, job.entry);
  const main = { filename: process.argv[1], id: ".", path: path.dirname(process.argv[1]), exports: {}, children: [], paths: [], loaded: false };
  return {
    main,
    meta: (name, isMain) => {
      const filename = path.join(root, name);
      const parent = isMain ? null : main;
      return { filename, dirname: path.dirname(filename), url: pathToFileURL(filename).href, main: isMain, parent, resolve };
    },
    describe(module, { filename, dirname, main: isMain, parent }) {
      Object.assign(module, { id: isMain ? "." : filename, filename, path: dirname, paths: [], children: [], parent });
      if (isMain) this.main = module;
    },
    require: requireFrom(root),
  };
})(require, /* JOB */);
require = __flowctl.require;
