"""The ecosystem `@NAME@`: a repository has one file, `packages.json`, which says of each package and
version what it needs and what text it holds."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import host


class Refused(Exception):
    """What the user is told: see the schema `diagnostic`."""

    def __init__(self, code, message, **more):
        super().__init__(message)
        self.document = {"code": code, "severity": "error", "message": message, **more}


def ask(method, request):
    """Asks the host; what it refuses goes on to the user."""
    try:
        return json.loads(host.call(method, json.dumps(request)))
    except Err as refusal:
        error = Refused("@NAME@::host", "")
        error.document = json.loads(refusal.value)
        raise error


def order(version):
    """A version as numbers, to compare by."""
    return [int(part) if part.isdecimal() else 0 for part in version.split(".")]


def split(need):
    """`NAME` or `NAME>=VERSION`."""
    name, _, oldest = need.partition(">=")
    return name.strip(), oldest.strip()


class Ecosystem:
    def __init__(self):
        self.packages = None
        self.names = []  # that were announced, by number
        self.sets = []  # the same: the number of a name, and the oldest version

    def describe(self, _):
        criteria = [("lag", "requested"), ("lag", "all"), ("count", "all")]
        return {
            "ecosystem": "@NAME@",
            "version": "0.1.0",
            "protocol": 1,
            "title": "Packages of @NAME@",
            "platforms": "each",
            "policies": {"default": [{"measure": m, "over": o} for m, o in criteria]},
        }

    def open(self, request):
        self.__init__()
        packages = {}
        for entry in request["inputs"]:
            read = ask("read", {"tree": entry["tree"], "paths": ["packages.json"]})
            [file] = read["files"]
            if not isinstance(file, dict) or "found" not in file:
                continue
            try:
                # Bytes that are no text are {"base64": …}.
                packages.update(json.loads(file["found"]))
            except (TypeError, ValueError) as error:
                origin = {"file": entry["label"] + ":packages.json"}
                raise Refused("@NAME@::syntax", str(error), origin=origin)
        self.packages = packages
        dictionary = {"names": [], "sets": []}
        roots = [self.need(root, dictionary) for root in request.get("roots", [])]
        return {"dictionary": dictionary, "roots": roots}

    def name(self, text, dictionary):
        """Announces a name, unless it was before."""
        if text not in self.names:
            self.names.append(text)
            dictionary["names"].append({"text": text})
        return self.names.index(text)

    def need(self, text, dictionary):
        name, oldest = split(text)
        known = (self.name(name, dictionary), oldest)
        if known not in self.sets:
            self.sets.append(known)
            text = ">= " + oldest if oldest else ""
            dictionary["sets"].append({"name": known[0], "text": text})
        return {"need": self.sets.index(known)}

    def versions(self, number):
        """The versions of a name, the newest first."""
        if number >= len(self.names):
            raise Refused("@NAME@::number", "there is no such number")
        versions = self.packages.get(self.names[number], {})
        return sorted(versions.items(), key=lambda it: order(it[0]), reverse=True)

    def facts(self, request):
        dictionary = {"names": [], "sets": []}
        packages = []
        for number in request["names"]:
            candidates = [
                {
                    "version": version,
                    "requires": [self.need(it, dictionary) for it in about.get("needs", [])],
                }
                for version, about in self.versions(number)
            ]
            packages.append({"name": number, "candidates": candidates})
        return {"dictionary": dictionary, "packages": packages}

    def members(self, request):
        sets = []
        for number in request["sets"]:
            if number >= len(self.sets):
                raise Refused("@NAME@::number", "there is no such number")
            name, oldest = self.sets[number]
            # The newest are the first, so a set is one run from the start.
            fit = [v for v, _ in self.versions(name) if not oldest or order(v) >= order(oldest)]
            sets.append([[0, len(fit)]] if fit else [])
        return {"sets": sets}

    def build(self, request):
        chosen = []
        for one in request["chosen"]:
            version, about = self.versions(one["name"])[one["candidate"]]
            chosen.append((self.names[one["name"]], version, about))
        keys = {name: name + "@" + version for name, version, _ in chosen}
        units = {}
        for name, version, about in chosen:
            needs = [split(need)[0] for need in about.get("needs", [])]
            # A package is built by copying its text to where it belongs.
            install = [
                [["mkdir"], ["-p"], [{"out": "share"}]],
                [["cp"], ["text"], [{"out": "share/" + name + ".txt"}]],
            ]
            units[keys[name]] = {
                "name": name,
                "version": version,
                "recipe": {
                    "kind": "build",
                    "files": {"text": about["text"]},
                    "steps": [{"phase": "install", "words": words} for words in install],
                },
                "depends": [{"unit": keys[need]} for need in needs if need in keys],
            }
        return {
            "units": units,
            "unit_of": [keys[name] for name, _, _ in chosen],
            "selected": [[] for _ in request.get("selections", [])],
        }


ECOSYSTEM = Ecosystem()
BEFORE_OPEN = ("describe", "open")
METHODS = (*BEFORE_OPEN, "facts", "members", "build")


class Guest(exports.Guest):
    """One instance of the component is one conversation."""

    def call(self, method, request):
        try:
            if method not in METHODS:
                raise Refused("protocol::method", "there is no method " + method)
            if method not in BEFORE_OPEN and ECOSYSTEM.packages is None:
                raise Refused("protocol::order", "asked before `open`")
            question = json.loads(request)
            if question is not None and not isinstance(question, dict):
                raise Refused("protocol::message", "the question is no object")
            return json.dumps(getattr(ECOSYSTEM, method)(question))
        except Refused as refused:
            raise Err(json.dumps(refused.document))
        except (KeyError, ValueError) as error:
            refused = Refused("protocol::message", "not what the protocol says: " + repr(error))
            raise Err(json.dumps(refused.document))
