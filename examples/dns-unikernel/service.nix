# The name server as a service of a NixOS machine. Its zones are the files in zones/; they lie on a block
# device, so that another zone is a restart and no build.
{
  services.unikernels.nameserver = {
    memory = 64;
    networks.service.bridge = "br0";
    data.zones.files = builtins.mapAttrs (name: _: ./zones + "/${name}") (builtins.readDir ./zones);
    arguments = [ "--ipv4=10.0.0.2/24" "--ipv4-gateway=10.0.0.1" ];
    restart = "always";
  };
}
