#!/bin/bash
# Runs the tests of packages with AVX-512 kernels on an emulated CPU that has AVX-512, AVX512_VNNI and AVX512_BF16 (Bochs,
# Sapphire Rapids), for machines whose own CPU has not.
#
#   tools/avx512-emulated.sh [-level LEVEL] [-run REGEXP] [-timeout SECONDS] [package folder ...]
#
# LEVEL is what AGORA_CPU asks for: avx512, the default, or avx512bf16. By default tests without subtests run, and of the
# others the subtests avx512. Booting takes half a minute of a processor; then it is some 50 times slower than a real one.
# Debian or Ubuntu, root (it installs what is missing: isolinux, xorriso, busybox;
# Bochs is unpacked into tools/.bochs, and the small cloud kernel is downloaded). The static test
# binaries boot as an initial RAM disk; the serial console is the output. Exit
# status 0 means that every package printed PASS with AGORA_REQUIRE_AVX512VNNI=1 and AGORA_REQUIRE_AVX512=1, or
# AGORA_REQUIRE_AVX512BF16=1.
set -euo pipefail
cd "$(dirname "$0")/.."

run=./avx512 timeout=1800 level=avx512
while [ $# -gt 0 ]; do
	case $1 in
	-level) level=$2; shift 2 ;;
	-run) run=$2; shift 2 ;;
	-timeout) timeout=$2; shift 2 ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || set -- backend/cpu/gemm backend/cpu/internal/vec

need=
for p in isolinux syslinux-common xorriso busybox-static cpio; do
	dpkg -s "$p" >/dev/null 2>&1 || need+=" $p"
done
[ -z "$need" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -q $need >&2

[ -x tools/.bochs/run ] || tools/vktools.sh "$PWD/tools/.bochs" bochs bochs-term bochsbios >&2
share=$PWD/tools/.bochs/root/usr/share/bochs

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"/{kernel,tree/{bin,dev,proc,tmp},iso}

kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p')
(cd "$dir" && chmod 755 . && apt-get download -q "$kernel" >&2)
dpkg -x "$dir/$kernel"_*.deb "$dir/kernel"
cp "$dir"/kernel/boot/vmlinuz-* "$dir/iso/linux"

# The RAM disk: busybox, one static test binary a package, and what runs them.
cp /bin/busybox "$dir/tree/bin/busybox"
{
	echo '#!/bin/busybox sh'
	echo '/bin/busybox mount -t proc proc /proc; /bin/busybox mount -t devtmpfs dev /dev'
	echo "export AGORA_CPU=$level AGORA_REQUIRE_${level^^}=1 AGORA_REQUIRE_AVX512VNNI=1 GOTRACEBACK=all"
} >"$dir/tree/init"
for p in "$@"; do
	name=$(echo "$p" | tr / _).test
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go test -c -ldflags '-s -w' -o "$dir/tree/$name" "./$p" >&2
	mkdir -p "$dir/tree/$p"
	[ ! -d "$p/testdata" ] || cp -r "$p/testdata" "$dir/tree/$p/"
	echo "cd /$p; /$name -test.v -test.short -test.run '$run' && echo 'EMULATED PASS $p' || echo 'EMULATED FAIL $p'; cd /" >>"$dir/tree/init"
done
echo "echo 'EMULATED END'; /bin/busybox sleep 3; /bin/busybox reboot -f" >>"$dir/tree/init"
chmod +x "$dir/tree/init"
(cd "$dir/tree" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/iso/ram"

cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$dir/iso/"
# clearcpuid: no XSAVEC, XSAVES. Bochs gives their area the size of the standard
# format; Linux sees the mismatch and would turn AVX off altogether. Nor FSRM, with which it hangs while it boots.
# acpi: its BIOS knows not all of this processor's state, and Bochs ends. So the guest ends by a triple fault.
cat >"$dir/iso/isolinux.cfg" <<-EOF
	default linux
	label linux
	kernel /linux
	append initrd=/ram console=ttyS0,115200 mitigations=off clearcpuid=321,323,580 acpi=off reboot=t loglevel=4 random.trust_cpu=on
EOF
xorriso -as mkisofs -quiet -o "$dir/disk.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$dir/iso" >&2 2>/dev/null

cat >"$dir/bochsrc" <<-EOF
	cpu: model=sapphire_rapids, ips=200000000, reset_on_triple_fault=0
	memory: guest=1024, host=1024
	romimage: file=$share/BIOS-bochs-latest
	vgaromimage: file=$share/VGABIOS-lgpl-latest
	ata0-master: type=cdrom, path=$dir/disk.iso, status=inserted
	boot: cdrom
	com1: enabled=1, mode=file, dev=$dir/serial
	display_library: term
	plugin_ctrl: unmapped=1, biosdev=1, extfpuirq=1, serial=1, speaker=0, parallel=0, iodebug=0
	sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
	clock: sync=none
	log: $dir/log
	panic: action=fatal
	error: action=ignore
EOF
: >"$dir/serial"
echo c >"$dir/rc" # Debian's Bochs is built with the debugger, which waits for "continue"
# The text-mode display wants a terminal: script gives it one.
LTDL_LIBRARY_PATH=$PWD/tools/.bochs/root/usr/lib/x86_64-linux-gnu/bochs/plugins TERM=xterm timeout "$timeout" \
	script -qec "tools/.bochs/run bochs-bin -q -f $dir/bochsrc -rc $dir/rc" /dev/null </dev/null >"$dir/display" 2>&1 &
bochs=$!
tail -n +1 -f --pid=$bochs "$dir/serial" &
show=$!
wait $bochs 2>/dev/null || true # the guest ends it
wait $show 2>/dev/null || true

for p in "$@"; do
	grep -q "EMULATED PASS $p" "$dir/serial" || { echo "not passed: $p (Bochs: $(tail -n 3 "$dir/log"))" >&2; exit 1; }
done
