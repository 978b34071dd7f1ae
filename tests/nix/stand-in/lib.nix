# The functions of nixpkgs' lib that x2nix's output and the stand-in use, written for these tests.
let
  inherit (builtins) attrNames elem elemAt filter foldl' functionArgs genList head isAttrs isString;
  inherit (builtins) length listToAttrs map match replaceStrings split stringLength substring tail;

  lib = rec {
    inherit (builtins) any concatLists concatMap concatStringsSep groupBy mapAttrs;

    # Lists
    take = n: list: genList (elemAt list) (min n (length list));
    drop = n: list: genList (i: elemAt list (n + i)) (max 0 (length list - n));
    last = list: elemAt list (length list - 1);
    reverseList = list: genList (i: elemAt list (length list - 1 - i)) (length list);
    unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
    optional = condition: x: if condition then [ x ] else [ ];
    lists.findFirstIndex =
      test: default: list:
      let
        go = i: if i == length list then default else if test (elemAt list i) then i else go (i + 1);
      in
      go 0;

    # Attribute sets
    nameValuePair = name: value: { inherit name value; };
    genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    filterAttrs = test: set: removeAttrs set (filter (name: !test name set.${name}) (attrNames set));
    optionalAttrs = condition: set: if condition then set else { };
    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if isAttrs set && set ? ${head path} then
        attrByPath (tail path) default set.${head path}
      else
        default;

    # Strings
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
    optionalString = condition: text: if condition then text else "";
    hasPrefix = start: text: substring 0 (stringLength start) text == start;
    hasSuffix =
      end: text:
      let
        before = stringLength text - stringLength end;
      in
      before >= 0 && substring before (stringLength end) text == end;
    hasInfix = part: text: length (splitString part text) > 1;
    splitString =
      separator: text:
      let
        special = [ "\\" "^" "$" "." "|" "?" "*" "+" "(" ")" "[" "{" ];
        pattern = replaceStrings special (map (c: "\\" + c) special) separator;
      in
      filter isString (split pattern text);
    toLower =
      let
        letters = text: filter (c: isString c && c != "") (split "" text);
      in
      replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");
    strings.sanitizeDerivationName =
      text:
      let
        safe = concatMapStrings (part: if isString part then part else "-") (
          split "[^[:alnum:]+._?=-]+" text
        );
        bare = head (match "\\.*(.*)" safe);
        kept = substring (max 0 (stringLength bare - 207)) (-1) bare;
      in
      if kept == "" then "unknown" else kept;

    # Numbers, files, licences
    min = a: b: if a < b then a else b;
    max = a: b: if a > b then a else b;
    importJSON = file: builtins.fromJSON (builtins.readFile file);
    getLicenseFromSpdxIdOr =
      id: default:
      if elem id [ "ISC" "MIT" ] then { spdxId = id; fullName = "${id} License"; } else default;

    # Functions, packages, scopes
    isFunction = f: builtins.isFunction f || (isAttrs f && f ? __functor);
    fix = f: let x = f x; in x;
    extends = change: f: final: let prev = f final; in prev // change final prev;
    makeOverridable =
      f: arguments:
      let
        result = f arguments;
        override = change: makeOverridable f (arguments // (if isFunction change then change arguments else change));
      in
      if isAttrs result then result // { inherit override; } else result;
    callPackageWith =
      scope: fileOrFunction: arguments:
      let
        f = if isFunction fileOrFunction then fileOrFunction else import fileOrFunction;
      in
      makeOverridable f (builtins.intersectAttrs (functionArgs f) scope // arguments);
    makeScope =
      newScope: f:
      let
        self = f self // {
          newScope = more: newScope (self // more);
          callPackage = self.newScope { };
          overrideScope = change: makeScope newScope (extends change f);
          packages = f;
        };
      in
      self;
  };
in
lib
