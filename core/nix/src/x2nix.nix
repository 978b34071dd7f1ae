# Made by `x2nix emit`; put changes into overrides.nix beside this file.
#
# A fixed reader of the lock file: it makes a derivation for each build unit and decides nothing.
# All strings come from outside, so each goes into a script only through `quote`.
{
  pkgs ? import <nixpkgs> { },
  lib ? pkgs.lib,
  system ? pkgs.stdenv.hostPlatform.system,
  lockFile ? ./. + "/x2nix.lock.json",
  # `final: prev: { NAME = prev.NAME.overrideAttrs …; }`
  overrides ? if builtins.pathExists ./overrides.nix then import ./overrides.nix else _: _: { },
}:

let
  inherit (builtins) attrNames attrValues catAttrs concatLists elem filter foldl' head isString;
  inherit (builtins) listToAttrs mapAttrs toFile zipAttrsWith;
  inherit (lib) concatMapStrings concatMapStringsSep concatStringsSep hasPrefix optional;

  # --- The lock ---------------------------------------------------------------------------------

  lock =
    let
      document = lib.importJSON lockFile;
      version = document.version or null;
    in
    if version == 1 then
      document
    else
      throw "x2nix: ${baseNameOf lockFile} has format ${builtins.toJSON version}; this file reads format 1, so run `x2nix emit` again";

  answer =
    lock.platforms.${system}
      or (throw "x2nix: ${baseNameOf lockFile} has no answer for ${system}, only for ${concatStringsSep ", " (attrNames lock.platforms)}; run `x2nix resolve --platform ${system}`");

  # Where platforms disagree about an entry, it lies under ID/PLATFORM.
  entry =
    table: id:
    table."${id}/${system}" or table.${id} or (throw "x2nix: ${baseNameOf lockFile} lacks ${id}");

  packages = lib.genAttrs answer.packages (entry lock.packages);
  built = lib.filterAttrs (_: package: package.unit or null != null) packages;
  rootIds = filter (id: built ? ${id}) (lib.unique (lib.concatMap (need: need.by or [ ]) answer.roots));

  units =
    let
      reached = builtins.genericClosure {
        startSet = map (package: { key = package.unit; }) (attrValues built);
        operator = { key }: map (edge: { key = edge.unit; }) ((entry lock.units key).depends or [ ]);
      };
    in
    lib.genAttrs (catAttrs "key" reached) (entry lock.units);

  # A unit's attribute is its name, or its key where the name is not its own or is makeScope's.
  attribute =
    let
      sharing = lib.groupBy (id: units.${id}.name) (attrNames units);
      taken = [ "callPackage" "newScope" "overrideScope" "packages" ];
    in
    mapAttrs (
      id: { name, ... }: if sharing.${name} == [ id ] && !elem name taken then name else id
    ) units;

  # --- The graph --------------------------------------------------------------------------------

  needed =
    purposes: unit:
    catAttrs "unit" (filter (edge: elem (edge.purpose or "normal") purposes) (unit.depends or [ ]));

  depth = mapAttrs (
    _: unit: foldl' (deepest: id: lib.max deepest (1 + depth.${id})) 0 (needed [ "normal" ] unit)
  ) units;

  # Units and all that they need, as sets, which unite fast. Sets are sorted by key: the keys put
  # each unit before what it needs, so "nearer" is "earlier" in all lists of units below.
  key = id: "${toString (99999999 - depth.${id})} ${id}";
  reach = foldl' (all: id: all // closure.${id}) { };
  closure = mapAttrs (id: unit: reach (needed [ "normal" ] unit) // { ${key id} = id; }) units;

  # --- Sources ----------------------------------------------------------------------------------

  safeName = lib.strings.sanitizeDerivationName;

  # The lock's own folder is `.`.
  location =
    place:
    if lib.hasInfix "://" place then
      throw "x2nix: a source lies in ${place}, which is no folder here; give the repository as a folder, or a mirror of it with --repo"
    else if hasPrefix "/" place then
      /. + place
    else
      dirOf lockFile + "/${place}";

  project = location (head (catAttrs "location" (filter (i: i.kind == "project") lock.inputs) ++ [ "." ]));

  # A file or folder without what x2nix, Git, Dune and Nix leave there.
  tree =
    top: path:
    let
      own = map toString [ lockFile ./overrides.nix __curPos.file ];
      keep =
        file: type:
        !(
          elem (baseNameOf file) [ ".git" "_build" ]
          || (type == "symlink" && hasPrefix "result" (baseNameOf file))
          || elem file own
        );
    in
    if hasPrefix "/" path || elem ".." (lib.splitString "/" path) then
      throw "x2nix: the source ${path} lies outside of its input"
    else
      builtins.path {
        name = if path == "." then "source" else safeName (baseNameOf path);
        path = top + "/${path}";
        filter = keep;
      };

  artifacts = mapAttrs (
    id: artifact:
    {
      fetch = pkgs.fetchurl {
        inherit (artifact) urls;
        name = safeName artifact.name;
        hash = head (artifact.hashes ++ [ (throw "x2nix: the artifact ${id} has no checksum") ]);
      };
      local = tree project artifact.path;
      input = tree (location (builtins.elemAt lock.inputs artifact.input).location) artifact.path;
    }
    .${artifact.kind}
  ) (lock.artifacts or { });

  # What unpacking needs beyond the standard environment.
  unpackers =
    source:
    let
      artifact = lock.artifacts.${source.artifact};
      ends = suffix: lib.hasSuffix suffix (artifact.name or artifact.path);
    in
    optional (ends ".zip") pkgs.buildPackages.unzip ++ optional (ends "zst") pkgs.buildPackages.zstd;

  # --- Shell ------------------------------------------------------------------------------------

  quote = text: "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] text + "'";
  below = path: lib.optionalString (path != "") (quote "/${path}");

  # A word of the lock as one shell word. `out` is, in shell, the output that it may speak of.
  word =
    self: out: parts:
    if parts == [ ] then "''" else concatMapStrings (
      part:
      if isString part then
        quote part
      else if part ? out then
        out + below part.out
      else if part ? unit then
        quote "${self.${attribute.${part.unit.unit}}}" + below part.unit.path
      else
        {
          jobs = ''"$NIX_BUILD_CORES"'';
          source-top = ''"$x2nixTop"'';
        }
        .${part.variable}
    ) parts;

  # What operations do to variables: to each, perhaps `set`, words to go `before`, and `after`.
  effects =
    self: out:
    foldl' (
      all:
      { variable, operation, value }:
      let
        old = all.${variable} or { };
        words = [ (word self out value) ];
      in
      if builtins.match "[A-Za-z_][A-Za-z0-9_]*" variable == null then
        throw "x2nix: `${variable}` is not a name of an environment variable"
      else
        all
        // {
          ${variable} =
            {
              set = { set = words; };
              prepend = old // { before = words ++ old.before or [ ]; };
              append = old // { after = old.after or [ ] ++ words; };
            }
            .${operation};
        }
    ) { };

  # The line that brings about effects on one variable, the nearest first; it hides those behind
  # the nearest `set`.
  assignment =
    variable: all:
    let
      isSet = catAttrs "set" all != [ ];
      seen = if isSet then lib.take (1 + lib.lists.findFirstIndex (e: e ? set) 0 all) all else all;
      before = concatLists (catAttrs "before" seen);
      after = concatLists (lib.reverseList (catAttrs "after" seen));
      value = filter (w: w != "''") (before ++ concatLists (catAttrs "set" seen) ++ after);
      join = concatStringsSep ":";
    in
    "export ${variable}="
    + (
      if isSet then
        join value
      else if before == [ ] then
        "\${${variable}:+\"\$${variable}:\"}${join after}"
      else
        "${join before}\${${variable}:+\":\$${variable}\"}${concatMapStrings (w: ":${w}") after}"
    )
    + "\n";

  assignments = all: concatStringsSep "" (attrValues (zipAttrsWith assignment all));

  helpers = toFile "x2nix-helpers.sh" ''
    x2nixTop=$PWD/source

    # COMMAND ARGUMENT...: shows it and runs it
    x2nixRun() {
      printf '+ %s\n' "''${*@Q}"
      "$@"
    }

    # FILE PLACE: copies a file or folder; an archive becomes a folder, without its only top folder,
    # unless its place has an archive's name too.
    x2nixPlace() {
      local from=$1 to=$x2nixTop''${2:+/$2} unpacked entries
      mkdir -p "''${to%/*}"
      case $2 in
        *.tar | *.tar.* | *.tgz | *.tbz | *.tbz2 | *.txz | *.tzst | *.zip) ;;
        *)
          if [ -f "$from" ] && [ -s "$from" ]; then
            unpacked=$(mktemp -d)
            if [ "$(head -c 2 "$from")" = PK ]; then
              unzip -qq "$from" -d "$unpacked"
            elif tar -tf "$from" > /dev/null 2>&1; then
              tar -xf "$from" -C "$unpacked" --no-same-owner
            else
              rmdir "$unpacked"
            fi
          fi
          ;;
      esac
      if [ -d "''${unpacked-}" ]; then
        readarray -d "" entries < <(find "$unpacked" -mindepth 1 -maxdepth 1 -print0)
        from=$unpacked
        if [ ''${#entries[@]} = 1 ] && [ -d "''${entries[0]}" ] && [ ! -L "''${entries[0]}" ]; then
          from=''${entries[0]}
        fi
      fi
      if [ -d "$from" ]; then
        mkdir -p "$to"
        cp -R --preserve=mode,timestamps,links "$from/." "$to"
      else
        [ -n "$2" ] || to=$to/$(stripHash "$from")
        cp --preserve=mode,timestamps "$from" "$to"
      fi
      chmod -R u+w "$to"
      [ ! -d "''${unpacked-}" ] || { chmod -R u+w "$unpacked"; rm -rf "$unpacked"; }
    }
  '';

  # --- Derivations ------------------------------------------------------------------------------

  fromPackages =
    set: id: path:
    lib.attrByPath (lib.splitString "." path)
      (throw "x2nix: the unit ${id} needs pkgs.${path}, and the package set has none; say in x2nix.toml or overrides.nix what to take")
      set;

  metaOf =
    { meta ? { }, ... }:
    lib.filterAttrs (_: value: value != null && value != [ ]) {
      description = meta.description or null;
      homepage = meta.homepage or null;
      mainProgram = meta.main_program or null;
      identifiers = if meta ? purl then { inherit (meta) purl; } else null;
      license = map (
        text: (lib.getLicenseFromSpdxIdOr or (_: other: other)) text { fullName = text; }
      ) (meta.licenses or [ ]);
    };

  packagesOf = lib.groupBy (id: built.${id}.unit) (attrNames built);

  # How units act on their dependants, given the scope `self` that holds them.
  wiring =
    self:
    let
      exports = mapAttrs (
        id: unit: effects self (quote "${self.${attribute.${id}}}") (unit.exports or [ ])
      ) units;

      # What a unit brings in from the package set, by role and under a name that tells them apart.
      brought = mapAttrs (
        id: { recipe, ... }:
        let
          whole = lib.optionalAttrs (recipe.attribute or null != null) {
            "unit ${id}" = self.${attribute.${id}};
          };
          fits = runs: filter (need: (need.role or "host" == "build") == runs) (recipe.system or [ ]);
          from = set: need: {
            name = "pkgs ${need.attribute}";
            value = fromPackages set id need.attribute;
          };
        in
        {
          native = whole // listToAttrs (map (from pkgs.buildPackages) (fits true));
          host = whole // listToAttrs (map (from pkgs) (fits false));
        }
      ) units;
      bring = role: ids: attrValues (foldl' (all: id: all // brought.${id}.${role}) { } ids);
    in
    {
      nativeBuildInputs = bring "native";
      buildInputs = bring "host";
      # The shell that applies the exports of units and, last, the effects `own`.
      script = ids: own: assignments ([ own ] ++ map (id: exports.${id}) ids);
    };

  build =
    self: wires: id: unit:
    let
      inherit (unit) recipe;
      sources = recipe.sources or [ ];
      onTop = path: ''"$x2nixTop"${quote "/${path}"}'';
      place = from: source: "x2nixPlace ${from} ${quote (source.to or "")}\n";
      store = source: "${artifacts.${source.artifact}}";

      write =
        path: content:
        if isString content then
          "install -D -m 644 ${toFile "file" content} ${onTop path}\n"
        else
          "install -D -m 644 /dev/null ${onTop path}\n"
          + "base64 -d ${toFile "file" content.base64} > ${onTop path}\n";

      phase = name: ''
        runHook pre${name}
        ${concatMapStrings (
          step: "x2nixRun ${concatMapStringsSep " " (word self ''"$out"'') step.words}\n"
        ) (filter (step: step.phase == lib.toLower name) (recipe.steps or [ ]))}
        runHook post${name}
      '';
    in
    pkgs.stdenv.mkDerivation (
      final:
      let
        purposes = [ "normal" ] ++ optional final.doCheck "test";
        needs = attrValues (reach (needed purposes unit));
      in
      {
        pname = safeName unit.name;
        version = safeName unit.version;

        nativeBuildInputs = wires.nativeBuildInputs ([ id ] ++ needs) ++ lib.concatMap unpackers sources;
        buildInputs = wires.buildInputs ([ id ] ++ needs);
        # Runs before all phases, and in nix-shell.
        postHook =
          "source ${helpers}\n"
          + wires.script needs (effects self ''"$out"'' (recipe.environment or [ ]));

        # The first source goes by way of `src`, so that overrideAttrs may change it.
        unpackPhase = ''
          runHook preUnpack
          mkdir -p "$x2nixTop"
          sourceRoot=source
          ${concatMapStrings (place ''"$src"'') (lib.take 1 sources)}
          ${concatMapStrings (source: place (store source) source) (lib.drop 1 sources)}
          runHook postUnpack
        '';
        prePatch =
          concatStringsSep "" (lib.mapAttrsToList write (recipe.files or { }))
          + concatMapStrings (patch: "patch -p1 -i ${onTop patch}\n") (recipe.patches or [ ]);
        dontConfigure = true; # a step of its own, where it is wanted
        buildPhase = phase "Build";
        doCheck = false;
        checkPhase = phase "Check";
        preInstall = ''mkdir -p "$out"'';
        installPhase = phase "Install";
        dontStrip = true; # it breaks what is appended to a program: OCaml bytecode, images

        meta = metaOf unit;
        passthru.x2nix = {
          unit = id;
          packages = packagesOf.${id} or [ ];
        };
      }
      // lib.optionalAttrs (sources != [ ]) { src = artifacts.${(head sources).artifact}; }
    );

  scope = lib.makeScope pkgs.newScope (
    self:
    let
      wires = wiring self;
      make =
        id: unit:
        if unit.recipe.attribute or null != null then
          fromPackages pkgs id unit.recipe.attribute
        else
          build self wires id unit;
    in
    lib.mapAttrs' (id: unit: lib.nameValuePair attribute.${id} (make id unit)) units
  );

  # --- The result -------------------------------------------------------------------------------

  result =
    scope:
    let
      unitOf = id: scope.${attribute.${built.${id}.unit}};
      # By name; where a name is there twice, the roots' own, then the first.
      named = ids: listToAttrs (map (id: lib.nameValuePair packages.${id}.name (unitOf id)) ids);
      hasChecks =
        id: lib.any (step: step.phase == "check") (units.${built.${id}.unit}.recipe.steps or [ ]);

      # The shell has what the project's own roots need for all purposes, not those roots.
      rootUnits = lib.unique (map (id: built.${id}.unit) rootIds);
      isOwn =
        id:
        lib.any (source: lock.artifacts.${source.artifact}.kind == "local") (
          units.${id}.recipe.sources or [ ]
        );
      own = filter isOwn rootUnits;
      all = [ "normal" "test" "doc" "dev" ];
      found =
        reach (filter (id: !isOwn id) rootUnits)
        // reach (lib.concatMap (id: needed all units.${id}) own);
      needs = attrValues (removeAttrs found (map key own));
      wires = wiring scope;
    in
    scope
    // {
      packages = named (rootIds ++ attrNames built);
      roots = named rootIds;
      units = mapAttrs (id: name: scope.${name}) attribute;
      checks = mapAttrs (_: root: root.overrideAttrs (_: { doCheck = true; })) (
        named (filter hasChecks rootIds)
      );
      devShells.default = pkgs.mkShell {
        nativeBuildInputs = wires.nativeBuildInputs (own ++ needs);
        buildInputs = wires.buildInputs (own ++ needs);
        shellHook = wires.script needs { };
      };
      overrideScope = change: result (scope.overrideScope change);
    };
in
result (scope.overrideScope overrides)
