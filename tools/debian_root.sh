#!/usr/bin/env bash
# A Debian root folder to run things in: tools/debian_root.sh FOLDER SUITE ARCHITECTURE [PACKAGE…]
#
# Needs root and the package debootstrap. For another architecture than the machine's, packages are
# unpacked and their scripts are not run, which takes minutes of emulation and sets up nothing that
# Python needs. A folder that is there is kept.
set -euo pipefail

folder=$1 suite=$2 architecture=$3
shift 3
packages=$(IFS=,; echo "$*")
foreign=
[ "$architecture" = "$(dpkg --print-architecture)" ] || foreign=--foreign

if [ -e "$folder/made" ]; then
    echo "$folder: is there"
    exit 0
fi
mkdir -p "$folder"
debootstrap --arch="$architecture" --variant=minbase ${foreign:+"$foreign"} \
    ${packages:+--include="$packages"} \
    "$suite" "$folder" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" > "$folder.log" 2>&1 ||
    { tail -n 5 "$folder.log" >&2; exit 1; }
if [ -n "$foreign" ]; then
    for package in "$folder"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -C "$folder" --keep-directory-symlink -x
    done
fi
# In some containers debootstrap makes a link to the machine's own /proc instead of a folder.
if [ -L "$folder/proc" ]; then
    rm "$folder/proc"
    mkdir "$folder/proc"
fi
# What Debian's own small images leave out as well.
rm -rf "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/* "$folder"/var/cache/debconf/*-old \
    "$folder"/usr/share/{doc,info,locale,man}/* "$folder"/var/log/*
touch "$folder/made"
echo "$folder: $suite, $architecture, $(du -sm "$folder" | cut -f1) MB"
