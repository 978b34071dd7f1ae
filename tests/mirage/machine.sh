# For machines that QEMU emulates; source it. They need qemu-system-x86_64 and busybox (busybox-static of
# Debian).

# unpack_kernel KERNEL-DEB BOOT ROOT: the kernel of a package of Debian to BOOT/vmlinuz, and those of its
# modules that a machine with unikernels needs to ROOT/lib/modules.
unpack_kernel() {
  local part folders=()
  for part in arch/x86/kvm virt/lib drivers/crypto/ccp drivers/virtio drivers/net/{virtio_net,net_failover,tun}.ko \
    net/core net/bridge net/802 net/llc; do
    folders+=("./lib/modules/*/kernel/$part*")
  done
  mkdir -p "$2/deb" "$3/lib"
  dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2/deb" --wildcards './boot/vmlinuz-*' './lib/modules/*/modules.*' "${folders[@]}"
  mv "$2"/deb/boot/vmlinuz-* "$2/vmlinuz"
  mv "$2/deb/lib/modules" "$3/lib/modules"
  rm -r "$2/deb"
  busybox depmod -b "$3" "$(ls "$3/lib/modules")"
}

# initramfs ROOT FILE: with busybox in ROOT/bin; ROOT/init is there.
initramfs() {
  mkdir -p "$1"/{bin,dev,proc,sys,tmp}
  cp "$(readlink -f "$(command -v busybox)")" "$1/bin/busybox"
  chmod +x "$1/init"
  (cd "$1" && find . | busybox cpio -o -H newc 2> /dev/null | gzip -1) > "$2"
}

# The machine, without KVM: machine MIB BOOT INITRAMFS [OPTION...]
emulate() {
  local memory=$1 boot=$2 initramfs=$3
  shift 3
  exec qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m "$memory" -nodefaults -no-user-config -display none \
    -serial stdio -no-reboot -kernel "$boot/vmlinuz" -initrd "$initramfs" \
    -append 'console=ttyS0 quiet panic=-1 systemd.show_status=no TERM=dumb' "$@" < /dev/null
}
