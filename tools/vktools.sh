#!/bin/sh
# Unpack newer Vulkan tools from Debian packages into a folder: no root, the host's own packages untouched.
#   tools/vktools.sh                    all below into tools/.vk
#   tools/vktools.sh DIR PACKAGE...     these only: glslc (2025.2), spirv-tools (spirv-val), libvulkan1, vulkan-validationlayers,
#                                       mesa-vulkan-drivers/trixie-backports (lavapipe 26, which runs cooperative matrices)
#   tools/vktools.sh DIR bochs bochs-term bochsbios   an emulated processor, for emulated.sh
#   SUITE=bookworm tools/vktools.sh DIR -t bookworm-backports libvulkan1 mesa-vulkan-drivers
#                                       of another release, trixie being the default, with options of apt-get: lavapipe 25
# Then DIR/run PROGRAM ARGS runs an unpacked program, and go test -exec "$PWD/tools/.vk/run" ./... runs cgo tests on that lavapipe.
# Needs Debian or a relative on amd64; the mirror is the one that this machine's apt already uses.
set -eu
[ $# -gt 1 ] || set -- "${1:-$(dirname "$0")/.vk}" glslc spirv-tools libvulkan1 vulkan-validationlayers mesa-vulkan-drivers/trixie-backports
T=$(mkdir -p "$1" && cd "$1" && pwd); shift
mkdir -p "$T/apt/lists/partial" "$T/apt/archives/partial" "$T/apt/etc" "$T/root/usr/lib" "$T/root/usr/lib64"; : > "$T/apt/status"
ln -sfn usr/lib "$T/root/lib"; ln -sfn usr/lib64 "$T/root/lib64" # bookworm's packages still know /lib
S=${SUITE:-trixie} K=/usr/share/keyrings/debian-archive-keyring.gpg
M=$(cat /etc/apt/sources.list.d/debian.sources 2>/dev/null | sed -n 's/^URIs: *//p' | head -n 1)
[ -n "$M" ] || M=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' /etc/apt/sources.list | head -n 1)
printf 'deb [signed-by=%s arch=amd64] %s %s main\n' "$K" "$M" "$S" "$K" "$M" "$S-backports" > "$T/apt/etc/sources.list"
A="apt-get -q -o Dir::State=$T/apt -o Dir::State::Lists=$T/apt/lists -o Dir::State::status=$T/apt/status -o Dir::Cache=$T/apt
 -o Dir::Cache::archives=$T/apt/archives -o Dir::Etc::SourceList=$T/apt/etc/sources.list -o Dir::Etc::SourceParts=/dev/null
 -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o Debug::NoLocking=1 -o APT::Sandbox::User=
 -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o Acquire::Languages=none
 -o Acquire::Retries=3 -o Acquire::http::Timeout=60"
$A update >"$T/apt/update.log" 2>&1 || { cat "$T/apt/update.log" >&2; exit 1; }
$A install --download-only -y --no-install-recommends "$@" >"$T/apt/install.log" 2>&1 || { cat "$T/apt/install.log" >&2; exit 1; }
for d in "$T"/apt/archives/*.deb; do dpkg-deb --fsys-tarfile "$d" | tar -x --keep-directory-symlink -C "$T/root"; done
cat > "$T/run" <<R
#!/bin/sh
R=$T/root; case \$1 in */*) P=\$1;; *) P=\$R/usr/bin/\$1;; esac; shift
export VK_DRIVER_FILES=\$R/usr/share/vulkan/icd.d/lvp_icd.json VK_ICD_FILENAMES=\$R/usr/share/vulkan/icd.d/lvp_icd.json
[ ! -e \$R/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] || export VK_LAYER_PATH=\$R/usr/share/vulkan/explicit_layer.d
export VK_LOADER_LAYERS_DISABLE=~implicit~ AGORA_TEST_RUNNER=$T/run
exec \$R/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path \$R/usr/lib/x86_64-linux-gnu "\$P" "\$@"
R
chmod +x "$T/run"
