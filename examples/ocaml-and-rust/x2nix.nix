# Made by `x2nix emit`; put changes into overrides.nix beside this file.
#
# A fixed reader of the lock file: it makes a derivation of each build unit and decides nothing.
# The lock's strings come from strangers, so each reaches a script only through `quote`.
# The sections that are marked `shared` are also those of `x2nix emit --standalone`.
{
  pkgs ? import <nixpkgs> { },
  lib ? pkgs.lib,
  system ? pkgs.stdenv.hostPlatform.system,
  lockFile ? ./. + "/x2nix.lock.json",
  # What it says; paths in it are as seen from its folder.
  content ? lib.importJSON lockFile,
  # `final: prev: { NAME = prev.NAME.overrideAttrs …; }`
  overrides ? if builtins.pathExists ./overrides.nix then import ./overrides.nix else _: _: { },
}:

let
  inherit (builtins) attrNames attrValues catAttrs concatLists elem filter foldl' head isString;
  inherit (builtins) listToAttrs mapAttrs removeAttrs toFile;
  inherit (lib) concatMapStrings concatStringsSep hasPrefix mapAttrsToList optional optionalAttrs;

  # --- The lock ---------------------------------------------------------------------------------

  lockName = baseNameOf lockFile;
  lock =
    if content.version or null == 1 then content
    else throw "x2nix: ${lockName} has format ${builtins.toJSON (content.version or null)}, this file reads format 1; run `x2nix emit` again";

  answer = lock.platforms.${system} or (throw
    "x2nix: ${lockName} has no answer for ${system}, only for ${concatStringsSep ", " (attrNames lock.platforms)}; run `x2nix resolve --platform ${system}`");

  # Where platforms disagree about an entry, it lies under ID/PLATFORM.
  entry = table: id:
    table."${id}/${system}" or table.${id} or (throw "x2nix: ${lockName} lacks ${id}");

  # The packages that a unit builds, and the units, by key.
  packages = lib.filterAttrs (_: package: package.unit or null != null)
    (lib.genAttrs answer.packages (entry lock.packages));
  aliases = answer.aliases or { };
  units = lib.genAttrs (catAttrs "key" (builtins.genericClosure {
    startSet = map (key: { inherit key; })
      (mapAttrsToList (_: package: package.unit) packages ++ attrValues aliases);
    operator = unit: map (edge: { key = edge.unit; }) ((entry lock.units unit.key).depends or [ ]);
  })) (entry lock.units);

  # A unit's attribute is its name, or its key if others have the name, or the scope itself.
  attribute =
    let
      having = lib.groupBy (id: units.${id}.name) (attrNames units);
      taken = [ "callPackage" "newScope" "overrideScope" "packages" ];
      choose = id: { name, ... }: if having.${name} == [ id ] && !elem name taken then name else id;
    in
    mapAttrs choose units;

  # --- The graph --------------------------------------------------------------------------------

  needs = purposes: unit:
    catAttrs "unit" (filter (edge: elem (edge.purpose or "normal") purposes) (unit.depends or [ ]));

  # Closures are sets, which unite fast. A set is sorted by key, and these keys put a unit before
  # all that it needs: in the lists below, earlier is nearer.
  key = id: "${toString (99999999 - depth.${id})} ${id}";
  depth = mapAttrs
    (_: unit: foldl' (deepest: id: lib.max deepest (1 + depth.${id})) 0 (needs [ "normal" ] unit))
    units;
  reach = foldl' (all: id: all // closure.${id}) { };
  closure = mapAttrs (id: unit: reach (needs [ "normal" ] unit) // { ${key id} = id; }) units;

  # --- Files (shared) ---------------------------------------------------------------------------

  safeName = lib.strings.sanitizeDerivationName;

  # A file or folder, without what x2nix, Git, Dune, Nix and Cargo (or whatever else marks its cache) leave
  # there, and what the shell has put there for whoever works in it by hand.
  tree = top: path:
    let
      record = top + "/.x2nix/placed";
      lines = if builtins.pathExists record then lib.splitString "\n" (builtins.readFile record) else [ ];
      placed = map (line: "${toString top}/${head (lib.splitString "\t" line)}") lines;
      beside = map (name: dirOf lockFile + "/${name}")
        [ "overrides.nix" "x2nix.nix" "x2nix.toml" "default.nix" "shell.nix" "flake.nix" "flake.lock" ];
      own = map toString ([ lockFile ./overrides.nix __curPos.file ] ++ beside);
      isLeft = file: type:
        elem file own || elem file placed || elem (baseNameOf file) [ ".git" ".x2nix" "_build" ]
        || (type == "symlink" && hasPrefix "result" (baseNameOf file))
        || (type == "directory" && builtins.pathExists (file + "/CACHEDIR.TAG"));
    in
    if hasPrefix "/" path || elem ".." (lib.splitString "/" path) then
      throw "x2nix: the source ${path} lies outside of its input"
    else
      builtins.path {
        name = if path == "." then "source" else safeName (baseNameOf path);
        path = top + "/${path}";
        filter = file: type: !isLeft file type;
      };

  # --- Sources ----------------------------------------------------------------------------------

  # The folder of an input; `.` is the lock's own.
  folder = { location, ... }:
    if hasPrefix "/" location then /. + location
    else if !lib.hasInfix "://" location then dirOf lockFile + "/${location}"
    else throw "x2nix: a source lies in ${location}, which is no folder; resolve with a copy of it (--repo DIR)";

  artifacts = mapAttrs (id: artifact: {
    fetch = pkgs.fetchurl {
      inherit (artifact) urls;
      name = safeName artifact.name;
      hash = head (artifact.hashes ++ [ (throw "x2nix: the artifact ${id} has no checksum") ]);
    };
    git = pkgs.fetchgit {
      inherit (artifact) url hash;
      name = safeName artifact.name;
      rev = artifact.commit;
      fetchSubmodules = artifact.submodules or false;
    };
    local = tree
      (folder (head (filter (input: input.kind == "project") lock.inputs ++ [ { location = "."; } ])))
      artifact.path;
    input = tree (folder (builtins.elemAt lock.inputs artifact.input)) artifact.path;
  }.${artifact.kind}) (lock.artifacts or { });

  # What unpacking needs beyond the standard environment.
  unpackers = source:
    let
      artifact = lock.artifacts.${source.artifact};
      ends = suffix: artifact.kind != "git" && lib.hasSuffix suffix (artifact.name or artifact.path);
    in
    optional (ends ".zip") pkgs.buildPackages.unzip ++ optional (ends "zst") pkgs.buildPackages.zstd;

  # --- Words ------------------------------------------------------------------------------------

  # A path in the output of a unit: of another, and of the one that is built.
  inUnit = self: unit: path:
    quote ("${self.${attribute.${unit}}}" + lib.optionalString (path != "") "/${path}");
  inOut = path: ''"$out"'' + below path;

  # A word of the lock as one shell word. `out` gives the paths in the output that it may speak of.
  word = self: out: parts:
    let
      shown = part:
        if isString part then quote part
        else if part ? out then out part.out
        else if part ? unit then inUnit self part.unit.unit part.unit.path
        else if part ? content then "\"$(x2nixContent ${inUnit self part.content.unit part.content.path})\""
        else { jobs = ''"$NIX_BUILD_CORES"''; source-top = inTop ""; platform = quote system; }.${part.variable};
    in
    if parts == [ ] then "''" else concatMapStrings shown parts;

  # The commands of a phase, a line each.
  commands = self: phase: recipe: concatMapStrings
    (step: "x2nixRun ${lib.concatMapStringsSep " " (word self inOut) step.words}\n")
    (filter (step: step.phase == phase) (recipe.steps or [ ]));

  # What operations do, by variable: perhaps `set` it, and words to go `before` and `after`.
  effects = self: out: foldl' (all: { variable, operation, value, separator ? ":" }:
    let
      old = all.${variable} or { };
      words = [ (word self out value) ];
      before = old // { inherit separator; before = words ++ old.before or [ ]; };
      after = old // { inherit separator; after = old.after or [ ] ++ words; };
    in
    if builtins.match "[A-Za-z_][A-Za-z0-9_]*" variable == null then
      throw "x2nix: `${variable}` cannot be the name of an environment variable"
    else
      all // {
        ${variable} = {
          set = { inherit separator; set = words; };
          prepend = before;
          append = after;
          prepend-separated = before // { keep = true; };
          append-separated = after // { keep = true; };
        }.${operation};
      }) { };

  # --- Shell (shared) ---------------------------------------------------------------------------

  quote = text: "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] text + "'";
  below = path: lib.optionalString (path != "") (quote "/${path}");
  inTop = path: ''"$x2nixTop"'' + below path;

  # The line for a variable, given all effects on it, the nearest first: a `set` hides what lies
  # behind it, and what is not set keeps its old value in the middle.
  assignment = variable: all:
    let
      isSet = catAttrs "set" all != [ ];
      seen = if isSet then lib.take (1 + lib.lists.findFirstIndex (e: e ? set) 0 all) all else all;
      separator = (head all).separator or ":";
      join = concatStringsSep (quote separator);
      before = concatLists (catAttrs "before" seen);
      after = concatLists (lib.reverseList (catAttrs "after" seen));
      # What is there, and the separator: always, or where something is there.
      old = side:
        let there = "\$${variable}"; between = quote separator; in
        if catAttrs "keep" seen != [ ] then
          if side then "${between}\${${variable}-}" else "\${${variable}-}${between}"
        else if side then "\${${variable}:+${between}${there}}"
        else "\${${variable}:+${there}${between}}";
      value =
        if isSet then join (filter (w: w != "''") (before ++ concatLists (catAttrs "set" seen) ++ after))
        else if before == [ ] then old false + join after
        else join before + old true + concatMapStrings (w: quote separator + w) after;
    in
    "export ${variable}=${value}\n";
  assignments = all: concatStringsSep "" (attrValues (builtins.zipAttrsWith assignment all));

  helpers = toFile "x2nix.sh" ''
    x2nixTop=$PWD/source

    # COMMAND ARGUMENT...: shows it and runs it
    x2nixRun() {
      printf '+ %s\n' "''${*@Q}"
      "$@"
    }

    # FILE: its text, if it is there
    x2nixContent() {
      [ ! -f "$1" ] || cat "$1"
    }

    # FILE PLACE FOLDER: copies a file or folder, or the folder of it that is given. An archive becomes
    # a folder, without its top folder if that is alone there, unless the place has an archive's name too.
    x2nixPlace() {
      local from=$1 to=$x2nixTop''${2:+/$2} unpacked entries top
      case $2 in
        *.tar | *.tar.* | *.tgz | *.tbz | *.tbz2 | *.txz | *.tzst | *.zip) ;;
        *)
          unpacked=$(mktemp -d)
          if [ -d "$from" ]; then :
          elif [[ $from == *.zip ]]; then unzip -qq "$from" -d "$unpacked"
          elif tar -tf "$from" > /dev/null 2>&1; then tar -xf "$from" -C "$unpacked" --no-same-owner
          elif [[ $from =~ [.](tar([.][a-z0-9]+)?|tgz|tbz2?|txz|tlz|tzst)$ ]]; then
            echo "x2nix: $from cannot be unpacked:" >&2
            tar -tf "$from" > /dev/null
            exit 1
          fi
          readarray -d "" entries < <(find "$unpacked" -mindepth 1 -maxdepth 1 -print0)
          if [ ''${#entries[@]} = 1 ] && [ -d "$entries" ] && [ ! -L "$entries" ]; then from=$entries
          elif [ ''${#entries[@]} -gt 0 ]; then from=$unpacked
          fi
          ;;
      esac
      if [ -n "$3" ]; then
        top=$(realpath "$from")
        from=$(realpath -e "$from/$3")
        case $from in
          "$top"/*) ;;
          *) echo "x2nix: the folder $3 lies outside of its source" >&2; exit 1 ;;
        esac
      fi
      mkdir -p "''${to%/*}"
      if [ -d "$from" ]; then
        mkdir -p "$to"
        cp -R --preserve=mode,timestamps,links "$from/." "$to"
      else
        [ -n "$2" ] || to=$to/$(stripHash "$from")
        cp --preserve=mode,timestamps "$from" "$to"
      fi
      chmod -R u+w "$to" ''${unpacked:+"$unpacked"}
      rm -rf ''${unpacked:+"$unpacked"}
    }
  '';

  # Runs before all phases, and in nix-shell: the effects `own`, and those of the units with these ids.
  hook = own: exports: ids: "source ${helpers}\n" + assignments ([ own ] ++ map (id: exports.${id}) ids);

  # What a shell does when it is entered, of what its roots say.
  entered = each:
    if builtins.length each < 2 then concatStringsSep "" each
    else "echo 'x2nix: for the folder to be set up, enter the shell of one program: devShells.NAME' >&2\n";

  # Writes a file of the source: its text, or its bytes as base64.
  write = path: content:
    if isString content then "install -D -m 644 ${toFile "file" content} ${inTop path}\n"
    else "install -D -m 644 /dev/null ${inTop path}\nbase64 -d ${toFile "file" content.base64} > ${inTop path}\n";

  phase = name: steps: ''
    runHook pre${name}
    ${steps}
    runHook post${name}
  '';

  unpack = places: ''
    runHook preUnpack
    mkdir -p "$x2nixTop"
    sourceRoot=source
    ${places}
    runHook postUnpack
  '';

  # --- Package set (shared) ---------------------------------------------------------------------

  take = set: id: path: lib.attrByPath (lib.splitString "." path)
    (throw "x2nix: the unit ${id} needs pkgs.${path}, which is not there; name another in x2nix.toml or overrides.nix")
    set;

  # The versions were solved against this one.
  provided = { id, name, version, attribute }:
    let
      value = take pkgs id attribute;
      found = value.version or "";
    in
    if elem found [ "" version ] then value
    else throw "x2nix: pkgs.${attribute} is version ${found}, but ${lockName} was resolved for ${version}; say provided.${name}.version = \"${found}\" in x2nix.toml where it says another, run `x2nix resolve --update=${name}`, or choose in overrides.nix";

  # nixpkgs makes `purl` of the parts itself.
  purlOf = purl:
    let parts = builtins.match "pkg:([^/]+)/(.*)" purl; in
    { inherit purl; }
    // optionalAttrs (parts != null) { purlParts = { type = head parts; spec = lib.last parts; }; };

  # nixpkgs refuses to build under a licence that does not say that it is free.
  license = text: (lib.getLicenseFromSpdxIdOr or (_: other: other)) text { fullName = text; free = true; };

  # What a unit says of its derivation is laid over this.
  common = {
    unpackPhase = unpack "";
    prePatch = "";
    postPatch = "patchShebangs --build .";
    dontConfigure = true; # a step of its own, where it is wanted
    buildPhase = phase "Build" "";
    doCheck = false;
    checkPhase = phase "Check" "";
    preInstall = ''mkdir -p "$out"'';
    installPhase = phase "Install" "";
    dontStrip = true; # it breaks what is appended to a program: OCaml bytecode, images
  };

  # --- Derivations ------------------------------------------------------------------------------

  # How units act on what needs them, in the scope `self`.
  wiring = self:
    let
      # What a unit brings from the package set, by role; the names tell them apart.
      brought = mapAttrs (id: { recipe, ... }:
        let
          whole = optionalAttrs (recipe.attribute or null != null) { "unit ${id}" = self.${attribute.${id}}; };
          from = set: isBuild: listToAttrs (map
            ({ attribute, ... }: { name = "pkgs ${attribute}"; value = take set id attribute; })
            (filter (need: (need.role or "host" == "build") == isBuild) (recipe.system or [ ])));
        in
        { native = whole // from pkgs.buildPackages true; host = whole // from pkgs false; }) units;
      bring = role: ids: attrValues (foldl' (all: id: all // brought.${id}.${role}) { } ids);
    in
    {
      nativeBuildInputs = bring "native";
      buildInputs = bring "host";
      exports = mapAttrs
        (id: unit: effects self (inUnit self id) (unit.exports or [ ])) units;
    };

  build = self: wires: id: unit:
    let
      inherit (unit) recipe;
      sources = recipe.sources or [ ];
      place = from: source:
        "x2nixPlace ${from} ${quote (source.to or "")} ${quote (source.from or "")}\n";
      steps = name: commands self name recipe;
      meta = unit.meta or { };
    in
    pkgs.stdenv.mkDerivation (final:
      let near = attrValues (reach (needs ([ "normal" ] ++ optional final.doCheck "test") unit)); in
      common // {
        pname = safeName unit.name;
        version = safeName unit.version;

        nativeBuildInputs = wires.nativeBuildInputs ([ id ] ++ near) ++ lib.concatMap unpackers sources;
        buildInputs = wires.buildInputs ([ id ] ++ near);
        postHook = hook (effects self inOut (recipe.environment or [ ])) wires.exports near;

        # The first source goes by way of `src`, so that overrideAttrs may change it.
        unpackPhase = unpack (
          concatMapStrings (place ''"$src"'') (lib.take 1 sources)
          + concatMapStrings (s: place (quote "${artifacts.${s.artifact}}") s) (lib.drop 1 sources));
        prePatch = concatStringsSep "" (mapAttrsToList write (recipe.files or { }))
          + steps "prepare"
          + concatMapStrings (patch: "patch -p1 -i ${inTop patch}\n") (recipe.patches or [ ]);
        buildPhase = phase "Build" (steps "build");
        checkPhase = phase "Check" (steps "check");
        installPhase = phase "Install" (steps "install");

        meta = lib.filterAttrs (_: value: !elem value [ null [ ] { } ]) {
          description = meta.description or null;
          homepage = meta.homepage or null;
          mainProgram = meta.main_program or null;
          identifiers = optionalAttrs (meta ? purl) (purlOf meta.purl);
          license = map license (meta.licenses or [ ]);
        };
        passthru.x2nix = {
          unit = id;
          packages = attrNames (lib.filterAttrs (_: p: p.unit == id) packages);
        } // optionalAttrs (meta ? info) { inherit (meta) info; };
      }
      // optionalAttrs (sources != [ ]) { src = artifacts.${(head sources).artifact}; });

  make = self: wires: id: unit:
    if unit.recipe.attribute or null != null then
      provided { inherit id; inherit (unit) name version; inherit (unit.recipe) attribute; }
    else
      build self wires id unit;

  scope = self:
    let wires = wiring self; in
    lib.mapAttrs' (id: unit: { name = attribute.${id}; value = make self wires id unit; }) units;

  roots = filter (id: packages ? ${id}) (lib.concatMap (need: need.by or [ ]) answer.roots);
  unitOf = id: units.${packages.${id}.unit};
  hasChecks = id: lib.any (step: step.phase == "check") ((unitOf id).recipe.steps or [ ]);

  # By name; the first of those with the same name.
  named = ids: listToAttrs (map
    (id: { inherit (packages.${id}) name; value = attribute.${packages.${id}.unit}; }) ids);

  # A shell holds what those of these roots need for any purpose that are the project's own, and the others.
  # What is to be done when it is entered is said by those own roots' units; if several say something, they
  # would be in each other's way.
  shell = some: self:
    let
      isOwn = id: lib.any (source: lock.artifacts.${source.artifact}.kind == "local")
        ((unitOf id).recipe.sources or [ ]);
      keys = map (id: packages.${id}.unit);
      own = filter isOwn some;
      others = filter (id: !isOwn id) some;
      every = [ "normal" "test" "doc" "dev" ];
      near = attrValues (removeAttrs
        (reach (keys others ++ lib.concatMap (id: needs every (unitOf id)) own))
        (map key (keys own)));
      wires = wiring self;
      entering = filter (text: text != "")
        (map (id: commands self "shell" units.${id}.recipe) (lib.unique (keys own)));
    in
    {
      nativeBuildInputs = wires.nativeBuildInputs (keys own ++ near);
      buildInputs = wires.buildInputs (keys own ++ near);
      shellHook = hook { } wires.exports near + entered entering;
    };

  # By name: of all roots, and of those that have a name of their own.
  rootsOf = key: filter (id: packages.${id}.unit == key) roots;
  shells = { default = shell roots; }
    // mapAttrs (_: key: shell (rootsOf key)) (lib.filterAttrs (_: key: rootsOf key != [ ]) aliases);

  # --- The result (shared) ----------------------------------------------------------------------

  # Of a scope's function and shells, and names of it: `packages`, `roots`, `units`, `checks`.
  project = { scope, shells, ... }@names:
    let
      result = self:
        let
          pick = mapAttrs (_: name: self.${name});
          packages = pick names.packages;
          aliases = names.aliases or { };
          isRoot = name: elem aliases.${name} (attrValues names.roots);
          scopes = map (name: { name = "${name}-scope"; value = self; }) (filter isRoot (attrNames aliases));
        in
        self // packages // pick aliases // listToAttrs scopes // {
          inherit packages;
          roots = pick names.roots;
          units = pick names.units;
          checks = mapAttrs (_: root: root.overrideAttrs (_: { doCheck = true; })) (pick names.checks);
          devShells = mapAttrs (_: shell: pkgs.mkShell (shell self)) shells;
          overrideScope = change: result (self.overrideScope change);
        };
    in
    result ((lib.makeScope pkgs.newScope scope).overrideScope overrides);

  # --- End --------------------------------------------------------------------------------------
in
project {
  inherit scope shells;
  packages = named (roots ++ attrNames packages);
  roots = named roots;
  units = attribute;
  aliases = mapAttrs (_: id: attribute.${id}) aliases;
  checks = named (filter hasChecks roots);
}
