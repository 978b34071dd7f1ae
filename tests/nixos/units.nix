# The units of a name server as a service, for tests/nixos/boot: the files that a machine of another
# distribution than NixOS needs, with links into the store.
#   project   the folder that x2nix locked
#   pkgs      its package set
#   target    hvt, spt or unix
#   lib       whose evalModules evaluates the module
{
  project,
  pkgs,
  target,
  lib ? let all = import ../nix/stand-in/lib.nix // import ../nix/stand-in/modules.nix all; in all,
}:

let
  example = import ../../examples/dns-unikernel/service.nix;
  built = import (project + "/x2nix.nix") { inherit pkgs; };
  # The tools of that machine, of which the scripts have to take none but what the module names.
  here = pkgs // {
    iproute2 = "/usr";
    writeShellScript = name: text: pkgs.runCommand name { text = "#!/bin/bash\n${text}\n"; } ''
      printf %s "$text" > "$out"
      chmod +x "$out"
    '';
  };
  open = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
  inherit (lib.evalModules {
    specialArgs = { pkgs = here; };
    modules = [
      ../../nixos/unikernels.nix
      {
        options = {
          assertions = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
          systemd.services = open;
          users.groups = open;
          services.albatross = open;
        };
        config.services.unikernels.nameserver = example.services.unikernels.nameserver // {
          package = built.${target};
        } // (
          # One for unix has the sockets of the machine, so it is told an address of the machine.
          if target == "unix" then { arguments = [ "--ipv4=10.0.0.2/24" ]; }
          else { tender = built."${target}-scope".solo5; }
        );
      }
    ];
  }) config;

  # What NixOS writes for such values.
  value = it: if it == true then "true" else if it == false then "false" else toString it;
  line = name: it: map (it: "${name}=${value it}\n") (if builtins.isList it then it else [ it ]);
  lines = set: builtins.concatStringsSep "" (builtins.concatLists (lib.mapAttrsToList line set));
  unit = it: ''
    [Unit]
    Description=${it.description}
    ${lines { After = toString it.after; }}
    [Service]
    ${lines it.serviceConfig}
    [Install]
    ${lines { WantedBy = toString it.wantedBy; }}
  '';
  failed = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
in
if failed != [ ] then throw (builtins.concatStringsSep "\n" failed) else
pkgs.runCommand "units" {
  groups = toString (builtins.attrNames config.users.groups);
  text = unit config.systemd.services.unikernel-nameserver;
} ''
  mkdir "$out"
  printf %s "$text" > "$out/unikernel-nameserver.service"
  printf '%s\n' $groups > "$out/groups"
''
