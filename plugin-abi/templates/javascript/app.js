// The ecosystem `@NAME@`: a repository has one file, `packages.json`, which says of each package and
// version what it needs and what text it holds.

import { call as host } from "x2nix:plugin/host@1.0.0";

/** What the user is told: see the schema `diagnostic`. */
class Refused extends Error {
  constructor(code, message, more = {}) {
    super(message);
    this.document = { code, severity: "error", message, ...more };
  }
}

/** Asks the host; what it refuses goes on to the user. */
function ask(method, request) {
  try {
    return JSON.parse(host(method, JSON.stringify(request)));
  } catch (refusal) {
    const error = new Refused("@NAME@::host", String(refusal));
    const text = refusal?.payload ?? refusal;
    if (typeof text === "string") error.document = JSON.parse(text);
    throw error;
  }
}

/** Compares two versions by their numbers. */
function compare(a, b) {
  const numbers = (version) => version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [left, right] = [numbers(a), numbers(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? -1) - (right[at] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `NAME` or `NAME>=VERSION`. */
function split(need) {
  const [name, oldest = ""] = need.split(">=");
  return [name.trim(), oldest.trim()];
}

let packages = null;
let names = []; // that were announced, by number
let sets = []; // the same: the number of a name, and the oldest version

/** Announces a name, unless it was before. */
function announce(text, dictionary) {
  if (!names.includes(text)) {
    names.push(text);
    dictionary.names.push({ text });
  }
  return names.indexOf(text);
}

function need(text, dictionary) {
  const [name, oldest] = split(text);
  const number = announce(name, dictionary);
  const same = (set) => set.name === number && set.oldest === oldest;
  if (!sets.some(same)) {
    sets.push({ name: number, oldest });
    dictionary.sets.push({ name: number, text: oldest ? `>= ${oldest}` : "" });
  }
  return { need: sets.findIndex(same) };
}

/** The versions of a name, the newest first. */
function versions(number) {
  if (number >= names.length) throw new Refused("@NAME@::number", "there is no such number");
  const name = names[number];
  const found = Object.hasOwn(packages, name) ? Object.entries(packages[name]) : [];
  return found.sort(([a], [b]) => compare(b, a));
}

const methods = {
  describe() {
    const criterion = (measure, over) => ({ measure, over });
    return {
      ecosystem: "@NAME@",
      version: "0.1.0",
      protocol: 1,
      title: "Packages of @NAME@",
      platforms: "each",
      policies: {
        default: [criterion("lag", "requested"), criterion("lag", "all"), criterion("count", "all")],
      },
    };
  },

  open(request) {
    const found = {};
    for (const { tree, label } of request.inputs) {
      const [file] = ask("read", { tree, paths: ["packages.json"] }).files;
      if (file.found === undefined) continue;
      try {
        // Bytes that are no text are {"base64": …}.
        if (typeof file.found !== "string") throw new Error("it is no text");
        Object.assign(found, JSON.parse(file.found));
      } catch (error) {
        const origin = { file: `${label}:packages.json` };
        throw new Refused("@NAME@::syntax", error.message, { origin });
      }
    }
    [packages, names, sets] = [found, [], []];
    const dictionary = { names: [], sets: [] };
    const roots = (request.roots ?? []).map((root) => need(root, dictionary));
    return { dictionary, roots };
  },

  facts(request) {
    const dictionary = { names: [], sets: [] };
    const about = (number) => ({
      name: number,
      candidates: versions(number).map(([version, { needs = [] }]) => ({
        version,
        requires: needs.map((text) => need(text, dictionary)),
      })),
    });
    return { packages: request.names.map(about), dictionary };
  },

  members(request) {
    const members = (number) => {
      if (number >= sets.length) throw new Refused("@NAME@::number", "there is no such number");
      const { name, oldest } = sets[number];
      // The newest are the first, so a set is one run from the start.
      const fit = versions(name).filter(([version]) => !oldest || compare(version, oldest) >= 0);
      return fit.length > 0 ? [[0, fit.length]] : [];
    };
    return { sets: request.sets.map(members) };
  },

  build(request) {
    const chosen = request.chosen.map(({ name, candidate }) => {
      const [version, about] = versions(name)[candidate];
      return { name: names[name], version, ...about };
    });
    const keys = new Map(chosen.map(({ name, version }) => [name, `${name}@${version}`]));
    const units = {};
    for (const { name, version, needs = [], text } of chosen) {
      // A package is built by copying its text to where it belongs.
      const install = [
        [["mkdir"], ["-p"], [{ out: "share" }]],
        [["cp"], ["text"], [{ out: `share/${name}.txt` }]],
      ];
      units[keys.get(name)] = {
        name,
        version,
        recipe: {
          kind: "build",
          files: { text },
          steps: install.map((words) => ({ phase: "install", words })),
        },
        depends: needs
          .map((text) => keys.get(split(text)[0]))
          .filter((unit) => unit !== undefined)
          .map((unit) => ({ unit })),
      };
    }
    return {
      units,
      unit_of: chosen.map(({ name }) => keys.get(name)),
      selected: (request.selections ?? []).map(() => []),
    };
  },
};

/** One instance of the component is one conversation. */
export const guest = {
  call(method, request) {
    try {
      if (!Object.hasOwn(methods, method)) {
        throw new Refused("protocol::method", `there is no method ${method}`);
      }
      if (packages === null && method !== "describe" && method !== "open") {
        throw new Refused("protocol::order", "asked before `open`");
      }
      return JSON.stringify(methods[method](JSON.parse(request)));
    } catch (error) {
      const told = error instanceof Refused ? error : new Refused("protocol::message", String(error));
      throw JSON.stringify(told.document);
    }
  },
};
