# The part of nixpkgs' module system that x2nix's module uses, small: options with types, submodules,
# `mkIf`, `mkDefault`. Written for these tests.
lib:

let
  inherit (builtins) all any attrNames concatLists elem filter head isAttrs isBool isFunction isInt isList isString length mapAttrs match removeAttrs;

  fail = path: what: throw "the option `${lib.concatStringsSep "." path}` ${what}";

  # What definitions come to, without `mkIf`; each has a value and whether it is a default.
  discharge = value:
    if isAttrs value && value._type or null == "if" then
      (if value.condition then discharge value.content else [ ])
    else if isAttrs value && value._type or null == "default" then
      map (it: it // { isDefault = true; }) (discharge value.content)
    else [ { inherit value; isDefault = false; } ];
  strongest = definitions:
    let firm = filter (it: !it.isDefault) definitions; in
    map (it: it.value) (if firm == [ ] then definitions else firm);

  one = name: check: {
    inherit name check;
    merge = path: values:
      if length values > 1 && any (value: value != head values) values then fail path "is defined twice"
      else if check (head values) then head values
      else fail path "is not of the type ${name}";
  };

  types = rec {
    str = one "string" isString;
    lines = str;
    bool = one "boolean" isBool;
    path = one "path" (value: builtins.isPath value || lib.hasPrefix "/" (toString value));
    package = one "package" (value: isAttrs value && value ? outPath);
    anything = one "anything" (_: true);
    enum = words: one "one of ${toString words}" (value: elem value words);
    strMatching = pattern: one "string like ${pattern}" (value: isString value && match pattern value != null);
    ints.positive = one "positive integer" (value: isInt value && value > 0);
    nullOr = type: one "null or ${type.name}" (value: value == null || type.check value);
    either = a: b: one "${a.name} or ${b.name}" (value: a.check value || b.check value);
    listOf = type: {
      name = "list of ${type.name}";
      check = value: isList value && all type.check value;
      merge = path: values:
        if all (value: isList value && all type.check value) values then concatLists values
        else fail path "is not a list of ${type.name}";
    };
    attrsOf = type: {
      name = "attribute set of ${type.name}";
      check = isAttrs;
      merge = path: values:
        mapAttrs
          (name: definitions: type.merge (path ++ [ name ]) (strongest (concatLists (map discharge definitions))))
          (builtins.zipAttrsWith (_: all: all) values);
    };
    submodule = modules: {
      name = "submodule";
      check = isAttrs;
      merge = path: values:
        (evalModules {
          modules = (if isList modules then modules else [ modules ]) ++ map (config: { inherit config; }) values;
          specialArgs.name = lib.last path;
          prefix = path;
        }).config;
    };
  };

  evalModules = { modules, specialArgs ? { }, prefix ? [ ] }:
    let
      arguments = specialArgs // { inherit config lib; };
      load = module:
        let
          it = if builtins.isPath module then import module else module;
          loaded = if isFunction it then it arguments else it;
        in
        {
          options = loaded.options or { };
          config = loaded.config or (removeAttrs loaded [ "options" "imports" ]);
        };
      loaded = map load modules;
      join = sets: builtins.zipAttrsWith
        (_: all: if any (it: it._type or null == "option") all then head all else join all) sets;
      options = join (map (module: module.options) loaded);
      # The condition of a set is that of its values, so that its names are known without it.
      push = value:
        if isAttrs value && value._type or null == "if" then
          mapAttrs (_: content: value // { inherit content; }) (push value.content)
        else value;
      resolve = path: options: definitions:
        mapAttrs (name: option:
          let
            here = path ++ [ name ];
            values = concatLists (map
              (set: let it = push set; in if it ? ${name} then [ it.${name} ] else [ ]) definitions);
            counted = strongest (concatLists (map discharge values));
          in
          if option._type or null != "option" then resolve here option values
          else if counted != [ ] then option.type.merge here counted
          else option.default or (fail here "is used and not defined")) options;
      unknown = filter (name: !(options ? ${name})) (concatLists (map (module: attrNames (plain module.config)) loaded));
      plain = config: if config._type or null == "if" then { } else config;
      config =
        if unknown != [ ] then fail (prefix ++ [ (head unknown) ]) "does not exist"
        else resolve prefix options (map (module: module.config) loaded);
    in
    { inherit config options; };
in
{
  inherit evalModules types;
  mkOption = option: option // { _type = "option"; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkDefault = content: { _type = "default"; inherit content; };
  literalExpression = text: { _type = "literalExpression"; inherit text; };

  # What else of lib the module uses.
  inherit (builtins) all attrNames attrValues concatLists concatMap;
  concatStrings = lib.concatStringsSep "";
  optionals = condition: list: if condition then list else [ ];
  intersectLists = a: filter (item: elem item a);
  isStorePath = value: isString value && lib.hasPrefix builtins.storeDir value;
  escapeShellArg = text:
    let string = toString text; in
    if match "[[:alnum:],._+:@%/-]+" string != null then string
    else "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] string + "'";
  escapeShellArgs = list: lib.concatMapStringsSep " " (text:
    let string = toString text; in
    if match "[[:alnum:],._+:@%/-]+" string != null then string
    else "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] string + "'") list;
}
