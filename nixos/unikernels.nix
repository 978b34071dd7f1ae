# A NixOS module: unikernels as services.
#
#   services.unikernels.dns = {
#     package = (import ./x2nix.nix { inherit pkgs; }).hvt;
#     networks.service.bridge = "br0";
#     data.zones.files."example.org" = ./example.org.zone;
#     arguments = [ "--ipv4=10.0.0.2/24" ];
#   };
#
# Each is a systemd service `unikernel-NAME` that runs the image in a solo5 tender: solo5-hvt under KVM,
# solo5-spt in a seccomp sandbox of this kernel, or, for `unix`, the program itself; or it is handed to
# Albatross, with the module of that project beside this one.
{ config, lib, pkgs, ... }:

let
  inherit (lib) concatLists concatStringsSep escapeShellArg escapeShellArgs filterAttrs mapAttrs' mapAttrsToList;
  inherit (lib) mkIf mkOption nameValuePair optional optionals types;

  unikernels = config.services.unikernels;
  # The options of Albatross's own module, where it is imported.
  albatross = config.services.albatross or { };
  enabled = filterAttrs (_: it: it.enable) unikernels;

  # What the emitted Nix says of a package that is a unikernel.
  about = package: package.x2nix.info or { };

  network = {
    options = {
      interface = mkOption {
        type = types.str;
        description = "The tap device; at most 15 characters.";
      };
      bridge = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The bridge that the tap device joins; null for none.";
      };
      mac = mkOption {
        type = types.nullOr (types.strMatching "([0-9a-f]{2}:){5}[0-9a-f]{2}");
        default = null;
        description = "The address of the unikernel's device; null for one that the tender chooses.";
      };
    };
  };

  data = {
    options.files = mkOption {
      type = types.attrsOf (types.either types.path types.lines);
      default = { };
      description = "The files, by path: each a file, or its text.";
    };
  };

  unikernel = { name, config, ... }: let unikernel = name; in {
    options = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether it runs.";
      };
      package = mkOption {
        type = types.package;
        description = "What x2nix built.";
      };
      target = mkOption {
        type = types.enum [ "unix" "hvt" "spt" ];
        default = (about config.package).target or "hvt";
        description = "The target that it was built for.";
      };
      image = mkOption {
        type = types.str;
        default = (about config.package).image or "${name}.${config.target}";
        description = "The file of the package that is run.";
      };
      memory = mkOption {
        type = types.ints.positive;
        default = 32;
        description = "Its memory, in MiB.";
      };
      arguments = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "What it is told when it boots.";
      };
      networks = mkOption {
        type = types.attrsOf (types.submodule [
          network
          ({ name, ... }: { interface = lib.mkDefault (builtins.substring 0 15 "${unikernel}-${name}"); })
        ]);
        default = { };
        description = "Its network devices, by the name that its manifest has.";
      };
      blocks = mkOption {
        type = types.attrsOf types.str;
        default = { };
        description = ''
          Its block devices, by the name that its manifest has: files or devices of this machine. With
          Albatross: the names that it has for block devices.
        '';
      };
      data = mkOption {
        type = types.attrsOf (types.submodule data);
        default = { };
        description = ''
          Block devices that are made of files, by the name that its manifest has: a tar archive, as
          `tar_kv_ro` and `tar_kv_rw` of MirageOS read it. Each start begins with these files.
        '';
      };
      restart = mkOption {
        type = types.enum [ "no" "on-failure" "always" ];
        default = "on-failure";
        description = "When systemd starts it again.";
      };
      backend = mkOption {
        type = types.enum [ "solo5" "albatross" ];
        default = "solo5";
        description = "What runs it. Albatross has to be enabled beside this: `services.albatross.enable`.";
      };
      tender = mkOption {
        type = types.package;
        default = (about config.package).tender or pkgs.solo5;
        defaultText = lib.literalExpression "pkgs.solo5";
        description = "The package of solo5-hvt and solo5-spt.";
      };
      albatross = mkOption {
        type = types.package;
        default = albatross.package or pkgs.albatross;
        defaultText = lib.literalExpression "config.services.albatross.package";
        description = "The package of albatross-client.";
      };
    };
  };

  image = it: "${it.package}/${it.image}";

  # A tar archive of files that is the same whenever it is made.
  archive = name: files:
    let
      place = path: file:
        let source = if builtins.isPath file || lib.isStorePath file then file else pkgs.writeText "file" file; in
        "install -D -m 444 ${escapeShellArg "${source}"} ${escapeShellArg "tree/${path}"}\n";
    in
    pkgs.runCommand "${name}.tar" { } ''
      mkdir tree
      ${lib.concatStrings (mapAttrsToList place files)}
      tar --format=ustar --sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner -C tree -cf "$out" .
    '';

  # Tenders open block devices for writing, so data is a copy. A unikernel for `unix` opens the file that is
  # called as the device, where it is started.
  copyOf = name: it: device: "/run/unikernel-${name}/${device}${lib.optionalString (it.target != "unix") ".img"}";

  command = name: it:
    let
      blocks = it.blocks // lib.mapAttrs (device: _: copyOf name it device) it.data;
      solo5 = [ "${it.tender}/bin/solo5-${it.target}" "--mem=${toString it.memory}" ]
        ++ concatLists (mapAttrsToList (device: net:
          [ "--net:${device}=${net.interface}" ] ++ optional (net.mac != null) "--net-mac:${device}=${net.mac}") it.networks)
        ++ mapAttrsToList (device: file: "--block:${device}=${file}") blocks
        ++ [ "--" (image it) ] ++ it.arguments;
      ours = [ "${it.albatross}/bin/albatross-client" "create" "--force" "--mem=${toString it.memory}" ]
        ++ mapAttrsToList (device: net:
          "--net=${device}:${toString net.bridge}${lib.optionalString (net.mac != null) "@${net.mac}"}") it.networks
        ++ mapAttrsToList (device: file: "--block=${device}:${file}")
          (it.blocks // lib.mapAttrs (device: _: "${name}-${device}") it.data)
        # By itself it restarts after all but what solo5 and the parsing of arguments exit with. A failure
        # is an exception of OCaml, or its abort.
        ++ optional (it.restart != "no") "--restart-on-fail"
        ++ optionals (it.restart == "on-failure") [ "--exit-code=2" "--exit-code=255" ]
        ++ map (argument: "--arg=${argument}") it.arguments
        ++ [ name (image it) ];
    in
    if it.backend == "albatross" then ours
    else if it.target == "unix" then [ (image it) ] ++ it.arguments
    else solo5;

  script = name: lines: "${pkgs.writeShellScript name (concatStringsSep "\n" ([ "set -eu" ] ++ lines))}";
  ip = arguments: "${pkgs.iproute2}/bin/ip ${escapeShellArgs arguments}";

  service = name: it:
    let
      taps = optionals (it.backend == "solo5" && it.target != "unix") (lib.attrValues it.networks);
      up = net:
        [ "[ -e ${escapeShellArg "/sys/class/net/${net.interface}"} ] || ${ip [ "tuntap" "add" "dev" net.interface "mode" "tap" "group" "unikernels" ]}" ]
        ++ optional (net.bridge != null) (ip [ "link" "set" net.interface "master" net.bridge ])
        ++ [ (ip [ "link" "set" net.interface "up" ]) ];
      copy = device: { files }: "install -m 600 ${archive device files} ${escapeShellArg (copyOf name it device)}";
      link = device: file: "ln -sfn ${escapeShellArg file} ${escapeShellArg (copyOf name it device)}";
      solo5 = it.backend == "solo5";
      client = arguments: escapeShellArgs ([ "${it.albatross}/bin/albatross-client" ] ++ arguments);
      # Albatross keeps block devices of its own, in MB, and one that is in use cannot be made anew.
      hand = device: { files }:
        let file = archive device files; block = "${name}-${device}"; in [
          "${client [ "destroy-block" block ]} || true"
          "size=$(stat -c %s ${file})"
          "${client [ "create-block" "--data=${file}" block ]} $(( (size + 1048575) / 1048576 ))"
        ];
    in
    {
      description = "The unikernel ${name}";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ] ++ optional (!solo5) "albatrossd.service";
      requires = optional (!solo5) "albatrossd.service";
      serviceConfig = {
        ExecStartPre =
          if solo5 then
            mapAttrsToList (device: files: script "unikernel-data" [ (copy device files) ]) it.data
            ++ optional (it.target == "unix" && it.blocks != { })
              (script "unikernel-blocks" (mapAttrsToList link it.blocks))
            # `+` for what only root may do.
            ++ optional (taps != [ ]) ("+" + script "unikernel-networks" (lib.concatMap up taps))
          else
            # One that Albatross has started again by itself holds its block devices.
            optional (it.data != { }) (script "unikernel-data"
              ([ "${client [ "destroy" name ]} || true" ] ++ concatLists (mapAttrsToList hand it.data)));
        ExecStart = script "unikernel-${name}" [ "exec ${escapeShellArgs (command name it)}" ];
        RuntimeDirectory = "unikernel-${name}";
      }
      // (if solo5 then {
        Restart = it.restart;
        ExecStopPost = optional (taps != [ ])
          ("+" + script "unikernel-networks-down" (map (net: "${ip [ "tuntap" "del" "dev" net.interface "mode" "tap" ]} || true") taps));
        DynamicUser = true;
        SupplementaryGroups = [ "unikernels" ] ++ optional (it.target == "hvt") "kvm";
        DevicePolicy = "closed";
        DeviceAllow = optional (it.target == "hvt") "/dev/kvm rw" ++ optional (taps != [ ]) "/dev/net/tun rw"
          ++ map (file: "${file} rw") (builtins.filter (lib.hasPrefix "/dev/") (lib.attrValues it.blocks));
        ReadWritePaths = builtins.filter (file: !lib.hasPrefix "/dev/" file) (lib.attrValues it.blocks);
        CapabilityBoundingSet = "";
        # Both tenders look at their personality, and abort where that call is refused.
        LockPersonality = it.target == "unix";
        MemoryMax = "${toString (it.memory + 64)}M";
        NoNewPrivileges = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        UMask = "0077";
      } else {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStop = script "unikernel-${name}-stop" [ "exec ${client [ "destroy" name ]}" ];
      })
      // lib.optionalAttrs (solo5 && it.target == "hvt") {
        # solo5-hvt answers SIGTERM with the status of a failure; by this signal it ends as systemd expects.
        KillSignal = "SIGHUP";
      }
      // lib.optionalAttrs (solo5 && it.target == "unix") {
        WorkingDirectory = "/run/unikernel-${name}";
        # Its sockets are those of this machine.
        RestrictAddressFamilies = [ "AF_INET" "AF_INET6" "AF_UNIX" "AF_NETLINK" ];
        AmbientCapabilities = "CAP_NET_BIND_SERVICE";
        CapabilityBoundingSet = "CAP_NET_BIND_SERVICE";
      };
    };

  assertions = name: it:
    let
      target = (about it.package).target or it.target;
      both = lib.intersectLists (lib.attrNames it.blocks) (lib.attrNames it.data);
      names = [ name ] ++ lib.attrValues it.blocks ++ map (device: "${name}-${device}") (lib.attrNames it.data);
      # `Label.of_string` of `src/vmm_core.ml`.
      label = text: builtins.match "[A-Za-z0-9.][A-Za-z0-9.-]{0,62}" text != null;
      long = builtins.filter (net: builtins.stringLength net.interface > 15) (lib.attrValues it.networks);
    in
    [
      {
        assertion = target == it.target;
        message = "services.unikernels.${name}: its package was built for ${target}, not for ${it.target}";
      }
      {
        assertion = both == [ ];
        message = "services.unikernels.${name}: ${concatStringsSep ", " both} is in both `blocks` and `data`";
      }
      {
        assertion = long == [ ];
        message = "services.unikernels.${name}: the name of an interface has more than 15 characters: ${concatStringsSep ", " (map (net: net.interface) long)}";
      }
      {
        assertion = it.backend != "albatross" || lib.all (net: net.bridge != null) (lib.attrValues it.networks);
        message = "services.unikernels.${name}: Albatross needs the bridge of each network";
      }
      {
        assertion = it.backend != "albatross" || albatross.enable or false;
        message = "services.unikernels.${name}: import the NixOS module of Albatross and set services.albatross.enable";
      }
      {
        assertion = it.backend != "albatross" || builtins.all label names;
        message = "services.unikernels.${name}: Albatross takes names of letters, digits, hyphens and periods, at most 63, for unikernels and block devices: ${concatStringsSep ", " (builtins.filter (it: !label it) names)}";
      }
      {
        assertion = it.backend != "albatross" || it.target == "hvt" || it.target == "spt";
        message = "services.unikernels.${name}: Albatross runs solo5's hvt and spt, not ${it.target}";
      }
    ];
in
{
  options.services.unikernels = mkOption {
    type = types.attrsOf (types.submodule unikernel);
    default = { };
    description = "Unikernels that run on this machine.";
  };

  config = mkIf (enabled != { }) {
    assertions = concatLists (mapAttrsToList assertions enabled);
    users.groups.unikernels = { };
    systemd.services = mapAttrs' (name: it: nameValuePair "unikernel-${name}" (service name it)) enabled;
  };
}
