# What nixos/unikernels.nix makes of a configuration, as values.
#
#   nix-instantiate --eval --strict --json tests/nixos -A cases                          with the stand-in's lib
#   nix-instantiate --eval --strict --json tests/nixos -A cases --arg lib "import $X2NIX_NIXPKGS/lib"
{
  lib ? let all = import ../nix/stand-in/lib.nix // import ../nix/stand-in/modules.nix all; in all,
}:

let
  # A script is its text, so that it can be looked at.
  text = _: content: content;
  package = name: info: { type = "derivation"; inherit name; outPath = "/store/${name}"; x2nix = { inherit info; }; };
  pkgs = {
    solo5 = package "solo5" { };
    albatross = package "albatross" { };
    iproute2 = "/store/iproute2";
    writeShellScript = text;
    writeText = text;
    runCommand = name: _: _: "/store/${name}";
  };
  open = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
  system = {
    options = {
      assertions = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
      systemd.services = open;
      users.groups = open;
      services.albatross = open;
    };
  };
  evaluate = evaluateWith { };
  evaluateWith = albatross: unikernels:
    evaluateModules [ { config.services = { inherit albatross unikernels; }; } ];
  evaluateModules = modules:
    let
      inherit (lib.evalModules {
        specialArgs = { inherit pkgs; };
        modules = [ ../../nixos/unikernels.nix system ] ++ modules;
      }) config;
    in
    {
      inherit (config.systemd) services;
      failed = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
    };
in
{
  cases = {
    none = evaluate { };
    dns = evaluate {
      dns = {
        package = package "dns" { target = "hvt"; image = "dns.hvt"; manifest = "manifest.json"; };
        memory = 64;
        networks.service.bridge = "br0";
        data.zones.files."example.org" = "@ SOA it's";
        blocks.cache = "/dev/vg/cache";
        arguments = [ "--ipv4=10.0.0.2/24" "it's" ];
      };
      off = { enable = false; package = package "off" { }; };
    };
    example = evaluateModules [
      ../../examples/dns-unikernel/service.nix
      {
        config.services.unikernels.nameserver.package =
          package "nameserver" { target = "hvt"; image = "nameserver.hvt"; manifest = "manifest.json"; };
      }
    ];
    spt = evaluate { hello = { package = package "hello" { target = "spt"; image = "hello.spt"; }; restart = "always"; }; };
    unix = evaluate {
      hello = {
        package = package "hello" { target = "unix"; image = "hello"; };
        data.zones.files."example.org" = "@ SOA";
        blocks.cache = "/var/lib/cache";
      };
    };
    albatross = evaluateWith { enable = true; package = package "own-albatross" { }; } {
      dns = {
        package = package "dns" { target = "hvt"; image = "dns.hvt"; };
        backend = "albatross";
        networks.service = { bridge = "br0"; mac = "52:54:00:00:00:01"; };
        blocks.cache = "dns-cache";
        data.zones.files."example.org" = "@ SOA it's";
        restart = "always";
        arguments = [ "--ipv4=10.0.0.2/24" ];
      };
    };
    noAlbatross = evaluate {
      dns_1 = {
        package = package "dns" { target = "unix"; image = "dns"; };
        backend = "albatross";
        networks.service = { };
        blocks.cache = "/dev/vg/cache";
      };
    };
    wrong = evaluate {
      dns = {
        package = package "dns" { target = "spt"; image = "dns.spt"; };
        target = "hvt";
        networks.service.interface = "much-too-long-a-name";
        blocks.zones = "/dev/vg/zones";
        data.zones.files = { };
      };
    };
  };
}
